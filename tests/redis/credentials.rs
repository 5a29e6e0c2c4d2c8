//! Credentials by a function: passwords and tokens that change while the service runs.
//!
//! To see these fail: reuse the result of a call for an hour; start no repetition; call the function
//! under the connect timeout alone.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use test_support::{LogCapture, PASSWORD, RedisServer, eventually};
use tokio::sync::watch;
use tower_redis_session::{
    ErrorKind, RedisConfig, RedisStore, SessionId,
    store::{ServerCredentials, Store as _},
};

fn id() -> SessionId {
    "A".repeat(43).parse().unwrap()
}

/// What the function returns, as an operator changes it.
#[derive(Clone)]
struct Secret {
    credentials: Arc<Mutex<Option<ServerCredentials>>>,
    calls: Arc<AtomicUsize>,
}

impl Secret {
    fn new(credentials: ServerCredentials) -> Self {
        Self { credentials: Arc::new(Mutex::new(Some(credentials))), calls: Arc::default() }
    }

    fn set(&self, credentials: Option<ServerCredentials>) {
        *self.credentials.lock().unwrap() = credentials;
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn config(&self, redis: &RedisServer) -> RedisConfig {
        let secret = self.clone();
        let config = RedisConfig::from_host("127.0.0.1", redis.port()).username("rotating");
        config.connect_timeout(Duration::from_secs(20)).credentials(move || {
            let credentials = secret.credentials.lock().unwrap().clone();
            secret.calls.fetch_add(1, Ordering::SeqCst);
            async move { credentials.ok_or_else(|| io::Error::other("the vault is sealed")) }
        })
    }
}

/// With two users of the documented rights.
async fn server() -> RedisServer {
    RedisServer::builder().user("rotating", "session:").user("next", "session:").start().await
}

/// The connections of a user, by their ids.
async fn connections_of(redis: &RedisServer, user: &str) -> Vec<String> {
    let mut connection = redis.connection().await;
    let list: String = redis::cmd("CLIENT").arg("LIST").query_async(&mut connection).await.unwrap();
    let theirs = list.lines().filter(|line| line.contains(&format!(" user={user} ")));
    theirs.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_password_that_changes_is_obtained_for_each_new_connection() {
    let redis = server().await;
    let secret = Secret::new(ServerCredentials::new(PASSWORD));
    let store = RedisStore::new(secret.config(&redis)).unwrap();
    store.check().await.unwrap();
    store.load(&id()).await.unwrap();
    redis.acl_set_user("rotating", "resetpass >the-next-secret").await;
    let mut connection = redis.connection().await;
    let mut kill = redis::cmd("CLIENT");
    let () = kill.arg(&["KILL", "USER", "rotating"]).query_async(&mut connection).await.unwrap();
    let mut rejected = None;
    eventually("the old password is rejected", async || {
        rejected = store.load(&id()).await.err();
        rejected.as_ref().is_some_and(|error| error.kind() == ErrorKind::Misconfigured)
    })
    .await;
    assert!(rejected.unwrap().to_string().contains("password"));
    secret.set(Some(ServerCredentials::new("the-next-secret")));
    eventually("the next one is used", async || store.load(&id()).await.is_ok()).await;
    store.check().await.unwrap();
    let printed = format!("{store:?} {:?} {:?}", store.health(), secret.config(&redis));
    assert!(!printed.contains("next-secret"), "{printed}");
}

#[tokio::test]
async fn an_open_connection_authenticates_again_before_its_credentials_expire() {
    let redis = server().await;
    let (captured, _guard) = LogCapture::on_this_thread();
    let soon = |name: &str| {
        let credentials = ServerCredentials::new(PASSWORD).username(name);
        credentials.expires_in(Duration::from_millis(400))
    };
    let secret = Secret::new(soon("rotating"));
    let store = RedisStore::new(secret.config(&redis).pool_size(1)).unwrap();
    store.load(&id()).await.unwrap();
    let first = connections_of(&redis, "rotating").await;
    assert_eq!(first.len(), 1);
    secret.set(Some(soon("next")));
    eventually("the same connection has the next user", async || {
        connections_of(&redis, "next").await == first
    })
    .await;
    // Without credentials, or with rejected ones, it remains as it is, and that is one line.
    for useless in [None, Some(soon("nobody"))] {
        let calls = secret.calls();
        secret.set(useless);
        eventually("it was tried twice", async || secret.calls() > calls + 1).await;
        store.load(&id()).await.unwrap();
    }
    let lines = captured.all();
    let warned = |line: &&test_support::Captured| line.text.contains("credentials not renewed");
    assert_eq!(lines.iter().filter(warned).count(), 1);
    assert!(captured.contains("the vault is sealed") && !captured.contains(PASSWORD));
    secret.set(Some(soon("rotating")));
    eventually("it has the first user again", async || {
        connections_of(&redis, "rotating").await == first
    })
    .await;
    assert!(captured.contains("redis credentials renewed"));
    // The task ends with its connection.
    drop(store);
    eventually("it is closed", async || connections_of(&redis, "rotating").await.is_empty()).await;
}

#[tokio::test]
async fn a_function_that_fails_or_hangs_is_named_and_no_server_is_asked() {
    let redis = server().await;
    let secret = Secret::new(ServerCredentials::new(PASSWORD));
    secret.set(None);
    let store = RedisStore::new(secret.config(&redis)).unwrap();
    redis.reset_stats().await;
    let error = store.load(&id()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.to_string(), "the function for the redis credentials failed");
    assert!(store.health().redis.unwrap().last_cause.unwrap().contains("the vault is sealed"));
    let counts = redis.command_counts().await;
    assert!(!counts.contains_key("auth") && !counts.contains_key("get"), "{counts:?}");

    let (go_on, wait) = watch::channel(false);
    let config = RedisConfig::from_host("127.0.0.1", redis.port()).username("rotating");
    let hangs = config.connect_timeout(Duration::from_millis(50)).credentials(move || {
        let mut wait = wait.clone();
        async move {
            wait.wait_for(|go_on| *go_on).await?;
            Ok::<_, watch::error::RecvError>(ServerCredentials::new(PASSWORD))
        }
    });
    let store = RedisStore::new(hangs).unwrap();
    let error = store.check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(format!("{error:?}").contains("credentials did not return in time"), "{error:?}");
    go_on.send(true).unwrap();
    eventually("it has returned", async || store.load(&id()).await.is_ok()).await;
}

#[tokio::test]
async fn a_server_that_is_unreachable_causes_no_call() {
    let redis = server().await;
    let secret = Secret::new(ServerCredentials::new(PASSWORD));
    let config = secret.config(&redis);
    redis.kill();
    let error = RedisStore::new(config).unwrap().check().await.unwrap_err();
    assert_eq!((error.kind(), secret.calls()), (ErrorKind::Unavailable, 0), "{error:?}");
}
