//! The application's own tables in PostgreSQL, by the same statements.

use serde_json::json;
use test_support::PostgresServer;

use super::*;

#[tokio::test]
async fn users_platforms_settings_and_tasks_are_kept_in_postgresql_too() {
    let database = PostgresServer::shared().await.database().await;
    let url = Some(database.url());
    let site = Site::with(Setup { database: url.clone(), ..Setup::default() }).await;
    let mut alice = site.alice().await;
    let draft = json!({
        "name": "New",
        "kind": "pixelfed",
        "instance_url": "https://photos.example.org",
        "username": "alice",
        "token": "a-token",
    });
    let seen = alice.call(Method::POST, "/api/platforms", Some(draft)).await;
    assert_eq!(seen.status, StatusCode::CREATED, "{}", seen.text());
    let id = seen.json()["platform"]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/platforms/{id}/default");
    let seen = alice.call(Method::POST, &path, None).await;
    assert_eq!(seen.json()["platform"]["default"], true, "{}", seen.text());
    assert_eq!(site.app.data.token_of("1", &id).await.ok().flatten().unwrap().expose(), "a-token");
    let patch = json!({ "processing_delay": 0.0, "reprocess_existing": true });
    let seen = alice.call(Method::PATCH, "/api/settings", Some(patch)).await;
    assert_eq!(seen.status, StatusCode::OK, "{}", seen.text());
    let red = png(&flat(40, 30, RED));
    let token = alice.token().await;
    let starts = (0..10).map(|_| {
        let (mut tab, red) = (alice.clone(), red.clone());
        let parts = Parts::default().field("csrf_token", &token).file("a.png", &red);
        tokio::spawn(async move { tab.upload_raw(parts, "application/json").await })
    });
    let mut ids = std::collections::BTreeSet::new();
    for start in starts.collect::<Vec<_>>() {
        let seen = start.await.unwrap();
        assert!([200, 409].contains(&seen.status.as_u16()), "{}", seen.text());
        if seen.status == StatusCode::OK {
            let _ = ids.insert(seen.json()["task_id"].as_str().unwrap().to_owned());
        }
    }
    for id in &ids {
        assert_eq!(alice.finished(id).await["status"], "completed");
    }
    let task = ids.first().unwrap();
    let deleted = alice.call(Method::DELETE, &format!("/api/platforms/{id}"), None).await;
    assert_eq!(deleted.status, StatusCode::OK);
    site.stop().await;
    // Another start finds it all as it was.
    let site = Site::with(Setup { database: url, ..Setup::default() }).await;
    let mut alice = site.alice().await;
    assert_eq!(alice.get_json("/api/settings").await["settings"]["reprocess_existing"], true);
    let state = alice.get_json(&format!("/api/caption_tasks/{task}")).await;
    assert!(state["results"][0]["caption"].as_str().unwrap().contains("entirely red"));
    site.stop().await;
}

#[tokio::test]
async fn a_task_that_no_server_works_on_is_failed_on_both_databases() {
    let database = PostgresServer::shared().await.database().await;
    for url in [None, Some(database.url())] {
        let site = Site::with(Setup { database: url, ..Setup::default() }).await;
        let mut alice = site.alice().await;
        site.app.data.add_lost_task_for_tests("1", "lost").await;
        let state = alice.get_json("/api/caption_tasks/lost").await;
        assert!(["queued", "failed"].contains(&state["status"].as_str().unwrap()));
        let picture = png(&flat(9, 9, RED));
        // Found by the next start at the latest, or by the look every few seconds.
        let mut started = false;
        for _ in 0..100 {
            let seen = alice.upload(Parts::default().file("b.png", &picture), "application/json");
            started = seen.await.status == StatusCode::OK;
            if started {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(started);
        let state = alice.get_json("/api/caption_tasks/lost").await;
        assert_eq!(state["status"], "failed");
        assert!(state["current_step"].as_str().unwrap().contains("has stopped"));
        site.stop().await;
    }
}
