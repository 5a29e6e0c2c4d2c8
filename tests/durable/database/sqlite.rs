//! A SQLite file.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};

use http::{Request, Response};
use http_body_util::BodyExt as _;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;
use tower::{Layer as _, ServiceExt as _, service_fn};
#[allow(deprecated, reason = "for those who still have it")]
use tower_redis_session::layer::DatabaseSessionLayer;
use tower_redis_session::{
    DatabaseConfig, Error, ErrorKind, RedisSessionLayer, SessionContext,
    store::{Expected, Record, SaveOutcome, Store},
    testing::conformance,
};

use super::{create, fails, failure, fresh, hasty, next, patient, save_together};

fn file() -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/sessions.db", folder.path().display());
    (folder, url)
}

/// The test's own way to the file.
async fn own(url: &str) -> SqliteConnection {
    SqliteConnection::connect(url).await.unwrap()
}

async fn sql(connection: &mut SqliteConnection, text: &'static str) {
    let _ = sqlx::raw_sql(text).execute(connection).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_sqlite_store_keeps_its_contract() {
    let (_folder, url) = file();
    conformance(patient(&url).await).await;
}

#[tokio::test]
async fn a_session_outlives_the_process_and_the_file_is_its_owners_alone() {
    let (folder, url) = file();
    let first = patient(&url).await;
    let id = create(&first).await;
    let left = first.load(&id).await.unwrap();
    for name in ["sessions.db", "sessions.db-wal"] {
        let mode = fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}");
    }
    drop(first);
    let second = hasty(&url);
    second.check().await.unwrap();
    assert_eq!(second.load(&id).await.unwrap(), left);
}

