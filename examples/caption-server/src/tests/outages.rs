//! The guided demonstration: Redis is killed, hung and restarted, and nobody notices.

use tower_redis_session::{DatabaseConfig, DurableStore};

use super::*;

pub(super) async fn site() -> (Site, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let outage =
        Outage::start().await.expect("redis-server is there: apt-get install redis-server");
    let file = format!("sqlite:{}", folder.path().join("sessions.db").display());
    let redis = RedisConfig::new(outage.url());
    let store = DurableStore::builder(redis.clone(), DatabaseConfig::new(&file)).build().unwrap();
    let sessions = RedisSessionLayer::builder(store).build().unwrap();
    sessions.migrate().await.unwrap();
    let setup = Setup { sessions, cache: Some(redis), outage: Some(outage), ..Setup::default() };
    (Site::with(setup).await, folder)
}

/// Waits until the page says so.
async fn until(browser: &mut Browser, what: &str) {
    for _ in 0..200 {
        if browser.get("/outage").await.text().contains(what) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what} in {}", browser.get("/outage").await.text());
}

#[tokio::test]
async fn nobody_is_signed_out_by_what_the_page_does_to_redis() {
    let (site, _folder) = site().await;
    let mut alice = site.alice().await;
    until(&mut alice, "id=\"serving\">redis<").await;
    for (deed, process, serving) in [
        ("kill", "stopped", "database"),
        ("restart", "running", "redis"),
        ("hang", "hung", "database"),
        ("resume", "running", "redis"),
    ] {
        let seen = alice.post(&format!("/outage/{deed}"), &[]).await;
        assert_eq!(seen.header("location"), "/outage", "{deed}");
        assert!(alice.get("/outage").await.text().contains("role=\"status\""), "{deed}");
        until(&mut alice, &format!("id=\"process\">{process}<")).await;
        until(&mut alice, &format!("id=\"serving\">{serving}<")).await;
        let delay = format!("{}.5", deed.len());
        let seen = alice.post("/settings", &[("processing_delay", &delay)]).await;
        assert_eq!(seen.status, StatusCode::SEE_OTHER, "{deed}");
        let settings = alice.get_json("/api/settings").await;
        assert_eq!(settings["settings"]["processing_delay"].to_string(), delay, "{deed}");
        assert_eq!(alice.get("/caption_generation").await.status, StatusCode::OK, "{deed}");
    }
    let seen = alice.post("/outage/explode", &[]).await;
    assert_eq!(seen.status, StatusCode::NOT_FOUND);
    site.stop().await;
}

#[tokio::test]
async fn without_the_demonstration_there_is_no_such_page() {
    let site = Site::start().await;
    let mut alice = site.alice().await;
    assert_eq!(alice.get("/outage").await.status, StatusCode::NOT_FOUND);
    assert_eq!(alice.post("/outage/kill", &[]).await.status, StatusCode::NOT_FOUND);
}
