//! What happens in the life of a session is told once, by its public id, as a stream and in the
//! log.
//!
//! To see these fail: leave out any `emit`, or repeat one.

use std::{net::Ipv4Addr, time::Duration};

use serde_json::{Value, json};
use test_support::{
    COOKIE, Client, LogCapture, Matching, RedisServer, RespProxy, Site, bounded, patient,
    record_key,
};
use tower_redis_session::{
    SessionId,
    layer::DeviceConfig,
    telemetry::{Event, EventStream},
};

/// All that was told so far, as JSON: a mark of the test's own ends it.
async fn told(site: &Site, events: &mut EventStream) -> Vec<Value> {
    let mark = site.layer.admin().revoke_all("nobody at all").await.unwrap();
    let mut told = Vec::new();
    loop {
        match bounded("an event", events.next()).await.unwrap() {
            Event::RevokedAll { count, .. } if count == mark => return told,
            event => told.push(serde_json::to_value(event).unwrap()),
        }
    }
}

async fn id(browser: &mut test_support::Browser) -> SessionId {
    browser.get("/id").await.expect(200).text().parse().unwrap()
}

#[tokio::test]
async fn each_event_is_told_once_and_with_the_public_id() {
    let redis = RedisServer::start().await;
    let site =
        Site::configured(&redis, |builder| builder.idle_timeout(Duration::from_secs(60))).await;
    let mut events = site.layer.admin().events();
    let mut browser = site.browser().await;

    browser.get("/insert:a:1").await.expect(200);
    let first = id(&mut browser).await;
    assert_eq!(told(&site, &mut events).await, [json!({"event": "created", "id": first})]);

    browser.get("/login:alice").await.expect(200);
    let second = id(&mut browser).await;
    let renewed = json!({
        "event": "renewed", "old": first, "new": second, "user": "alice", "cause": "sign_in",
    });
    assert_eq!(told(&site, &mut events).await, [renewed]);

    browser.get("/get:a,insert:b:1,touch,say:hello").await.expect(200);
    assert_eq!(told(&site, &mut events).await, [] as [Value; 0]);

    // Two writers.
    let mut tab = browser.tab().await;
    let slow = tokio::spawn(async move { tab.get("/get:a,gate:slow,insert:c:1").await });
    site.gates.arrived("slow").await;
    browser.get("/insert:d:1").await.expect(200);
    site.gates.open("slow");
    slow.await.unwrap().expect(200);
    assert_eq!(told(&site, &mut events).await, [json!({"event": "conflict", "id": second})]);

    // One that ends under a request.
    let mut tab = browser.tab().await;
    let slow = tokio::spawn(async move { tab.get("/get:a,gate:slow,insert:c:2").await });
    site.gates.arrived("slow").await;
    let old = browser.cookie(COOKIE).unwrap().to_owned();
    browser.get("/logout").await.expect(200);
    site.gates.open("slow");
    slow.await.unwrap().expect(200);
    let ended = [
        json!({"event": "destroyed", "id": second, "cause": "logout"}),
        json!({"event": "ended_during_request", "id": second, "user": "alice"}),
    ];
    assert_eq!(told(&site, &mut events).await, ended);

    // A cookie of before.
    let mut client = Client::connect(site.addr()).await;
    client.get_with("/user,user,get:a", &format!("{COOKIE}={old}")).await.expect(200);
    assert_eq!(told(&site, &mut events).await, [json!({"event": "unknown_token", "id": second})]);

    // The same once more, counted.
    let report = site.layer.admin().report();
    for (name, count) in [
        ("created", 1),
        ("renewed", 1),
        ("conflict", 1),
        ("destroyed", 1),
        ("ended_during_request", 1),
        ("unknown_token", 1),
        ("revoked", 0),
        ("corrupt", 0),
    ] {
        assert_eq!(report.count(name), Some(count), "{name}");
    }
    assert!(report.health().redis.as_ref().unwrap().answers);
}

#[tokio::test]
async fn revocations_and_what_cannot_be_used_are_told() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let (mut one, mut two) = (site.browser().await, site.browser().await);
    one.get("/login:alice").await.expect(200);
    two.get("/login:alice").await.expect(200);
    let (first, second) = (id(&mut one).await, id(&mut two).await);
    let mut events = site.layer.admin().events();

    let both = format!(
        "{COOKIE}={}; {COOKIE}={}",
        one.cookie(COOKIE).unwrap(),
        two.cookie(COOKIE).unwrap()
    );
    let mut client = Client::connect(site.addr()).await;
    client.get_with("/user", &both).await.expect(200);
    assert_eq!(told(&site, &mut events).await, [json!({"event": "ambiguous"})]);

    one.get(&format!("/revoke:{second}")).await.expect(200);
    let revoked = json!({"event": "revoked", "id": second, "user": "alice", "cause": "user"});
    assert_eq!(told(&site, &mut events).await, [revoked]);

    let mut set = redis::cmd("SET");
    set.arg(record_key(first)).arg("torn").arg("KEEPTTL");
    let () = set.query_async(&mut redis.connection().await).await.unwrap();
    one.get("/user,user").await.expect(200);
    assert_eq!(told(&site, &mut events).await, [json!({"event": "corrupt", "id": first})]);

    two.get("/login:bob").await.expect(200);
    assert_eq!(site.layer.admin().revoke_all("bob").await.unwrap(), 1);
    let seen = told(&site, &mut events).await;
    let names: Vec<_> = seen.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["unknown_token", "created", "revoked_all"]);
    assert_eq!((&seen[1]["user"], &seen[2]["user"]), (&json!("bob"), &json!("bob")));
    assert_eq!((&seen[2]["count"], &seen[2]["cause"]), (&json!(1), &json!("administrator")));
}

