//! A PostgreSQL server.

use std::{sync::Arc, time::Duration};

use test_support::{FaultProxy, PostgresServer, eventually};
use tower_redis_session::{
    ErrorKind,
    store::{Expected, Record, SaveOutcome, Store},
    testing::conformance,
};

use super::{create, fails, failure, fresh, hasty, next, patient, save_together};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_postgresql_store_keeps_its_contract() {
    let database = PostgresServer::shared().await.database().await;
    conformance(patient(&database.url()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_contract_is_kept_over_one_connection_and_where_transactions_are_serializable() {
    let database = PostgresServer::shared().await.database().await;
    let strict = format!(
        "ALTER DATABASE {} SET default_transaction_isolation = 'serializable'",
        database.name()
    );
    database.sql(&strict).await;
    let config = super::config(&database.url()).pool_size(1);
    let store = tower_redis_session::DatabaseStore::new(config).unwrap();
    store.migrate().await.unwrap();
    let store = Arc::new(store);
    conformance(Arc::clone(&store)).await;
    super::limits_guesses(store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_migrate_one_database_at_the_same_time() {
    let database = PostgresServer::shared().await.database().await;
    let all = (0..8).map(|_| {
        let url = database.url();
        tokio::spawn(async move { create(&patient(&url).await).await })
    });
    for one in all.collect::<Vec<_>>() {
        let _ = one.await.unwrap();
    }
    assert_eq!(database.sql("SELECT count(*) FROM trs_migrations").await, "2");
}

#[tokio::test]
async fn nothing_of_the_database_but_our_tables_is_touched() {
    let database = PostgresServer::shared().await.database().await;
    let _ = create(&patient(&database.url()).await).await;
    let names = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace \
        UNION SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace";
    for name in database.sql(names).await.lines() {
        assert!(name.starts_with("trs_"), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_saved_at_the_same_time_shares_a_transaction() {
    let database = PostgresServer::shared().await.database().await;
    let store = Arc::new(patient(&database.url()).await);
    let mut ids = Vec::new();
    for _ in 0..64 {
        ids.push(create(&store).await);
    }
    let transactions = "SELECT count(DISTINCT xmin::text) FROM trs_sessions";
    assert_eq!(database.sql(transactions).await, "64");
    // The first ones wait, and the others behind them, however slowly they come.
    let held = database.clone();
    let holds = tokio::spawn(async move {
        held.sql("BEGIN; SELECT id FROM trs_sessions FOR UPDATE; SELECT pg_sleep(1); COMMIT").await
    });
    eventually("the rows are held", async || {
        let sleeping = "SELECT count(*) FROM pg_stat_activity \
            WHERE wait_event = 'PgSleep' AND datname = current_database()";
        database.sql(sleeping).await == "1"
    })
    .await;
    save_together(&store, &ids, 1).await;
    let _ = holds.await.unwrap();
    let transactions: u32 = database.sql(transactions).await.parse().unwrap();
    assert!(transactions <= 16, "64 saves in {transactions} transactions");
}

#[tokio::test]
async fn a_server_that_will_not_do_is_told_apart() {
    let server = PostgresServer::builder().password("s3cr3t").start().await;
    let database = server.database().await;
    let _ = create(&patient(&database.url()).await).await;
    database.sql("CREATE ROLE nobody LOGIN PASSWORD 's3cr3t'").await;
    let empty = server.database().await;
    let url = |user: &str, password: &str, name: &str| {
        format!("postgres://{user}:{password}@127.0.0.1:{}/{name}", server.port())
    };
    let closed = format!("postgres://postgres:s3cr3t@127.0.0.1:1/{}", database.name());
    for (name, url, kind) in [
        ("wrong password", url("postgres", "s3cr3t-no", database.name()), ErrorKind::Misconfigured),
        ("missing database", url("postgres", "s3cr3t", "nowhere"), ErrorKind::Misconfigured),
        ("no permission", url("nobody", "s3cr3t", database.name()), ErrorKind::Misconfigured),
        ("no tables", empty.url(), ErrorKind::Misconfigured),
        ("nobody there", closed, ErrorKind::Unavailable),
    ] {
        fails(&hasty(&url), name, kind, "s3cr3t").await;
    }
}

#[tokio::test]
async fn a_server_that_was_killed_is_used_again_when_it_is_back() {
    let server = PostgresServer::own().await;
    let database = server.database().await;
    let store = patient(&database.url()).await;
    let id = create(&store).await;
    drop(store);
    let store = hasty(&database.url());
    let outcome = store.save(&id, Expected::Version(1), &next(2)).await.unwrap();
    assert!(matches!(outcome, SaveOutcome::Saved));
    server.kill();
    fails(&store, "killed", ErrorKind::Unavailable, "s3cr3t").await;
    server.restart().await;
    eventually("the store loads again", async || store.load(&id).await.is_ok()).await;
    assert_eq!(store.load(&id).await.unwrap().unwrap().version(), 2, "what was acknowledged");
    let outcome = store.save(&id, Expected::Version(2), &next(3)).await.unwrap();
    assert!(matches!(outcome, SaveOutcome::Saved));
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_in_time() {
    let server = PostgresServer::own().await;
    let database = server.database().await;
    let id = create(&patient(&database.url()).await).await;
    let store = hasty(&database.url());
    assert!(store.load(&id).await.unwrap().is_some());
    server.hang();
    fails(&store, "hangs", ErrorKind::Unavailable, "s3cr3t").await;
    server.resume();
    eventually("the store saves again", async || {
        failure(store.save(&id, Expected::Version(1), &next(2)).await).is_none()
    })
    .await;
}

#[tokio::test]
async fn a_row_that_somebody_holds_is_waited_for_within_the_limit() {
    let database = PostgresServer::shared().await.database().await;
    let id = create(&patient(&database.url()).await).await;
    let store = hasty(&database.url());
    let held = database.clone();
    let holds = tokio::spawn(async move {
        held.sql("BEGIN; SELECT id FROM trs_sessions FOR UPDATE; SELECT pg_sleep(2); COMMIT").await
    });
    eventually("the row is held", async || {
        let locks = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(2)%' \
            AND wait_event = 'PgSleep' AND datname = current_database()";
        database.sql(locks).await == "1"
    })
    .await;
    let started = std::time::Instant::now();
    let error = store.save(&id, Expected::Version(1), &next(2)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(started.elapsed() < super::LIMIT + Duration::from_millis(300));
    let _ = holds.await.unwrap();
    let outcome = store.save(&id, Expected::Version(1), &next(2)).await.unwrap();
    assert!(matches!(outcome, SaveOutcome::Saved), "a refused write was not stored: {outcome:?}");
}

#[test]
fn a_store_outlives_the_runtime_that_it_was_first_used_in() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = runtime().block_on(PostgresServer::own());
    let (store, id) = runtime().block_on(async {
        let store = patient(&server.database().await.url()).await;
        let id = create(&store).await;
        (store, id)
    });
    runtime().block_on(async {
        let outcome = store.save(&id, Expected::Version(1), &next(2)).await.unwrap();
        assert!(matches!(outcome, SaveOutcome::Saved), "{outcome:?}");
        assert_eq!(store.load(&id).await.unwrap().unwrap().version(), 2);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_is_on_the_disk_also_where_the_server_would_not_wait_for_it() {
    let server = PostgresServer::builder()
        .setting("synchronous_commit", "off")
        .setting("wal_writer_delay", "10s")
        .start()
        .await;
    let database = server.database().await;
    let store = patient(&database.url()).await;
    let mut flushed = false;
    // Something else may write between the two; all the time it does not.
    for _ in 0..5 {
        let saved = store.save(&fresh(), Expected::Absent, &Record::example()).await.unwrap();
        assert!(matches!(saved, SaveOutcome::Saved));
        let asked = "SELECT pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn()";
        flushed |= database.sql(asked).await.trim() == "t";
    }
    assert!(flushed, "the log is ahead of the disk after a commit");
}

/// Each answer by a real server, in the place of a write.
#[tokio::test]
async fn what_a_server_answers_is_told_apart_and_costs_no_connection_that_is_good() {
    let server = PostgresServer::shared().await;
    let database = server.database().await;
    let id = create(&patient(&database.url()).await).await;
    let proxy = FaultProxy::start(server.addr()).await;
    for (state, kind, part, reconnects) in [
        ("53100", ErrorKind::Unavailable, "the disk of the postgresql server is full", false),
        ("53200", ErrorKind::Unavailable, "out of memory", false),
        ("25006", ErrorKind::Unavailable, "read-only", true),
        ("57P01", ErrorKind::Unavailable, "ended the connection", true),
        ("57014", ErrorKind::Unavailable, "did not finish in time", false),
        ("08006", ErrorKind::Unavailable, "lost", true),
        ("42501", ErrorKind::Misconfigured, "needs SELECT", false),
        ("42P01", ErrorKind::Misconfigured, "migrate()", false),
        ("22021", ErrorKind::Invalid, "cannot store", false),
    ] {
        let refuse = format!(
            "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                RAISE EXCEPTION 'refused' USING ERRCODE = '{state}';
            END $$;
            DROP TRIGGER IF EXISTS refuse ON trs_sessions;
            CREATE TRIGGER refuse BEFORE UPDATE ON trs_sessions
                FOR EACH ROW EXECUTE FUNCTION refuse();"
        );
        database.sql(&refuse).await;
        let config = super::config(&database.url_through(proxy.port())).pool_size(1);
        let store = super::at_the_time_of_the_records(config);
        let before = proxy.connections();
        assert!(store.load(&id).await.unwrap().is_some());
        let saved = store.save(&id, Expected::Version(1), &next(2)).await;
        let error = failure(saved).unwrap_or_else(|| panic!("{state} was stored"));
        assert_eq!(error.kind(), kind, "{state}: {error:?}");
        assert!(error.to_string().contains(part), "{state}: {error}");
        assert_eq!(store.load(&id).await.unwrap().unwrap().version(), 1, "{state}");
        let made = proxy.connections() - before;
        assert_eq!(made > 1, reconnects, "{state}: {made} connections");
    }
}

#[tokio::test]
async fn a_user_without_the_right_to_make_tables_can_do_all_once_they_are_there() {
    let server = PostgresServer::own().await;
    let database = server.database().await;
    database.sql("CREATE ROLE app LOGIN; REVOKE CREATE ON SCHEMA public FROM public").await;
    let url = format!("postgres://app@127.0.0.1:{}/{}", server.port(), database.name());
    let error = hasty(&url).migrate().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    assert!(error.to_string().contains("CREATE"), "{error}");
    let error = hasty(&url).load(&fresh()).await.unwrap_err();
    assert!(error.to_string().contains("call migrate()"), "{error}");
    drop(patient(&database.url()).await);
    let error = hasty(&url).migrate().await.unwrap_err();
    assert!(error.to_string().contains("SELECT, INSERT, UPDATE and DELETE"), "{error}");
    database
        .sql("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO app")
        .await;
    conformance(patient(&url).await).await;
}