#[tokio::test]
async fn two_stores_share_a_file() {
    let (_folder, url) = file();
    let (one, two) = (patient(&url).await, patient(&url).await);
    let id = create(&one).await;
    let outcome = two.save(&id, Expected::Version(1), &next(2)).await.unwrap();
    assert!(matches!(outcome, SaveOutcome::Saved));
    let outcome = one.save(&id, Expected::Version(1), &next(2)).await.unwrap();
    assert!(matches!(outcome, SaveOutcome::Conflict(current) if current.version() == 2));
    one.delete(&id).await.unwrap();
    assert_eq!(two.load(&id).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_migrate_one_file_at_the_same_time() {
    let (_folder, url) = file();
    let all = (0..8).map(|_| {
        let url = url.clone();
        tokio::spawn(async move { create(&patient(&url).await).await })
    });
    for one in all.collect::<Vec<_>>() {
        let _ = one.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_saved_at_the_same_time_shares_a_transaction() {
    let (folder, url) = file();
    let store = Arc::new(patient(&url).await);
    let mut ids = Vec::new();
    for _ in 0..64 {
        ids.push(create(&store).await);
    }
    sql(&mut own(&url).await, "PRAGMA wal_checkpoint(TRUNCATE)").await;
    assert_eq!(commits(&folder), 0);
    save_together(&store, &ids, 1).await;
    let commits = commits(&folder);
    assert!((1..=16).contains(&commits), "64 saves in {commits} transactions");
}

/// The transactions in the log: the last page of each has the size of the database in its head.
/// <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>
fn commits(folder: &TempDir) -> usize {
    let log = fs::read(folder.path().join("sessions.db-wal")).unwrap_or_default();
    let Some((head, pages)) = log.split_at_checked(32) else { return 0 };
    let size = u32::from_be_bytes(head[8..12].try_into().unwrap()) as usize;
    pages.chunks_exact(24 + size).filter(|page| page[4..8] != [0; 4]).count()
}

#[tokio::test]
async fn a_file_that_will_not_do_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let url = |path: &Path| format!("sqlite:{}", path.display());
    fs::write(path("text"), "not a database, and long enough to be read as one".repeat(100))
        .unwrap();
    fs::create_dir(path("folder")).unwrap();
    fs::write(path("empty"), "").unwrap();
    for (name, path) in [
        ("no database", path("text")),
        ("a folder", path("folder")),
        ("no tables", path("empty")),
        ("no file", path("missing")),
        ("no folder", path("missing/x.db")),
    ] {
        fails(&hasty(&url(&path)), name, ErrorKind::Misconfigured, "s3cr3t").await;
    }
    for (name, path) in [("no database", path("text")), ("no folder", path("missing/x.db"))] {
        let error = hasty(&url(&path)).migrate().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured, "{name}: {error:?}");
    }
}

#[tokio::test]
async fn a_file_that_somebody_locks_is_waited_for_within_the_limit() {
    let (_folder, url) = file();
    let id = create(&patient(&url).await).await;
    let store = hasty(&url);
    let mut other = own(&url).await;
    sql(&mut other, "BEGIN EXCLUSIVE").await;
    let started = std::time::Instant::now();
    let error = store.save(&id, Expected::Version(1), &next(2)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(started.elapsed() < super::LIMIT + Duration::from_millis(300));
    assert!(store.load(&id).await.unwrap().is_some(), "who reads does not wait for who writes");
    sql(&mut other, "ROLLBACK").await;
    let outcome = store.save(&id, Expected::Version(1), &next(2)).await.unwrap();
    assert!(matches!(outcome, SaveOutcome::Saved), "a refused write was not stored: {outcome:?}");
}

#[tokio::test]
async fn a_damaged_row_is_the_error_of_that_row_only() {
    let (_folder, url) = file();
    let store = patient(&url).await;
    let (good, bad) = (create(&store).await, create(&store).await);
    let mut own = own(&url).await;
    let damage = "UPDATE trs_sessions SET body = x'00', version = -1, replaces = 'x' WHERE id = ?";
    let _ = sqlx::query(damage).bind(bad.to_string()).execute(&mut own).await.unwrap();
    let error = store.load(&bad).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let found = store.load_many(&[bad, good]).await.unwrap();
    assert!(found[0].is_err() && found[1].as_ref().unwrap().is_some());
    let error = failure(store.save(&bad, Expected::Version(1), &next(2)).await).unwrap();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    store.delete(&bad).await.unwrap();
    assert_eq!(store.load(&bad).await.unwrap(), None, "it can be removed all the same");
}

#[test]
fn a_store_outlives_the_runtime_that_it_was_first_used_in() {
    let (_folder, url) = file();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (store, id) = runtime().block_on(async {
        let store = patient(&url).await;
        let id = create(&store).await;
        (store, id)
    });
    runtime().block_on(async {
        let outcome = store.save(&id, Expected::Version(1), &next(2)).await.unwrap();
        assert!(matches!(outcome, SaveOutcome::Saved));
        assert_eq!(store.load(&id).await.unwrap().unwrap().version(), 2);
    });
}

/// Signs in through one layer, and is known through the other.
#[tokio::test]
#[allow(deprecated, reason = "for those who still have it")]
async fn the_old_way_in_is_the_same_store() {
    let (_folder, url) = file();
    let old = DatabaseSessionLayer::new(DatabaseConfig::new(&url)).unwrap();
    old.migrate().await.unwrap();
    let new = RedisSessionLayer::builder(patient(&url).await).build().unwrap();
    let handler = || {
        service_fn(async |request: Request<()>| {
            let session = request.extensions().get::<SessionContext>().unwrap().clone();
            if request.uri().path() == "/login" {
                session.login("alice").await?;
            }
            Ok::<_, Error>(Response::new(session.user_id().await?.unwrap_or_default()))
        })
    };
    let signed_in = old.layer(handler()).oneshot(Request::get("/login").body(()).unwrap());
    let signed_in = signed_in.await.unwrap();
    let cookie = signed_in.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap();
    let look = Request::get("/").header("cookie", cookie).body(()).unwrap();
    let seen = new.layer(handler()).oneshot(look).await.unwrap();
    assert_eq!(seen.into_body().collect().await.unwrap().to_bytes(), "alice");
    let layer: RedisSessionLayer = old.into();
    assert_eq!(layer.admin().revoke_all("alice").await.unwrap(), 1);
}

/// Somebody who is not the client never finishes a renewal: that would end the id that the client
/// has.
#[tokio::test]
async fn to_clear_a_platform_in_the_middle_of_a_renewal_signs_nobody_out() {
    let (_folder, url) = file();
    let store = patient(&url).await;
    let layer = RedisSessionLayer::builder(patient(&url).await).build().unwrap();
    let sign_in = service_fn(async |request: Request<()>| {
        let session = request.extensions().get::<SessionContext>().unwrap().clone();
        session.login("alice").await?;
        session.set_platform("11").await?;
        Ok::<_, Error>(Response::new(String::new()))
    });
    let _ = layer.layer(sign_in).oneshot(Request::new(())).await.unwrap();
    let (old, new) = (layer.admin().sessions_of("alice").await.unwrap()[0].id, fresh());
    let record = store.load(&old).await.unwrap().unwrap();
    let version = record.version();
    let heir = Record::from_bytes(1, record.to_bytes().into()).unwrap();
    let begun = store.begin_renew(&old, version, &new, &heir).await.unwrap();
    assert!(matches!(begun, SaveOutcome::Saved), "{begun:?}");
    let refused = layer.admin().clear_platform_of("alice").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(store.load(&old).await.unwrap().is_some(), "the old id is still good");
    let finished = store.finish_renew(&old, version, &new).await.unwrap();
    assert!(matches!(finished, SaveOutcome::Saved), "{finished:?}");
    assert_eq!(layer.admin().clear_platform_of("alice").await.unwrap(), 1);
    assert_eq!(layer.admin().clear_platform_of("alice").await.unwrap(), 0);
}

#[tokio::test]
async fn a_store_without_its_file_or_its_tables_says_what_to_call() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new.db");
    let url = format!("sqlite:{}", path.display());
    let told = async || {
        let checked = hasty(&url);
        assert!(checked.health().is_ready(), "nobody has asked yet");
        let checked = (checked.check().await.unwrap_err(), checked.health());
        assert!(!checked.1.is_ready(), "a failed check is enough");
        let store = hasty(&url);
        let errors = [
            store.load(&fresh()).await.unwrap_err(),
            store.delete(&fresh()).await.unwrap_err(),
            checked.0,
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::Misconfigured);
            assert!(error.to_string().contains("call migrate()"), "{error}");
        }
    };
    told().await;
    fs::write(&path, "").unwrap();
    told().await;
    let _ = create(&patient(&url).await).await;
}

#[tokio::test]
async fn to_migrate_where_all_is_there_waits_for_nobody_who_writes() {
    let (_folder, url) = file();
    let id = create(&patient(&url).await).await;
    let mut other = own(&url).await;
    sql(&mut other, "BEGIN EXCLUSIVE").await;
    let store = hasty(&url);
    test_support::bounded("migrate", store.migrate()).await.unwrap();
    assert!(store.load(&id).await.unwrap().is_some());
}
