//! Live sessions on every store: what another instance ends is heard within one interval, and a
//! store that is away ends nothing.
//!
//! `LIVE=all cargo test --test durable live -- --nocapture` ends 100 sessions a store at the usual
//! interval, and prints how long it took until it was heard.
//!
//! To see these fail: hear of what happens in one's own process alone; take a store that is away
//! for an end; ask for each session by a command of its own.

use std::time::{Duration, Instant};

use test_support::faulty_store::Visitor;
use test_support::{Database, PostgresServer, RedisServer, bounded, eventually};
use tower_redis_session::{
    DatabaseConfig, DatabaseStore, DurableStore, RedisConfig, RedisSessionLayer, RedisStore,
    context::{EndReason, LiveSession},
};

use crate::two_instances::SqliteFile;

/// Where the sessions of two instances are.
struct Stores {
    redis: Option<RedisServer>,
    database: Option<Url>,
}

enum Url {
    Sqlite(SqliteFile),
    Postgres(Database),
}

impl Url {
    fn config(&self) -> DatabaseConfig {
        let url = match self {
            Self::Sqlite(file) => file.url(),
            Self::Postgres(database) => database.url(),
        };
        DatabaseConfig::new(url).timeout(Duration::from_secs(5))
    }
}

impl Stores {
    async fn all() -> Vec<(&'static str, Self)> {
        let sqlite = || Some(Url::Sqlite(SqliteFile::fresh()));
        let postgres = async || {
            let server = PostgresServer::shared().await;
            Some(Url::Postgres(server.database().await))
        };
        let redis = async || Some(RedisServer::start().await);
        vec![
            ("Redis", Self { redis: redis().await, database: None }),
            ("SQLite", Self { redis: None, database: sqlite() }),
            ("PostgreSQL", Self { redis: None, database: postgres().await }),
            ("Redis before SQLite", Self { redis: redis().await, database: sqlite() }),
            ("Redis before PostgreSQL", Self { redis: redis().await, database: postgres().await }),
        ]
    }

    /// One more instance, with connections and a memory of its own.
    async fn instance(&self, interval: Duration) -> RedisSessionLayer {
        let url = |redis: &RedisServer| match self.database {
            Some(_) => redis.durable_url(),
            None => redis.url(),
        };
        let redis = self.redis.as_ref().map(|redis| RedisConfig::new(url(redis)));
        let builder = match (redis, &self.database) {
            (Some(redis), None) => RedisSessionLayer::builder(RedisStore::new(redis).unwrap()),
            (None, Some(url)) => {
                RedisSessionLayer::builder(DatabaseStore::new(url.config()).unwrap())
            }
            (Some(redis), Some(url)) => {
                let store = DurableStore::builder(redis, url.config()).build();
                RedisSessionLayer::builder(store.unwrap())
            }
            (None, None) => unreachable!("no store"),
        };
        let layer = builder.watch_interval(interval).budget(Duration::from_secs(10)).build();
        let layer = layer.unwrap();
        layer.migrate().await.unwrap();
        layer
    }
}

async fn live(layer: &RedisSessionLayer, user: String) -> LiveSession {
    let mut live = None;
    let keep = &mut live;
    let mut visitor = Visitor::new(layer);
    let answered = visitor.ask(async |session| {
        session.login(&user).await?;
        *keep = Some(session.live().await?);
        Ok(String::new())
    });
    assert_eq!(answered.await.status(), 200);
    live.unwrap()
}