#[tokio::test]
async fn an_expired_session_is_told_apart_from_one_that_never_was() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = site.browser().await;
    let said = browser.get("/insert:a:1,expiry:1:1,save,id").await.expect(200).text();
    let expired: SessionId = said.parse().unwrap();
    let mut events = site.layer.admin().events();
    // By the record's own time, which nothing hurries.
    while browser.get("/get:a").await.expect(200).text() != "-" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(told(&site, &mut events).await, [json!({"event": "expired", "id": expired})]);
}

#[tokio::test]
async fn a_listener_that_sleeps_or_panics_holds_up_nobody() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let (mut asleep, mut panics) = (site.layer.admin().events(), site.layer.admin().events());
    let listener = tokio::spawn(async move {
        let event = panics.next().await;
        panic!("a listener that does not bear {event:?}");
    });
    let mut browser = site.browser().await;
    for _ in 0..600 {
        browser.get("/login:alice").await.expect(200);
        browser.get("/logout").await.expect(200);
    }
    assert!(listener.await.is_err());
    assert_eq!(asleep.next().await, Some(Event::Missed { count: 1_200 - 1_024 }));
    assert!(matches!(asleep.next().await, Some(Event::Created { .. } | Event::Destroyed { .. })));
}

#[tokio::test]
async fn a_logout_whose_answer_is_lost_is_told_once() {
    let redis = RedisServer::start().await;
    let proxy = RespProxy::start(redis.addr()).await;
    let site = Site::on(patient(&redis.url_at(proxy.port())), |builder| builder).await;
    let mut browser = site.browser().await;
    browser.get("/login:alice").await.expect(200);
    let alice = id(&mut browser).await;
    let mut events = site.layer.admin().events();
    let kill = Matching::command("EVALSHA").containing("60000");
    let cut = proxy.cut_reply(kill.containing(alice.to_string()));
    browser.get("/logout").await.expect(200);
    assert_eq!(cut.count(), 1, "the first answer was lost");
    let destroyed = json!({"event": "destroyed", "id": alice, "cause": "logout"});
    assert_eq!(told(&site, &mut events).await, [destroyed]);
}

#[tokio::test]
async fn an_audit_learns_who_from_where_and_why() {
    let redis = RedisServer::start().await;
    let devices = DeviceConfig::new().peer_address(|_| Some(Ipv4Addr::LOCALHOST.into()));
    let site = Site::configured(&redis, |builder| builder.devices(devices)).await;
    let mut events = site.layer.admin().events();
    let (log, _guard) = LogCapture::on_this_thread();
    let mut browser = site.browser().await;
    browser.get("/login:alice").await.expect(200);
    let first = id(&mut browser).await;
    let device = json!({"address": "127.0.0.1"});
    let created = json!({"event": "created", "id": first, "user": "alice", "device": device});
    assert_eq!(told(&site, &mut events).await, [created]);

    browser.get("/label:Laptop,renew").await.expect(200);
    let second = id(&mut browser).await;
    let device = json!({"address": "127.0.0.1", "label": "Laptop"});
    let renewed = json!({
        "event": "renewed", "old": first, "new": second, "user": "alice", "device": device,
        "cause": "renewal",
    });
    assert_eq!(told(&site, &mut events).await, [renewed]);

    // Without a load its user would be unknown.
    let mut phone = site.browser().await;
    phone.get("/login:alice").await.expect(200);
    let there = id(&mut phone).await;
    let _ = told(&site, &mut events).await;
    phone.get("/user,logout").await.expect(200);
    let ended = json!({
        "event": "destroyed", "id": there, "user": "alice", "device": {"address": "127.0.0.1"},
        "cause": "logout",
    });
    assert_eq!(told(&site, &mut events).await, [ended]);

    // The second sign-in of a browser that sends the cookies of two sessions.
    let mut other = site.browser().await;
    other.get("/login:bob").await.expect(200);
    let third = id(&mut other).await;
    let cookies = [&browser, &other].map(test_support::Browser::cookie_header).join("; ");
    let _ = told(&site, &mut events).await;
    assert_eq!(site.visit("/login:carol", &cookies).await.status(), 200);
    let seen = told(&site, &mut events).await;
    let replaced: Vec<_> = seen
        .iter()
        .filter(|event| event["cause"] == "replaced")
        .map(|event| &event["id"])
        .collect();
    assert_eq!(replaced.len(), 2, "{seen:?}");
    for session in [second, third] {
        assert!(replaced.contains(&&json!(session)), "{seen:?}");
    }

    browser.get("/insert:a:1").await.expect(200);
    browser.get("/remove:a").await.expect(200);
    let emptied = told(&site, &mut events).await;
    assert_eq!(emptied.last().map(|event| &event["cause"]), Some(&json!("emptied")));

    let line = log.events().into_iter().find(|line| line.text.starts_with("session renewed"));
    let line = line.expect("a line").text;
    for field in [
        format!("session.id={second}"),
        format!("session.previous_id={first}"),
        "user.id=alice".to_owned(),
        "client.address=127.0.0.1".to_owned(),
        "device=Laptop".to_owned(),
        "cause=renewal".to_owned(),
    ] {
        assert!(line.contains(&field), "{field} in {line}");
    }
}
