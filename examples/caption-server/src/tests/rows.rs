//! The rows F16 to F30 and F40 of the feature table, from outside. Each test is named after its
//! row.

use serde_json::json;
use test_support::{PATIENCE, RedisServer, bounded};
use tower_redis_session::{
    DatabaseConfig, DurableStore, RedisStore, clock::ManualClock, directory::Directory as _,
};

use super::{captioning::gated, *};

fn red() -> Vec<u8> {
    png(&flat(40, 30, RED))
}

/// Sessions and caches in a Redis of the test's own.
async fn on(redis: &RedisServer) -> Site {
    let store = RedisStore::new(RedisConfig::new(redis.url())).unwrap();
    let sessions = RedisSessionLayer::builder(store).build().unwrap();
    let cache = Some(RedisConfig::new(redis.url()));
    Site::with(Setup { sessions, cache, ..Setup::default() }).await
}

/// Sessions in a database with Redis in front, and the cache in that Redis.
async fn durable_on(redis: &RedisServer, folder: &TempDir) -> Site {
    let file = format!("sqlite:{}", folder.path().join("sessions.db").display());
    let store =
        DurableStore::builder(RedisConfig::new(redis.durable_url()), DatabaseConfig::new(&file));
    let sessions = RedisSessionLayer::builder(store.build().unwrap()).build().unwrap();
    sessions.migrate().await.unwrap();
    let cache = Some(RedisConfig::new(redis.url()));
    Site::with(Setup { sessions, cache, ..Setup::default() }).await
}

async fn platform_ids(browser: &mut Browser) -> (Vec<String>, Option<String>) {
    let listed = browser.get_json("/api/platforms").await;
    let ids = listed["platforms"].as_array().unwrap().iter();
    let ids = ids.map(|own| own["id"].as_str().unwrap().to_owned()).collect();
    (ids, listed["active"].as_str().map(str::to_owned))
}

fn draft(name: &str) -> Value {
    json!({
        "name": name,
        "kind": "mastodon",
        "instance_url": "https://social.example.org",
        "username": "somebody",
        "token": "a-token-canary4711",
    })
}

#[tokio::test]
async fn f16_static_files_and_health_checks_cost_the_store_nothing() {
    let redis = RedisServer::start().await;
    let site = on(&redis).await;
    let mut browser = site.alice().await;
    let mut monitor = redis.monitor().await;
    for path in ["/healthz", "/readyz", "/style.css", "/app.js", "/icon.svg", "/nothing"] {
        let _ = browser.get(path).await;
    }
    let commands = monitor.take().await;
    let of_clients: Vec<_> = commands.iter().filter(|c| c.is_from_a_client()).collect();
    assert!(of_clients.is_empty(), "{of_clients:?}");
}

