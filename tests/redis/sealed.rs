//! Records that only the cookie opens: who has the store reads no values and forges none.
//!
//! To see these fail: save the record in the place of the sealed one; leave the id or the version
//! out of what is bound; read on as plain what does not open.

use test_support::{Browser, RedisServer, Site, record_key, records};
use tower_redis_session::{
    ErrorKind,
    encryption::UnsealedRecords::{self, Accept, Reject},
};

const CANARY: &str = "canary4711";

async fn sealing(redis: &RedisServer, plain: UnsealedRecords) -> Site {
    Site::configured(redis, |builder| builder.seal_records(plain)).await
}

async fn id(browser: &mut Browser) -> String {
    browser.get("/id").await.expect(200).text()
}

fn shows(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

async fn set(redis: &RedisServer, key: &str, value: &[u8]) {
    let mut set = redis::cmd("SET");
    set.arg(key).arg(value).arg("KEEPTTL");
    let () = set.query_async(&mut redis.connection().await).await.unwrap();
}

#[tokio::test]
async fn a_sealed_session_does_all_that_a_plain_one_does_and_shows_nothing() {
    let redis = RedisServer::start().await;
    let site = sealing(&redis, Reject).await;
    let mut browser = site.browser().await;
    for (path, said) in [
        (&*format!("/insert:card:{CANARY},get:card"), CANARY),
        ("/update:visits,update:visits", "1,2"),
        (&*format!("/login:alice:{CANARY},user"), "alice"),
        ("/renew,get:card", CANARY),
        ("/push:list:canary4711", CANARY),
        ("/get:visits,platform,user", "2,canary4711,alice"),
        ("/touch", "false"),
    ] {
        assert_eq!(browser.get(path).await.expect(200).text(), said, "{path}");
        for (_, record) in records(&redis).await {
            assert!(!shows(&record, CANARY) && !shows(&record, "card"), "{path}");
        }
    }
    // What revocations and lists need stays readable.
    assert!(records(&redis).await.iter().any(|(_, record)| shows(record, "alice")));
    assert_eq!(site.layer.admin().sessions_of("alice").await.unwrap().len(), 1);
    assert_eq!(site.layer.admin().revoke_all("alice").await.unwrap(), 1);
    assert_eq!(browser.get("/user").await.expect(200).text(), "-");
}

#[tokio::test]
async fn two_writers_of_a_sealed_session_keep_both_changes() {
    let redis = RedisServer::start().await;
    let (one, two) = (sealing(&redis, Reject).await, sealing(&redis, Reject).await);
    let mut browser = one.browser().await;
    browser.get("/insert:a:0").await.expect(200);
    let mut other = browser.on(two.addr()).await;
    let slow = tokio::spawn(async move { browser.get("/get:a,gate:slow,insert:b:1").await });
    one.gates.arrived("slow").await;
    other.get("/insert:c:2,update:count").await.expect(200);
    one.gates.open("slow");
    slow.await.unwrap().expect(200);
    assert_eq!(other.get("/get:a,get:b,get:c,get:count").await.expect(200).text(), "0,1,2,1");
}

#[tokio::test]
async fn what_was_swapped_put_back_or_changed_in_the_store_is_no_session() {
    let redis = RedisServer::start().await;
    let site = sealing(&redis, Reject).await;
    let (mut alice, mut bob) = (site.browser().await, site.browser().await);
    alice.get(&format!("/login:alice,insert:card:{CANARY}")).await.expect(200);
    bob.get("/login:bob").await.expect(200);
    let key = |id: &str| record_key(id);
    let (alices, bobs) = (key(&id(&mut alice).await), key(&id(&mut bob).await));
    let value = |all: Vec<(String, Vec<u8>)>, key: &str| {
        all.into_iter().find(|(found, _)| found == key).unwrap().1
    };
    let (ours, theirs) =
        (value(records(&redis).await, &alices), value(records(&redis).await, &bobs));
    alice.get("/insert:more:1").await.expect(200);
    let newer = value(records(&redis).await, &alices);
    let old_body = [&newer[..17], &ours[17..]].concat();
    let forged = {
        let mut bytes = newer.clone();
        let at = bytes.windows(5).position(|part| part == b"alice").unwrap();
        bytes[at..at + 5].copy_from_slice(b"admin");
        bytes
    };
    let flipped = {
        let mut bytes = newer.clone();
        *bytes.last_mut().unwrap() ^= 1;
        bytes
    };
    for (name, bytes) in [
        ("of another session", &theirs),
        ("an earlier one as the newest", &old_body),
        ("another user", &forged),
        ("a flipped bit", &flipped),
        ("cut short", &newer[..newer.len() - 1].to_vec()),
    ] {
        set(&redis, &alices, bytes).await;
        let reply = alice.get("/user,~insert:a:1").await.expect(200);
        assert_eq!(reply.text(), "-,!Corrupt", "{name}");
        assert_eq!(value(records(&redis).await, &alices), *bytes, "{name}: it stays as it is");
        assert!(!reply.text().contains(CANARY));
    }
    // And locks nobody out.
    set(&redis, &alices, &flipped).await;
    alice.get("/login:alice").await.expect(200);
    assert_eq!(alice.get("/user").await.expect(200).text(), "alice");
    assert_eq!(bob.get("/user").await.expect(200).text(), "bob");
}

#[tokio::test]
async fn plain_records_from_before_are_sealed_at_their_next_write_or_refused() {
    let redis = RedisServer::start().await;
    let (plain, rolling, strict) =
        (Site::start(&redis).await, sealing(&redis, Accept).await, sealing(&redis, Reject).await);
    let mut browser = plain.browser().await;
    browser.get(&format!("/login:alice,insert:card:{CANARY}")).await.expect(200);
    let mut at_strict = browser.on(strict.addr()).await;
    assert_eq!(at_strict.get("/user").await.expect(200).text(), "-");
    let mut at_rolling = browser.on(rolling.addr()).await;
    assert_eq!(at_rolling.get("/get:card").await.expect(200).text(), CANARY);
    assert!(shows(&records(&redis).await[0].1, CANARY), "a read changes nothing");
    at_rolling.get("/insert:a:1").await.expect(200);
    assert!(!shows(&records(&redis).await[0].1, CANARY));
    for (name, site) in [("strict", &strict), ("rolling", &rolling), ("turned off", &plain)] {
        let mut browser = browser.on(site.addr()).await;
        assert_eq!(
            browser.get("/get:card,user").await.expect(200).text(),
            "canary4711,alice",
            "{name}"
        );
    }
    // Turned off again, the next write is plain again.
    browser.get("/insert:b:1").await.expect(200);
    assert!(shows(&records(&redis).await[0].1, CANARY));
}

#[tokio::test]
async fn a_database_keeps_sealed_records_too() {
    use tower_redis_session::{DatabaseConfig, DatabaseStore, RedisSessionLayer, SessionContext};

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sessions.db");
    let url = format!("sqlite://{}", file.display());
    let store = DatabaseStore::new(DatabaseConfig::new(url)).unwrap();
    let layer = RedisSessionLayer::builder(store).seal_records(Reject).build().unwrap();
    layer.migrate().await.unwrap();
    let handler = tower::service_fn(|request: http::Request<String>| async move {
        let session = request.extensions().get::<SessionContext>().unwrap().clone();
        session.insert("card", CANARY).await.unwrap();
        session.login("alice").await.unwrap();
        Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
    });
    let service = tower_layer::Layer::layer(&layer, handler);
    let response =
        tower::ServiceExt::oneshot(service, http::Request::new(String::new())).await.unwrap();
    let line = response.headers()["set-cookie"].to_str().unwrap().to_owned();
    let cookie = line.split(';').next().unwrap().to_owned();
    drop(response);
    let handler = tower::service_fn(|request: http::Request<String>| async move {
        let session = request.extensions().get::<SessionContext>().unwrap().clone();
        let said: Option<String> = session.get("card").await.unwrap();
        assert_eq!(said.as_deref(), Some(CANARY));
        Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
    });
    let request = http::Request::builder().header("cookie", cookie).body(String::new()).unwrap();
    let service = tower_layer::Layer::layer(&layer, handler);
    tower::ServiceExt::oneshot(service, request).await.unwrap();
    assert_eq!(layer.admin().sessions_of("alice").await.unwrap().len(), 1);
    layer.shutdown().await;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!shows(&bytes, CANARY));
    }
}

#[tokio::test]
async fn a_platform_that_only_the_client_can_read_cannot_be_cleared_for_it() {
    let redis = RedisServer::start().await;
    let site = sealing(&redis, Reject).await;
    let mut browser = site.browser().await;
    browser.get("/login:alice:11").await.expect(200);
    let refused = site.layer.admin().clear_platform_of("alice").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Misconfigured);
    assert_eq!(browser.get("/platform").await.expect(200).text(), "11");
}
