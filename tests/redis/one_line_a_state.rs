//! An outage is one line in the log and one event, however many requests it fails.
//!
//! To see these fail: log each failed load; count a failure that a reply followed; forget to close.

use futures_util::future::join_all;
use std::time::Duration;
use test_support::{
    Captured, FaultProxy, LogCapture, Mode, Outage, RedisServer, Site, eventually, patient,
    signed_in,
};
use tower_redis_session::RedisConfig;
use tracing::Level;

fn lines(log: &LogCapture, level: Level) -> Vec<String> {
    let ours =
        |line: &Captured| line.level == level && line.target.starts_with("tower_redis_session");
    log.events().into_iter().filter(ours).map(|line| line.text).collect()
}

/// Returns the number of lines for an operator who looks for more.
async fn outage_is_told_once(way: Outage, limits: impl Fn(&str) -> RedisConfig) -> usize {
    let redis = RedisServer::start().await;
    let proxy = FaultProxy::start(redis.addr()).await;
    let config = limits(&redis.url_at(proxy.port()));
    let budget = Duration::from_millis(400);
    let site = Site::on(config, |builder| builder.budget(budget)).await;
    let browser = signed_in(&site).await;
    let (log, _guard) = LogCapture::on_this_thread();

    way.begins(&redis, &proxy);
    if way == Outage::Killed {
        assert_eq!(site.visit("/get:cart", &browser.cookie_header()).await.status(), 503);
        let redis = site.layer.admin().health().redis.unwrap();
        assert!(redis.unavailable_for.is_some(), "at the first refused connection: {redis:?}");
    }
    for _ in 0..4 {
        let visits = (0..8).map(|_| site.visit("/get:cart", &browser.cookie_header()));
        let visits = join_all(visits).await;
        assert!(visits.iter().all(|visit| visit.status() == 503), "{way:?}");
    }
    let warnings = lines(&log, Level::WARN);
    let [told] = &warnings[..] else { panic!("{way:?}: {warnings:#?}") };
    assert!(told.starts_with("redis unavailable") && told.contains("cause="), "{way:?}: {told}");
    let each = lines(&log, Level::DEBUG).iter().filter(|line| line.contains(" failed")).count();
    let health = site.layer.admin().health().redis.unwrap();
    assert!(health.unavailable_for.is_some() && !health.rejects_writes, "{way:?}: {health:?}");

    way.ends(&redis, &proxy).await;
    let again = async || site.visit("/user", &browser.cookie_header()).await.status() == 200;
    eventually("the return of Redis", again).await;
    join_all((0..8).map(|_| site.visit("/user", &browser.cookie_header()))).await;
    assert_eq!(lines(&log, Level::WARN), warnings, "{way:?}");
    let told = lines(&log, Level::INFO);
    let told: Vec<_> = told.iter().filter(|line| line.starts_with("redis")).collect();
    assert!(
        matches!(&told[..], [line] if line.starts_with("redis available after=")),
        "{way:?}: {told:?}"
    );
    let report = site.layer.admin().report();
    assert_eq!(
        (report.count("store_down"), report.count("store_up")),
        (Some(1), Some(1)),
        "{way:?}"
    );
    assert!(report.health().redis.as_ref().unwrap().unavailable_for.is_none(), "{way:?}");
    each
}

#[tokio::test]
async fn redis_that_is_killed_hangs_or_is_cut_off_is_one_line_and_one_event() {
    for way in Outage::EVERY_WAY {
        let limit = Duration::from_millis(150);
        let limits =
            |url: &str| RedisConfig::new(url).connect_timeout(limit).command_timeout(limit);
        let each = outage_is_told_once(way, limits).await;
        assert!(each >= 32, "{way:?}: {each} lines for 32 requests");
    }
}

/// Neither a command nor an attempt to connect ends by itself.
#[tokio::test]
async fn redis_that_hangs_is_told_also_where_only_the_budget_ends_a_wait() {
    for way in [Outage::Hung, Outage::Proxy(Mode::BlackHole)] {
        let _ = outage_is_told_once(way, patient).await;
    }
}

#[tokio::test]
async fn a_full_redis_is_one_line_and_does_not_count_as_unavailable() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let browser = signed_in(&site).await;
    let (log, _guard) = LogCapture::on_this_thread();
    let mut connection = redis.connection().await;
    let full = redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg("1").to_owned();
    let () = full.query_async(&mut connection).await.unwrap();
    for _ in 0..8 {
        assert_eq!(site.visit("/insert:a:1", "").await.status(), 503);
        assert_eq!(site.visit("/get:cart", &browser.cookie_header()).await.status(), 200);
    }
    let warnings = lines(&log, Level::WARN);
    let [told] = &warnings[..] else { panic!("{warnings:#?}") };
    assert!(told.starts_with("redis rejects writes"), "{told}");
    assert!(told.contains("redis has no memory left"), "{told}");
    let health = site.layer.admin().health().redis.unwrap();
    assert!(health.answers && health.rejects_writes, "{health:?}");
    assert_eq!(site.layer.admin().report().count("store_down"), Some(0));
}
