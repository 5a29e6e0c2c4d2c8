//! Every store with servers of its own, the variables that configure it, and the process.

use std::{io::Write as _, process::Stdio, time::Duration};

use serde_json::Value;
use tempfile::TempDir;
use test_support::{
    Database, PASSWORD, PostgresServer, RedisServer, bounded, leak_monitor, patient,
};
use tower_redis_session::{
    DatabaseConfig, DatabaseStore, DurableStore, RedisSessionLayer, RedisStore, store::UserStore,
};

/// The user with the documented rights for the command.
pub const OPERATOR: &str = "operator";

/// What the process printed, and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// The one object that was printed.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// An object a line.
    pub fn lines(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }
}

pub type Variables = Vec<(String, String)>;

pub fn variables(pairs: &[(&str, &str)]) -> Variables {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Runs the command with these variables alone.
#[track_caller]
pub fn run(variables: &Variables, arguments: &[&str]) -> impl Future<Output = Ran> {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_tower-redis-session"));
    command.env_clear().envs(variables.iter().cloned()).args(arguments);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let ended = bounded("the command", async move { command.output().await.unwrap() });
    async move {
        let output = ended.await;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_owned()).unwrap();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        leak_monitor::said("what the command printed", &out);
        leak_monitor::said("what the command complained of", &err);
        assert!(!err.contains("panicked"), "{err}");
        Ran { code: output.status.code().unwrap_or(-1), out, err }
    }
}

/// One store.
pub struct Place {
    pub name: &'static str,
    pub redis: Option<RedisServer>,
    pub postgres: Option<Database>,
    pub folder: Option<TempDir>,
    pub variables: Variables,
}

impl Place {
    pub async fn redis() -> Self {
        let redis = with_operator(RedisServer::builder().user(OPERATOR, "session:")).await;
        let url = redis.url_as(OPERATOR, PASSWORD, redis.port());
        let variables = variables(&[("SESSION_STORAGE", "redis"), ("REDIS_URL", &url)]);
        Self { name: "redis", redis: Some(redis), postgres: None, folder: None, variables }
    }

    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/sessions.db", folder.path().display());
        let variables =
            variables(&[("SESSION_STORAGE", "database"), ("SESSION_DATABASE_URL", &url)]);
        Self { name: "sqlite", redis: None, postgres: None, folder: Some(folder), variables }
    }

    pub async fn postgres() -> Self {
        let database = PostgresServer::shared().await.database().await;
        let url = database.url();
        let variables =
            variables(&[("SESSION_STORAGE", "database"), ("SESSION_DATABASE_URL", &url)]);
        let postgres = Some(database);
        Self { name: "postgresql", redis: None, postgres, folder: None, variables }
    }

    /// Redis in front of a database.
    pub async fn durable(database: Self) -> Self {
        let redis = with_operator(RedisServer::builder().user(OPERATOR, "session:")).await;
        let mut variables = database.variables;
        variables[0].1 = "durable".to_owned();
        variables.push(("REDIS_URL".to_owned(), redis.durable_url()));
        Self { name: "durable", redis: Some(redis), variables, ..database }
    }

    pub async fn all() -> Vec<Self> {
        let postgres = Self::durable(Self::postgres().await).await;
        vec![
            Self::redis().await,
            Self::sqlite(),
            Self::postgres().await,
            Self::durable(Self::sqlite()).await,
            postgres,
        ]
    }

    /// The store of a service, which waits as long as it takes, with its tables.
    pub async fn store(&self) -> Box<dyn UserStore> {
        let value = |name: &str| {
            let found = self.variables.iter().find(|(other, _)| other == name);
            found.map(|(_, value)| value.clone())
        };
        let redis = value("REDIS_URL").map(|url| patient(&url));
        let long = Duration::from_secs(5);
        let database =
            value("SESSION_DATABASE_URL").map(|url| DatabaseConfig::new(url).timeout(long));
        let store: Box<dyn UserStore> = match (redis, database) {
            (Some(redis), None) => Box::new(RedisStore::new(redis).unwrap()),
            (None, Some(database)) => Box::new(DatabaseStore::new(database).unwrap()),
            (redis, database) => {
                let builder = DurableStore::builder(redis.unwrap(), database.unwrap());
                Box::new(builder.redis_timeout(long).build().unwrap())
            }
        };
        store.migrate().await.unwrap();
        store
    }

    /// A service on it.
    pub async fn layer(&self) -> RedisSessionLayer {
        let store: std::sync::Arc<dyn UserStore> = self.store().await.into();
        let builder = RedisSessionLayer::builder(store).renewal_grace(Duration::ZERO);
        builder.budget(Duration::from_secs(20)).build().unwrap()
    }

    /// The variables of an operator, whose Redis user may enumerate keys.
    pub fn operator(&self) -> Variables {
        let mut variables = self.variables.clone();
        let url = variables.iter_mut().find(|(name, _)| name == "REDIS_URL");
        if let (Some((_, url)), Some(redis)) = (url, &self.redis) {
            *url = redis.url_as(OPERATOR, PASSWORD, redis.port());
        }
        variables
    }

    /// What `psql` or `sqlite3` prints.
    pub async fn sql(&self, text: &str) -> String {
        match &self.postgres {
            Some(database) => database.sql(text).await,
            None => sqlite3(self, text),
        }
    }

    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> impl Future<Output = Ran> {
        run(&self.variables, arguments)
    }
}

/// What `sqlite3` prints.
pub fn sqlite3(place: &Place, text: &str) -> String {
    let file = place.folder.as_ref().unwrap().path().join("sessions.db");
    let mut command = std::process::Command::new("sqlite3");
    command
        .args(["-bail", "-cmd", ".timeout 5000"])
        .arg(file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().expect("sqlite3: scripts/install.sh installs it");
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{text}");
    String::from_utf8(output.stdout).unwrap()
}

/// With what `docs/command-line.md` adds to the rights of a service.
pub async fn with_operator(builder: test_support::Builder) -> RedisServer {
    let redis = builder.start().await;
    grant(&redis).await;
    redis
}

/// The same, after a restart.
pub async fn grant(redis: &RedisServer) {
    redis.acl_set_user(OPERATOR, "+scan +info").await;
}
