//! An outage of PostgreSQL is one line in the log and one event, however many requests it fails.

use std::time::Duration;

use futures_util::future::join_all;
use test_support::{
    FaultProxy, LogCapture, Mode, Outage, PostgresServer, Site, eventually, signed_in,
};
use tower_redis_session::{DatabaseConfig, DatabaseStore};
use tracing::Level;

fn lines(log: &LogCapture, level: Level) -> Vec<String> {
    let ours = log
        .events()
        .into_iter()
        .filter(|line| line.level == level && line.target.starts_with("tower_redis_session"));
    // Sessions are created and end at `info` too.
    ours.map(|line| line.text)
        .filter(|line| level == Level::WARN || line.starts_with("database "))
        .collect()
}

#[tokio::test]
async fn postgresql_that_is_killed_hangs_or_is_cut_off_is_one_line_and_one_event() {
    let server = PostgresServer::own().await;
    let proxy = FaultProxy::start(server.addr()).await;
    for (way, timeout) in [
        (Outage::Proxy(Mode::Refuse), 150),
        (Outage::Proxy(Mode::Reset), 150),
        (Outage::Proxy(Mode::BlackHole), 150),
        (Outage::Hung, 150),
        // Only the request's budget ends a wait.
        (Outage::Hung, 10_000),
        (Outage::Killed, 150),
    ] {
        let url = server.database().await.url_through(proxy.port());
        let config = DatabaseConfig::new(url).timeout(Duration::from_millis(timeout));
        let store = DatabaseStore::new(config).unwrap();
        store.migrate().await.unwrap();
        let site = Site::on_store(store, |builder| builder.budget(Duration::from_secs(5))).await;
        let browser = signed_in(&site).await;
        let (log, _guard) = LogCapture::on_this_thread();

        match way {
            Outage::Killed => server.kill(),
            Outage::Hung => server.hang(),
            Outage::Proxy(mode) => proxy.set(mode),
        }
        let visit = async |path: &str| {
            let visit = site.visit(path, &browser.cookie_header());
            let limit = Duration::from_millis(500);
            tokio::time::timeout(limit, visit).await.is_ok_and(|visit| visit.status() == 200)
        };
        for _ in 0..4 {
            let visits = join_all((0..8).map(|_| visit("/insert:a:1,get:cart"))).await;
            assert!(!visits.contains(&true), "{way:?}");
        }
        let warnings = lines(&log, Level::WARN);
        let [told] = &warnings[..] else { panic!("{way:?}: {warnings:#?}") };
        assert!(told.starts_with("database unavailable"), "{way:?}: {told}");

        match way {
            Outage::Killed => server.restart().await,
            Outage::Hung => server.resume(),
            Outage::Proxy(_) => proxy.set(Mode::Pass),
        }
        eventually("the return of PostgreSQL", async || visit("/user").await).await;
        join_all((0..8).map(|_| visit("/user"))).await;
        assert_eq!(lines(&log, Level::WARN), warnings, "{way:?}");
        let told = lines(&log, Level::INFO);
        assert!(told.len() == 1 && told[0].starts_with("database available"), "{told:?}");
        let report = site.layer.admin().report();
        let counts = (report.count("store_down"), report.count("store_up"));
        assert_eq!(counts, (Some(1), Some(1)), "{way:?}");
    }
}

#[tokio::test]
async fn a_full_disk_is_one_line_and_does_not_count_as_unavailable() {
    let database = PostgresServer::shared().await.database().await;
    let store = DatabaseStore::new(DatabaseConfig::new(database.url())).unwrap();
    store.migrate().await.unwrap();
    let site = Site::on_store(store, |builder| builder.budget(Duration::from_secs(15))).await;
    let browser = signed_in(&site).await;
    database
        .sql(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END $$;
             CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON trs_sessions
             FOR EACH ROW EXECUTE FUNCTION full_disk()",
        )
        .await;
    let (log, _guard) = LogCapture::on_this_thread();
    for _ in 0..4 {
        let written = site.visit("/insert:a:1", &browser.cookie_header()).await;
        assert_eq!(written.status(), 503);
        let read = site.visit("/get:cart", &browser.cookie_header()).await;
        assert_eq!(read.status(), 200);
    }
    let warnings = lines(&log, Level::WARN);
    let [told] = &warnings[..] else { panic!("{warnings:#?}") };
    assert!(told.starts_with("database rejects writes"), "{told}");
    let health = site.layer.admin().health().database.unwrap();
    assert!(health.answers && health.rejects_writes, "{health:?}");
    assert_eq!(site.layer.admin().report().count("store_down"), Some(0));
}
