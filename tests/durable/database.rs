//! Sessions in a SQLite file and in PostgreSQL: the contract, and what becomes of it when files and
//! servers fail.

mod connections;
mod credentials;
mod one_line_a_state;
mod pool;
mod pooler;
mod postgres;
mod sqlite;
mod tls;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tower_redis_session::{
    DatabaseConfig, DatabaseStore, Error, ErrorKind, SessionId,
    clock::ManualClock,
    limiter::{AttemptLimit, SignInLimiter},
    store::{Expected, Record, SaveOutcome, Store},
};

/// The limit of the stores that meet a fault.
const LIMIT: Duration = Duration::from_millis(600);

/// A store that waits as long as it takes, with its tables.
async fn patient(url: &str) -> DatabaseStore {
    let store = at_the_time_of_the_records(config(url));
    store.migrate().await.unwrap();
    store
}

fn config(url: &str) -> DatabaseConfig {
    DatabaseConfig::new(url).timeout(Duration::from_secs(20))
}

fn hasty(url: &str) -> DatabaseStore {
    at_the_time_of_the_records(DatabaseConfig::new(url).timeout(LIMIT))
}

/// By the system's clock the records of these tests ended years ago, and would be purged.
fn at_the_time_of_the_records(config: DatabaseConfig) -> DatabaseStore {
    DatabaseStore::with_clock(config, ManualClock::new().clock()).unwrap()
}

/// Of 64 guesses at once as many are admitted as may be, and the user who knows is let in.
async fn limits_guesses(store: Arc<DatabaseStore>) {
    let limit = AttemptLimit::new(5).max(20).first_wait(Duration::from_secs(3_600));
    let limiter = SignInLimiter::builder(store).pair(limit).timeout(Duration::from_secs(20));
    let limiter = limiter.build().unwrap();
    let address = |last: u8| std::net::IpAddr::from([192, 0, 2, last]);
    let mut guesses = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let limiter = limiter.clone();
        guesses.spawn(async move { limiter.begin("alice", address(1)).await.is_ok() });
    }
    let admitted = guesses.join_all().await.into_iter().filter(|admitted| *admitted).count();
    assert_eq!(admitted, 5);
    limiter.begin("alice", address(2)).await.unwrap().succeeded().await;
    limiter.forgive("alice", Some(address(1))).await.unwrap();
    limiter.begin("alice", address(1)).await.unwrap().failed();
}

/// An id that nobody else has.
fn fresh() -> SessionId {
    use std::hash::{BuildHasher, RandomState};
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text: String = (0..42_u64)
        .map(|place| {
            let number = RandomState::new().hash_one(place);
            char::from(letters[(number % 64) as usize])
        })
        .collect();
    text.push('A');
    text.parse().unwrap()
}

async fn create(store: &DatabaseStore) -> SessionId {
    let id = fresh();
    let outcome = store.save(&id, Expected::Absent, &Record::example()).await.unwrap();
    assert!(matches!(outcome, SaveOutcome::Saved), "{outcome:?}");
    id
}

fn next(version: u64) -> Record {
    Record::from_bytes(version, Record::example().to_bytes().into()).unwrap()
}

/// Every way to use the store fails with this kind, within the limit, and tells no secret.
async fn fails(store: &DatabaseStore, name: &str, kind: ErrorKind, secret: &str) {
    let (id, record) = (fresh(), Record::example());
    let ids = [id, fresh()];
    let mut errors = Vec::new();
    let mut measured = |what: &'static str, started: Instant, error: Option<Error>| {
        let error = error.unwrap_or_else(|| panic!("{name}: {what} does not fail"));
        assert_eq!(error.kind(), kind, "{name}: {what}: {error:?}");
        let took = started.elapsed();
        assert!(took < LIMIT + Duration::from_millis(500), "{name}: {what} took {took:?}");
        errors.push(error);
    };
    let started = Instant::now();
    measured("check", started, store.check().await.err());
    let started = Instant::now();
    measured("load", started, store.load(&id).await.err());
    let started = Instant::now();
    measured("load_many", started, store.load_many(&ids).await.err());
    let started = Instant::now();
    let saved = store.save(&id, Expected::Absent, &record).await;
    measured("save", started, failure(saved));
    let started = Instant::now();
    measured("delete", started, store.delete(&id).await.err());
    for error in errors {
        let mut texts = vec![format!("{error} {error:?}")];
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            texts.push(format!("{inner} {inner:?}"));
            cause = inner.source();
        }
        assert!(!texts.concat().contains(secret), "{name}: {texts:?}");
    }
}

/// The error of a write that failed, or of which nobody knows.
fn failure(result: Result<SaveOutcome, Error>) -> Option<Error> {
    match result {
        Ok(SaveOutcome::Unknown(error)) | Err(error) => Some(error),
        Ok(_) => None,
    }
}

/// Saves of so many sessions at once.
async fn save_together(store: &Arc<DatabaseStore>, ids: &[SessionId], version: u64) {
    let mut tasks = tokio::task::JoinSet::new();
    for id in ids {
        let (store, id) = (Arc::clone(store), *id);
        tasks.spawn(async move {
            store.save(&id, Expected::Version(version), &next(version + 1)).await.unwrap()
        });
    }
    while let Some(outcome) = tasks.join_next().await {
        let outcome = outcome.unwrap();
        assert!(matches!(outcome, SaveOutcome::Saved), "{outcome:?}");
    }
}

#[test]
fn an_address_that_cannot_be_used_is_refused_without_a_connection() {
    for (name, url) in [
        ("nothing", ""),
        ("another database", "mysql://u:s3cr3t@h/d"),
        ("in memory", "sqlite::memory:"),
        ("in memory by a parameter", "sqlite:x?mode=memory"),
        ("in memory by a name", "sqlite:file::memory:"),
        ("no file", "sqlite:"),
        ("a bad port", "postgres://u:s3cr3t@h:99999/d"),
        ("a bad mode", "postgres://u:s3cr3t@h/d?sslmode=s3cr3t"),
    ] {
        let error = DatabaseStore::new(DatabaseConfig::new(url)).expect_err(name);
        assert_eq!(error.setting(), "database address", "{name}");
        assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{name}: {error:?}");
    }
    let config = DatabaseConfig::new("sqlite:x.db");
    assert!(DatabaseStore::new(config.clone().pool_size(0)).is_err());
    assert!(DatabaseStore::new(config.timeout(Duration::ZERO)).is_err());
}