#[tokio::test]
async fn f17_the_session_state_api_tells_the_state_and_no_secret() {
    let site = Site::start().await;
    let (mut nobody, mut alice) = (site.browser(), site.alice().await);
    let mut bob = site.bob().await;
    assert_eq!(nobody.get_json("/api/session/state").await["signed_in"], false);
    let state = alice.get_json("/api/session/state").await;
    assert_eq!((&state["user_id"], &state["platform_id"]), (&json!("1"), &json!("12")));
    assert!(state["expires_in"].as_u64().is_some_and(|left| left > 0), "{state}");
    let seen = alice.call(Method::POST, "/api/session/validate", None).await;
    assert_eq!(seen.status, StatusCode::OK);
    let seen = alice.call(Method::POST, "/api/session/heartbeat", None).await;
    assert!(seen.json()["expires_in"].is_u64(), "{}", seen.text());
    // With protection against forged requests on.
    let seen = alice.send(Request::post("/api/session/heartbeat"), Bytes::new()).await;
    assert_eq!((seen.status, &seen.json()["error"]), (StatusCode::FORBIDDEN, &json!("forged")));
    let report = alice.get_json("/api/session/report").await;
    assert_eq!((&report["serving"], &report["ready"]), (&json!("memory"), &json!(true)));
    assert!(report["counts"]["created"].as_u64().unwrap() >= 2, "{report}");
    let metrics = alice.get("/api/session/metrics").await;
    assert!(metrics.header("content-type").starts_with("text/plain; version=0.0.4"));
    assert!(metrics.text().contains("session_events_total{event=\"created\"}"));
    for path in ["/api/session/report", "/api/session/metrics"] {
        assert_eq!(bob.get(path).await.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(nobody.get(path).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    let secret = alice.jar["__Host-session"].clone();
    for path in ["/api/session/state", "/api/session/sessions", "/api/session/report", "/devices"] {
        assert!(!alice.get(path).await.text().contains(&secret), "{path}");
    }
}

#[tokio::test]
async fn f18_each_kind_of_error_has_its_answer() {
    let clock = ManualClock::new();
    let store = MemoryStore::with_clock(clock.clock());
    let sessions = RedisSessionLayer::builder(store).build().unwrap();
    let site = Site::with(Setup { sessions, ..Setup::default() }).await;
    let (mut nobody, mut alice) = (site.browser(), site.alice().await);
    let mut bob = site.bob().await;
    let seen = nobody.get("/api/settings").await;
    assert_eq!(
        (seen.status, &seen.json()["error"]),
        (StatusCode::UNAUTHORIZED, &json!("unauthenticated"))
    );
    assert_eq!(nobody.get("/settings").await.header("location"), "/login?next=/settings");
    let seen = bob.get("/admin").await;
    assert_eq!(seen.status, StatusCode::FORBIDDEN);
    assert!(seen.text().contains("for administrators"));
    let seen = bob.call(Method::POST, "/api/admin/users/1/sign_out", None).await;
    assert_eq!((seen.status, &seen.json()["error"]), (StatusCode::FORBIDDEN, &json!("forbidden")));
    // Over is not the same as away, nor as never signed in.
    clock.advance(Duration::from_secs(2 * 3600));
    let seen = alice.get("/api/settings").await;
    assert_eq!(
        (seen.status, &seen.json()["error"]),
        (StatusCode::UNAUTHORIZED, &json!("session_expired"))
    );
    assert_eq!(alice.get("/settings").await.header("location"), "/login?next=/settings");
}

#[tokio::test]
async fn f19_the_active_platform_is_always_one_of_the_users() {
    let site = Site::start().await;
    let mut alice = site.alice().await;
    assert_eq!(platform_ids(&mut alice).await.1.as_deref(), Some("12"));
    let seen = alice.call(Method::DELETE, "/api/platforms/12", None).await;
    assert_eq!(seen.status, StatusCode::OK, "{}", seen.text());
    // The choice is gone with the platform, and the default takes its place; the session lives on.
    assert_eq!(platform_ids(&mut alice).await, (vec!["11".to_owned()], Some("11".to_owned())));
    assert!(alice.get("/caption_generation").await.text().contains("Everyday"));
    assert_eq!(alice.get_json("/api/session/state").await["signed_in"], true);
}

#[tokio::test]
async fn f20_guards_stand_in_front_of_pages_and_of_the_api() {
    let site = Site::start().await;
    let (mut nobody, mut bob) = (site.browser(), site.bob().await);
    for path in ["/caption_generation", "/platforms", "/settings", "/devices", "/admin", "/outage"]
    {
        let seen = nobody.get(path).await;
        assert_eq!(seen.status, StatusCode::SEE_OTHER, "{path}");
        assert!(seen.header("location").starts_with("/login?next="), "{path}");
    }
    for path in ["/api/platforms", "/api/settings", "/api/caption_tasks"] {
        assert_eq!(nobody.get(path).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    for id in ["21", "22"] {
        let _ = bob.call(Method::DELETE, &format!("/api/platforms/{id}"), None).await;
    }
    assert_eq!(bob.get("/caption_generation").await.header("location"), "/platforms");
    let seen = bob.upload(Parts::default().file("a.png", &red()), "application/json").await;
    assert_eq!(
        (seen.status, &seen.json()["error"]),
        (StatusCode::FORBIDDEN, &json!("platform_required"))
    );
}

#[tokio::test]
async fn f21_the_platform_is_the_sessions_else_the_default_else_the_first() {
    let site = Site::start().await;
    let mut bob = site.bob().await;
    assert_eq!(platform_ids(&mut bob).await.1.as_deref(), Some("21"), "the default");
    let seen = bob.call(Method::POST, "/api/platforms/22/default", None).await;
    assert_eq!(seen.json()["platform"]["default"], true);
    assert_eq!(platform_ids(&mut bob).await.1.as_deref(), Some("22"), "the new default");
    let _ = bob.call(Method::POST, "/api/platforms/21/activate", None).await;
    assert_eq!(platform_ids(&mut bob).await.1.as_deref(), Some("21"), "the session's");
    let _ = bob.call(Method::DELETE, "/api/platforms/22", None).await;
    let mut elsewhere = site.bob().await;
    assert_eq!(platform_ids(&mut elsewhere).await.1.as_deref(), Some("21"), "the first");
}

#[test]
fn f22_every_old_name_has_its_new_one_in_the_docs() {
    let docs = include_str!("../../../../src/lib.rs");
    for name in [
        "get_current_session_context",
        "get_current_session_id",
        "get_current_user_id",
        "get_current_platform_id",
        "get_current_user_info",
        "get_current_platform_info",
        "update_session_platform",
        "create_user_session",
        "destroy_current_session",
        "validate_current_session",
        "update_session_activity",
        "clear_session_platform",
        "get_session_created_at",
        "get_session_last_activity",
        "get_user_settings",
        "DatabaseSessionMiddleware",
    ] {
        assert!(docs.contains(&format!("//! | `{name}`")), "{name}");
    }
}

#[tokio::test]
async fn f23_a_form_without_the_sessions_token_changes_nothing() {
    let site = Site::start().await;
    let mut alice = site.alice().await;
    let before = alice.token().await;
    let others = site.bob().await.token().await;
    let cut: String = before.chars().take(20).collect();
    let post = |token: String| {
        let body = form::body_of(&[("processing_delay", "2"), ("csrf_token", &token)]);
        let request = Request::post("/settings")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        (request, Bytes::from(body))
    };
    for (name, token) in [("none", ""), ("another's", &*others), ("cut off", &*cut)] {
        let (request, body) = post(token.to_owned());
        assert_eq!(alice.send(request, body).await.status, StatusCode::FORBIDDEN, "{name}");
    }
    assert_eq!(alice.get_json("/api/settings").await["settings"]["processing_delay"], 1.0);
    let (request, body) = post(before.clone());
    assert_eq!(alice.send(request, body).await.status, StatusCode::SEE_OTHER);
    // It dies with the session, also where the same person signs in again.
    let _ = alice.post("/logout", &[]).await;
    let _ = alice.sign_in("alice", "wonderland").await;
    let (request, body) = post(before);
    assert_eq!(alice.send(request, body).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn f24_an_administrator_clears_a_users_platform_and_is_told_the_truth() {
    let redis = RedisServer::start().await;
    let site = on(&redis).await;
    let (mut alice, mut bob) = (site.alice().await, site.bob().await);
    let _ = bob.call(Method::POST, "/api/platforms/22/activate", None).await;
    let path = "/api/admin/users/2/clear_platform";
    let seen = alice.call(Method::POST, path, None).await;
    assert_eq!(seen.json()["sessions"], 1, "{}", seen.text());
    assert_eq!(bob.get_json("/api/session/state").await["platform_id"], Value::Null);
    assert_eq!(alice.call(Method::POST, path, None).await.json()["sessions"], 0);
    let seen = alice.call(Method::POST, "/api/admin/users/99/clear_platform", None).await;
    assert_eq!(seen.status, StatusCode::NOT_FOUND);
    assert_eq!(bob.call(Method::POST, path, None).await.status, StatusCode::FORBIDDEN);
    let seen = site.browser().call(Method::POST, path, None).await;
    assert_eq!(seen.status, StatusCode::UNAUTHORIZED);
    let token = alice.token().await;
    redis.kill();
    let request = Request::post(path).header("x-csrf-token", token);
    let seen = alice.send(request, Bytes::new()).await;
    assert_eq!(seen.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn f25_the_page_shows_the_platform_the_settings_and_the_latest_tasks() {
    let (site, gate) = gated().await;
    let mut alice = site.alice().await;
    let page = alice.get("/caption_generation").await;
    for shown in ["Photographs", "500 characters", "80 to 200", ">50<", ">no<", "1.0 s"] {
        assert!(page.text().contains(shown), "{shown}");
    }
    let task = alice.start(Parts::default().file("a.png", &red())).await;
    let page = alice.get("/caption_generation").await;
    assert!(page.text().contains("Under way") && page.text().contains(&task));
    gate.add_permits(100);
    let _ = alice.finished(&task).await;
    let mut tasks = vec![task];
    for number in 0..5 {
        let picture = png(&flat(8 + number, 8, RED));
        let task = alice.start(Parts::default().file("a.png", &picture)).await;
        let _ = alice.finished(&task).await;
        tasks.push(task);
    }
    let page = alice.get("/caption_generation").await;
    let shown: Vec<_> = tasks.iter().map(|task| page.text().contains(&**task)).collect();
    assert_eq!(shown, [false, true, true, true, true, true]);
}

#[tokio::test]
async fn f26_a_start_answers_as_documented_and_one_task_is_active() {
    let (site, gate) = gated().await;
    let mut alice = site.alice().await;
    let bad = Parts::default()
        .file("a.png", &red())
        .field("max_caption_length", "1001")
        .field("optimal_min_length", "x")
        .field("processing_delay", "10.1");
    let seen = alice.upload(bad, "application/json").await;
    assert_eq!(seen.status, StatusCode::BAD_REQUEST);
    let fields = seen.json()["fields"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields, ["max_caption_length", "optimal_min_length", "processing_delay"]);
    let turned = Parts::default()
        .file("a.png", &red())
        .field("optimal_max_length", "100")
        .field("optimal_min_length", "150");
    assert_eq!(alice.upload(turned, "application/json").await.status, StatusCode::BAD_REQUEST);

    let parts = Parts::default().file("a.png", &red()).field("processing_delay", "0.0");
    let token = alice.token().await;
    let starts = (0..50).map(|_| {
        let (mut tab, token, parts) = (alice.clone(), token.clone(), parts.clone());
        tokio::spawn(async move {
            let first = Parts::default().field("csrf_token", &token);
            tab.upload_raw(Parts([first.0, parts.0].concat()), "application/json").await
        })
    });
    let (mut started, mut refused) = (Vec::new(), Vec::new());
    for start in starts.collect::<Vec<_>>() {
        let seen = start.await.unwrap();
        match seen.status {
            StatusCode::OK => started.push(seen.json()),
            StatusCode::CONFLICT => refused.push(seen.json()),
            status => panic!("{status}: {}", seen.text()),
        }
    }
    assert_eq!((started.len(), refused.len()), (1, 49));
    let task = started[0]["task_id"].as_str().unwrap();
    assert_eq!(started[0]["success"], true);
    assert_eq!(started[0]["redirect_url"], format!("/caption_tasks/{task}"));
    assert!(started[0]["message"].is_string());
    assert!(refused.iter().all(|refused| refused["task_id"] == task));
    let listed = alice.get_json("/api/caption_tasks").await;
    assert_eq!(listed["tasks"].as_array().unwrap().len(), 1);
    // Progress as a stream, to its end.
    let path = format!("/api/caption_tasks/{task}/events");
    let stream = alice.open(Request::get(&path), Bytes::new()).await;
    assert_eq!(stream.headers()[header::CONTENT_TYPE], "text/event-stream");
    gate.add_permits(1);
    let whole = bounded("the end of the stream", stream.into_body().collect()).await.unwrap();
    let whole = String::from_utf8(whole.to_bytes().to_vec()).unwrap();
    assert!(whole.contains("event: task\ndata: {"), "{whole}");
    assert!(whole.trim_end().contains("\"status\":\"completed\""), "{whole}");
    let results = alice.get_json(&format!("/api/caption_tasks/{task}/results")).await;
    assert_eq!(results["results"][0]["caption"], "A caption.");
}

#[tokio::test]
async fn f27_settings_are_right_with_redis_down_and_fresh_after_a_save() {
    let (redis, folder) = (RedisServer::start().await, tempfile::tempdir().unwrap());
    let site = durable_on(&redis, &folder).await;
    let mut alice = site.alice().await;
    let delay = |settings: Value| settings["settings"]["processing_delay"].as_f64().unwrap();
    assert_eq!(delay(alice.get_json("/api/settings").await), 1.0);
    let seen =
        alice.call(Method::PATCH, "/api/settings", Some(json!({"processing_delay": 2.5}))).await;
    assert_eq!(delay(seen.json()), 2.5);
    assert_eq!(delay(alice.get_json("/api/settings").await), 2.5);
    let kept = redis.dump().await;
    assert!(kept.iter().any(|(key, _)| key.starts_with("session:d:")), "it is in the cache");
    redis.kill();
    assert_eq!(delay(alice.get_json("/api/settings").await), 2.5);
    let seen =
        alice.call(Method::PATCH, "/api/settings", Some(json!({"processing_delay": 3.5}))).await;
    assert_eq!(delay(seen.json()), 3.5);
    assert_eq!(delay(alice.get_json("/api/settings").await), 3.5);
    redis.restart().await;
    assert_eq!(delay(alice.get_json("/api/settings").await), 3.5);
}

#[tokio::test]
async fn f28_a_partial_update_keeps_the_rest_and_needs_no_cache() {
    let (redis, folder) = (RedisServer::start().await, tempfile::tempdir().unwrap());
    let site = durable_on(&redis, &folder).await;
    let mut alice = site.alice().await;
    let patch = json!({"max_caption_length": 300, "reprocess_existing": true});
    let _ = alice.call(Method::PATCH, "/api/settings", Some(patch)).await;
    redis.hang();
    let seen =
        alice.call(Method::PATCH, "/api/settings", Some(json!({"processing_delay": 0.5}))).await;
    assert_eq!(seen.status, StatusCode::OK, "{}", seen.text());
    redis.resume();
    let settings = alice.get_json("/api/settings").await["settings"].clone();
    let expected = json!({
        "max_posts_per_run": 50, "max_caption_length": 300, "optimal_min_length": 80,
        "optimal_max_length": 200, "reprocess_existing": true, "processing_delay": 0.5,
    });
    assert_eq!(settings, expected);
    // Two at once keep both.
    let (mut one, mut two) = (alice.clone(), alice.clone());
    let (one, two) = tokio::join!(
        one.call(Method::PATCH, "/api/settings", Some(json!({"optimal_min_length": 90}))),
        two.call(Method::PATCH, "/api/settings", Some(json!({"optimal_max_length": 210}))),
    );
    assert_eq!((one.status, two.status), (StatusCode::OK, StatusCode::OK));
    let settings = alice.get_json("/api/settings").await["settings"].clone();
    assert_eq!(
        (&settings["optimal_min_length"], &settings["optimal_max_length"]),
        (&json!(90), &json!(210))
    );
    let seen =
        alice.call(Method::PATCH, "/api/settings", Some(json!({"max_posts_per_run": 0}))).await;
    assert_eq!(seen.json()["fields"]["max_posts_per_run"], "must be from 1 to 500");
}

#[tokio::test]
async fn f29_platforms_are_cached_and_fresh_after_every_change() {
    let redis = RedisServer::start().await;
    let site = on(&redis).await;
    let mut alice = site.alice().await;
    let _ = platform_ids(&mut alice).await;
    // From the cache: a change that nobody told of is not seen until the entry is over.
    assert!(site.app.data.delete_platform("1", "12").await.is_ok_and(|done| done));
    assert_eq!(platform_ids(&mut alice).await.0, ["11", "12"]);
    let seen = alice.call(Method::POST, "/api/platforms", Some(draft("New"))).await;
    let new = seen.json()["platform"]["id"].as_str().unwrap().to_owned();
    assert_eq!(platform_ids(&mut alice).await.0, ["11", &*new]);
    let path = format!("/api/platforms/{new}");
    let seen = alice.call(Method::PUT, &path, Some(draft("Renamed"))).await;
    assert_eq!(seen.json()["platform"]["name"], "Renamed");
    assert_eq!(alice.get_json(&path).await["platform"]["name"], "Renamed");
    let _ = alice.call(Method::POST, &format!("{path}/default"), None).await;
    let default = alice.get_json(&path).await;
    assert_eq!(default["platform"]["default"], true);
    let _ = alice.call(Method::DELETE, &path, None).await;
    assert_eq!(platform_ids(&mut alice).await.0, ["11"]);
    // Somebody else's is nobody's.
    let mut bob = site.bob().await;
    for (method, path) in
        [(Method::GET, "/api/platforms/11"), (Method::DELETE, "/api/platforms/11")]
    {
        assert_eq!(bob.call(method, path, None).await.status, StatusCode::NOT_FOUND);
    }
    let seen = bob.call(Method::POST, "/api/platforms/11/activate", None).await;
    assert_eq!(seen.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn f30_platform_tokens_are_ciphertext_and_a_wrong_key_is_an_error() {
    let redis = RedisServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("captions.db");
    let database = format!("sqlite:{}", file.display());
    let store = RedisStore::new(RedisConfig::new(redis.url())).unwrap();
    let sessions = RedisSessionLayer::builder(store).build().unwrap();
    let cache = Some(RedisConfig::new(redis.url()));
    let setup = Setup { sessions, cache, database: Some(database.clone()), ..Setup::default() };
    let site = Site::with(setup).await;
    let mut alice = site.alice().await;
    let seen = alice.call(Method::POST, "/api/platforms", Some(draft("Sealed"))).await;
    let id = seen.json()["platform"]["id"].as_str().unwrap().to_owned();
    assert!(!seen.text().contains("canary4711"));
    // Read twice: the second time from Redis.
    for _ in 0..2 {
        let token = site.app.people.credentials("1", &id).await.unwrap().unwrap();
        assert_eq!(token.expose(), "a-token-canary4711");
    }
    let keys = redis.dump().await;
    assert!(
        keys.iter().any(|(key, _)| key.starts_with("session:d:") && key.contains("}c:")),
        "it is cached: {keys:?}"
    );
    assert_eq!(redis.find_everywhere("canary4711").await, Vec::<String>::new());
    for path in ["/platforms", &format!("/platforms/{id}"), "/api/platforms", "/admin"] {
        assert!(!alice.get(path).await.text().contains("canary4711"), "{path}");
    }
    site.stop().await;
    for name in ["captions.db", "captions.db-wal"] {
        let bytes = std::fs::read(folder.path().join(name)).unwrap_or_default();
        assert!(!bytes.windows(10).any(|part| part == b"canary4711"), "{name}");
    }
    let wrong = "test:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8".parse().unwrap();
    let data = Data::open(&database, wrong).await.map_err(|error| error.to_string()).unwrap();
    let error = data.check_keys().await.unwrap_err().to_string();
    assert!(error.contains("changed, moved or sealed under another key"), "{error}");
    assert!(data.credentials("1", &id).await.is_err());
    let other = "other:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8".parse().unwrap();
    let data = Data::open(&database, other).await.map_err(|error| error.to_string()).unwrap();
    let error = data.check_keys().await.unwrap_err().to_string();
    assert!(error.contains("a key that is not on the ring"), "{error}");
}

/// Reads a stream of events until one holds `text`.
async fn hears(stream: &mut Incoming, text: &str) {
    let mut heard = String::new();
    let listening = async {
        while !heard.contains(text) {
            let Some(frame) = stream.frame().await else { return };
            let frame = frame.unwrap();
            heard.push_str(&String::from_utf8_lossy(frame.data_ref().unwrap()));
        }
    };
    let _ = tokio::time::timeout(PATIENCE, listening).await;
    assert!(heard.contains(text), "{text} in {heard}");
}

#[tokio::test]
async fn f40_other_tabs_and_devices_follow_at_once() {
    let redis = RedisServer::start().await;
    let site = on(&redis).await;
    let (mut laptop, mut phone) = (site.alice().await, site.alice().await);
    let mut tab = laptop.clone();
    let tab = tab.open(Request::get("/api/session/events"), Bytes::new()).await;
    let mut tab = tab.into_body();
    hears(&mut tab, "\"platform_id\":\"12\"").await;
    let _ = laptop.call(Method::POST, "/api/platforms/11/activate", None).await;
    hears(&mut tab, "\"platform_id\":\"11\"").await;
    // One device ends the other, which is out at its next request.
    let mut stream = phone.open(Request::get("/api/session/events"), Bytes::new()).await;
    let listed = laptop.get_json("/api/session/sessions").await;
    let other = listed["sessions"].as_array().unwrap().iter().find(|one| one["current"] == false);
    let other = other.unwrap()["id"].as_str().unwrap().to_owned();
    let seen = laptop.post("/devices/revoke", &[("id", &other)]).await;
    assert_eq!(seen.header("location"), "/devices");
    assert_eq!(phone.get_json("/api/session/state").await["signed_in"], false);
    hears(stream.body_mut(), "event: ended").await;
    // All of them, and this one too.
    let mut phone = site.alice().await;
    let seen = laptop.call(Method::POST, "/api/session/logout-everywhere", None).await;
    assert_eq!(seen.status, StatusCode::OK, "{}", seen.text());
    for browser in [&mut laptop, &mut phone] {
        assert_eq!(browser.get_json("/api/session/state").await["signed_in"], false);
    }
    hears(&mut tab, "event: ended").await;
}