fn heard(live: &LiveSession) -> tokio::task::JoinHandle<(EndReason, Option<String>, Instant)> {
    let live = live.clone();
    tokio::spawn(async move {
        let end = live.ended().await;
        (end.reason, end.user_id, Instant::now())
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_instance_revokes_is_heard_within_one_interval_on_every_store() {
    let all = std::env::var("LIVE").is_ok_and(|value| value == "all");
    let (count, interval) = if all { (100, 1_000) } else { (20, 200) };
    let interval = Duration::from_millis(interval);
    for (name, stores) in Stores::all().await {
        let (a, b) = (stores.instance(interval).await, stores.instance(interval).await);
        let mut sessions = Vec::new();
        for number in 0..count {
            sessions.push(live(&a, format!("user-{number}")).await);
        }
        let heard: Vec<_> = sessions.iter().map(heard).collect();
        let mut took = Vec::new();
        for (number, (live, heard)) in sessions.iter().zip(heard).enumerate() {
            let user = format!("user-{number}");
            // By all three ways of an administrator and of a user elsewhere.
            let ended = match number % 2 {
                0 => b.admin().revoke(&user, &live.id()).await.unwrap(),
                _ => b.admin().revoke_all(&user).await.unwrap() == 1,
            };
            assert!(ended, "{name}: {user}");
            let at = Instant::now();
            took.push(tokio::spawn(async move {
                let (reason, said, then) =
                    bounded("the end of a live session", heard).await.unwrap();
                assert_eq!((reason, said), (EndReason::Ended, Some(user)));
                then.saturating_duration_since(at)
            }));
        }
        let mut times = Vec::new();
        for took in took {
            times.push(took.await.unwrap());
        }
        times.sort_unstable();
        let (median, last) = (times[times.len() / 2], times[times.len() - 1]);
        println!("| {name} | {count} | {median:.0?} | {last:.0?} |");
        // One interval, and what a busy machine may add.
        assert!(last < interval + Duration::from_secs(2), "{name}: {last:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_ends_nothing_and_what_it_lost_is_over() {
    let redis = RedisServer::start().await;
    let stores = Stores { redis: Some(redis), database: None };
    let layer = stores.instance(Duration::from_millis(50)).await;
    let live = live(&layer, "alice".to_owned()).await;
    let heard = heard(&live);
    let redis = stores.redis.as_ref().unwrap();
    redis.hang();
    // Asked for several times meanwhile, in vain.
    eventually("a question fails", async || {
        !layer.admin().health().redis.as_ref().is_some_and(|redis| redis.answers)
    })
    .await;
    assert!(!heard.is_finished());
    redis.resume();
    eventually("it answers again", async || live.validate().await.is_ok()).await;
    assert!(!heard.is_finished());
    let mut connection = redis.connection().await;
    let () = redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
    let (reason, ..) = bounded("the end of what was lost", heard).await.unwrap();
    assert_eq!(reason, EndReason::Ended);
}

/// How often `MGET` and `GET` were called.
async fn calls(redis: &RedisServer) -> (u64, u64) {
    let mut connection = redis.connection().await;
    let mut info = redis::cmd("INFO");
    let stats: String = info.arg("commandstats").query_async(&mut connection).await.unwrap();
    let count = |name: &str| {
        let line = stats.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
    };
    (count("cmdstat_mget:calls="), count("cmdstat_get:calls="))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_live_sessions_cost_few_commands() {
    for (name, stores) in Stores::all().await {
        let Some(redis) = &stores.redis else { continue };
        // Nobody asks before the test does.
        let layer = stores.instance(Duration::from_secs(2)).await;
        let trusted = || layer.admin().health().copies.is_none_or(|copies| copies.trusted);
        eventually("copies are trusted", async || {
            let _ = live(&layer, "somebody".to_owned()).await;
            trusted()
        })
        .await;
        let mut sessions = Vec::new();
        for number in 0..300 {
            sessions.push(live(&layer, format!("user-{number}")).await);
            // A copy is there.
            sessions[number].validate().await.unwrap();
        }
        let before = calls(redis).await;
        let heard: Vec<_> = sessions.iter().map(heard).collect();
        assert_eq!(layer.admin().revoke_all("user-299").await.unwrap(), 1);
        eventually("a revocation is heard", async || heard[299].is_finished()).await;
        let since = async || {
            let now = calls(redis).await;
            (now.0 - before.0, now.1 - before.1)
        };
        match &stores.database {
            // The one that was revoked, and 299 by 128.
            None => {
                eventually("all are asked for", async || since().await.0 >= 4).await;
                assert_eq!(since().await, (4, 0), "{name}");
            }
            // Sent together, a copy each, and the database is not asked.
            Some(_) => {
                eventually("all are asked for", async || since().await.1 >= 299).await;
                let (many, one) = since().await;
                assert!(many == 0 && one < 310, "{name}: {one}");
            }
        }
        assert!(heard.iter().take(299).all(|heard| !heard.is_finished()), "{name}");
    }
}
