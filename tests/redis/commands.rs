//! What a request costs: every command that reaches a live Redis is counted by `MONITOR`.
//!
//! To see these fail: load in `RedisSessionService::call`; let `find` accept what `decode` of the
//! token refuses; write after every read; take the `PX` out of a script.

use std::time::Duration;

use http::Method;
use tower_redis_session::layer::DeviceConfig;

use test_support::{
    Browser, COOKIE, Client, Command, Monitor, RedisServer, Site, eventually, names,
};

/// A site whose connection stands and whose scripts the server knows.
async fn warm(redis: &RedisServer) -> Site {
    let site = Site::start(redis).await;
    signed_in(&site).await.get("/logout").await.expect(200);
    site
}

async fn signed_in(site: &Site) -> Browser {
    let mut browser = site.browser().await;
    browser.get("/insert:cart:tea").await.expect(200);
    browser.get("/login:alice,renew").await.expect(200);
    browser.get("/insert:theme:dark,update:visits").await.expect(200);
    browser
}

/// What `path` cost, and what it answered.
async fn cost(
    monitor: &mut Monitor<'_>,
    browser: &mut Browser,
    path: &str,
) -> (Vec<String>, String) {
    monitor.take().await;
    let said = browser.get(path).await.expect(200).text();
    (monitor.take_names().await, said)
}

#[tokio::test]
async fn an_untouched_request_sends_no_command() {
    let redis = RedisServer::start().await;
    let site = warm(&redis).await;
    let mut with_cookie = signed_in(&site).await;
    let mut without = site.browser().await;
    let monitor = redis.monitor().await;
    for path in ["/", "/say:hello", "/status:404", "/status:500"] {
        for browser in [&mut with_cookie, &mut without] {
            let reply = browser.get(path).await;
            assert!(reply.set_cookies().is_empty() && reply.all("vary").is_empty(), "{reply:?}");
        }
    }
    assert_eq!(monitor.stop().await, []);
}

#[tokio::test]
async fn asking_for_a_session_without_a_cookie_sends_no_command() {
    let redis = RedisServer::start().await;
    let site = warm(&redis).await;
    let mut browser = site.browser().await;
    let mut monitor = redis.monitor().await;
    let path = "/get:cart,user,platform,id,keys,created,expires,remove:cart,clear,renew,logout";
    let (cost, said) = cost(&mut monitor, &mut browser, path).await;
    assert_eq!((cost.as_slice(), said.as_str()), (&[][..], "-,-,-,-,,-,-,false"));
}

#[tokio::test]
async fn a_thousand_malformed_cookies_send_no_command() {
    let redis = RedisServer::start().await;
    let site = warm(&redis).await;
    let browser = signed_in(&site).await;
    let token = browser.cookie(COOKIE).unwrap().to_owned();
    let mut client = Client::connect(site.addr()).await;
    let monitor = redis.monitor().await;
    let cookies = malformed(&token);
    assert!(cookies.len() >= 1_000, "{}", cookies.len());
    for cookie in &cookies {
        let reply = client.send(Method::GET, "/get:cart", &[("cookie", cookie)], "").await;
        let shown = String::from_utf8_lossy(cookie);
        assert_eq!((reply.status.as_u16(), reply.text().as_str()), (200, "-"), "{shown}");
        assert!(reply.set_cookies().is_empty(), "{shown}");
    }
    // No HTTP library lets this byte pass; one that did would meet the same refusal.
    let with_nul =
        format!("GET /get:cart HTTP/1.1\r\nhost: x\r\ncookie: {COOKIE}={token}\0\r\n\r\n");
    let refused = test_support::raw(site.addr(), with_nul).await.read_to_end().await;
    assert!(refused.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&refused));
    let seen = monitor.stop().await;
    assert_eq!(seen, [], "of {} cookies", cookies.len());
    // The same token, well-formed, is looked for.
    assert_eq!(client.get_with("/get:cart", &format!("{COOKIE}={token}")).await.text(), "tea");
}

fn malformed(token: &str) -> Vec<Vec<u8>> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut values: Vec<Vec<u8>> = [
        "",
        "=",
        "../../etc/passwd",
        "*",
        "session:*",
        "%00",
        "null",
        "undefined",
        "0",
        "T",
        "{}",
        "[object Object]",
        "' OR 1=1 --",
        "$(id)",
        "\u{2000}",
    ]
    .map(|value| value.as_bytes().to_vec())
    .into();
    let bytes = token.as_bytes();
    // Longer and shorter, padded, quoted, escaped, with a wrong letter in every place.
    values.extend((0..bytes.len()).map(|length| bytes[..length].to_vec()));
    values.extend(
        [1, 2, 10, 100, 1_000, 4_957].map(|more| [bytes, "A".repeat(more).as_bytes()].concat()),
    );
    for text in
        ["{}=", "{}==", "\"{}\"", "%{}", "{}%3D", "{}\u{a0}", "{}.sig", "{0}{0}", "{} x", "x{}"]
    {
        values.push(text.replace("{0}", token).replace("{}", token).into_bytes());
    }
    for place in 0..bytes.len() {
        for wrong in b"+/=.*:\"'%!@#$&()<>?[]{}|^`~\x80\xff".iter() {
            let mut value = bytes.to_vec();
            value[place] = *wrong;
            values.push(value);
        }
    }
    // The same 32 bytes in another spelling: the last letter carries two bits that count nothing.
    let last = ALPHABET.iter().position(|letter| letter == bytes.last().unwrap()).unwrap();
    for spare in 1..4 {
        let mut value = bytes.to_vec();
        *value.last_mut().unwrap() = ALPHABET[last + spare];
        values.push(value);
    }
    let mut cookies: Vec<_> =
        values.iter().map(|value| [COOKIE.as_bytes(), b"=", value].concat()).collect();
    // A good value under a name that only looks like ours.
    for name in [
        "__host-session",
        "__HOST-SESSION",
        "__Host-Session",
        "__Host-sessio",
        "__Host-sessions",
        "session",
        "x__Host-session",
        "__%48ost-session",
        "=__Host-session",
        "\u{2000}__Host-session",
        "\u{85}__Host-session",
        "\u{a0}__Host-session",
        "\"__Host-session\"",
        "$Version=1,__Host-session",
        "__Host-session\u{2000}",
        "__Host-session[]",
        "__Host-session.0",
    ] {
        cookies.push(format!("{name}={token}").into_bytes());
        cookies.push(format!("a=b; {name}={token}; c=d").into_bytes());
    }
    cookies
}

#[tokio::test]
async fn a_read_is_one_get() {
    let redis = RedisServer::start().await;
    let site = warm(&redis).await;
    let mut browser = signed_in(&site).await;
    let mut monitor = redis.monitor().await;
    let path = "/get:cart,get:theme,user,platform,id,keys,created,expires,get:cart";
    let (reads, said) = cost(&mut monitor, &mut browser, path).await;
    assert_eq!(reads, ["GET"], "{said}");
    assert!(said.starts_with("tea,dark,alice,-,"), "{said}");
    // Also of a session that is not there.
    browser.set_cookie(COOKIE, &"A".repeat(43));
    let (reads, said) = cost(&mut monitor, &mut browser, "/get:cart,keys").await;
    assert_eq!((reads, said.as_str()), (vec!["GET".to_owned()], "-,"));
}

/// What a request does, what was done before it, and the commands that it sends.
type Cost = (&'static str, &'static str, &'static str, &'static [&'static str]);

const COSTS: &[Cost] = &[
    ("read and write", "insert:a:1", "get:a,insert:a:2", &["GET", "EVALSHA"]),
    ("write only", "insert:a:1", "insert:b:2,remove:a,insert:c:3", &["GET", "EVALSHA"]),
    ("atomic update", "insert:a:1", "update:n", &["GET", "EVALSHA"]),
    ("a write that changes nothing", "insert:a:1", "get:a,insert:a:1", &["GET"]),
    ("a removal of nothing", "insert:a:1", "remove:b", &["GET"]),
    ("first write creates", "", "insert:a:1", &["EVALSHA"]),
    ("first update creates", "", "update:n", &["EVALSHA"]),
    ("login of a stranger", "", "login:alice", &["EVALSHA"]),
    ("login with a session", "insert:a:1", "login:alice,insert:b:2", &["GET", "EVALSHA"]),
    ("a new id", "login:alice", "renew", &["GET", "EVALSHA"]),
    ("a login that is begun", "", "begin_login:alice,finish_login", &["HGET", "EVALSHA"]),
    ("logout", "login:alice", "logout", &["EVALSHA"]),
    ("logout everywhere", "login:alice", "logout_everywhere", &["GET", "EVALSHA", "EVALSHA"]),
    ("logout of a user who was looked at", "login:alice", "user,logout", &["GET", "EVALSHA"]),
    ("logout without a session", "", "logout", &[]),
    ("emptying a session ends it", "insert:a:1", "remove:a", &["GET", "EVALSHA"]),
    ("validate", "login:alice", "validate", &["GET"]),
    ("touch within the interval", "login:alice", "touch", &["GET"]),
    ("a failed request", "insert:a:1", "get:a,insert:a:2,status:500", &["GET"]),
    ("all others out", "login:alice", "revoke_others", &["GET", "EVALSHA"]),
    ("a list", "login:alice", "sessions", &["GET", "HKEYS", "EVALSHA"]),
];

#[tokio::test]
async fn the_round_trips_of_every_kind_of_request() {
    let redis = RedisServer::start().await;
    let site = warm(&redis).await;
    all_cost_what_is_said(&redis, &site).await;
}

#[tokio::test]
async fn nor_does_anything_cost_more_with_all_that_can_be_turned_on() {
    let redis = RedisServer::start().await;
    let site = Site::configured(&redis, |builder| {
        let builder = builder.sessions_per_user(3).devices(DeviceConfig::new());
        builder.seal_records(tower_redis_session::encryption::UnsealedRecords::Reject)
    })
    .await;
    let _events = site.layer.admin().events();
    signed_in(&site).await.get("/sessions,logout").await.expect(200);
    all_cost_what_is_said(&redis, &site).await;
}

async fn all_cost_what_is_said(redis: &RedisServer, site: &Site) {
    let mut monitor = redis.monitor().await;
    for (what, before, path, expected) in COSTS {
        let mut browser = site.browser().await;
        browser.get(&format!("/{before}")).await.expect(200);
        monitor.take().await;
        let reply = browser.get(&format!("/{path}")).await;
        let sent = monitor.take_names().await;
        assert_eq!(sent, *expected, "{what}: {reply:?}");
        let _ = browser.get("/logout").await;
    }
}

#[tokio::test]
async fn a_login_that_makes_room_costs_what_any_login_costs() {
    let redis = RedisServer::start().await;
    let site = Site::configured(&redis, |builder| builder.sessions_per_user(3)).await;
    for _ in 0..5 {
        signed_in(&site).await;
    }
    let mut monitor = redis.monitor().await;
    let mut browser = site.browser().await;
    browser.get("/insert:a:1").await.expect(200);
    monitor.take().await;
    browser.get("/login:alice").await.expect(200);
    assert_eq!(monitor.take_names().await, ["GET", "EVALSHA"]);
    let records = redis.dump().await.into_iter();
    let alive = records.filter(|(key, value)| key.contains(":s:") && value.starts_with(b"R"));
    assert_eq!(alive.count(), 3);
}

#[tokio::test]
async fn reading_within_the_touch_interval_writes_nothing() {
    let redis = RedisServer::start().await;
    let site = warm(&redis).await;
    let mut browser = signed_in(&site).await;
    let before = redis.dump().await;
    let mut monitor = redis.monitor().await;
    for _ in 0..100 {
        browser.get("/get:cart,user,keys").await.expect(200);
    }
    let sent = monitor.take_names().await;
    assert_eq!(sent, vec!["GET"; 100]);
    assert_eq!(redis.dump().await, before);
}

#[tokio::test]
async fn reading_past_the_touch_interval_writes_the_activity_down_once() {
    let redis = RedisServer::start().await;
    // The interval is at most a twentieth of the idle timeout: 2 s here.
    let site =
        Site::configured(&redis, |builder| builder.idle_timeout(Duration::from_secs(40))).await;
    let mut browser = signed_in(&site).await;
    let ends = async |browser: &mut Browser| browser.get("/expires").await.expect(200).text();
    let first = ends(&mut browser).await;
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let mut monitor = redis.monitor().await;
    let mut seen = Vec::new();
    // The touch is off the path of the response, so it may be seen a little later.
    browser.get("/get:cart").await.expect(200);
    eventually("the touch", async || {
        seen.extend(monitor.take_names().await);
        seen.len() > 1
    })
    .await;
    for _ in 0..50 {
        browser.get("/get:cart").await.expect(200);
    }
    seen.extend(monitor.take_names().await);
    let touches = seen.iter().filter(|name| *name == "EVALSHA").count();
    assert_eq!((touches, seen.len()), (1, 52), "{seen:?}");
    assert!(ends(&mut browser).await > first);
    redis.assert_every_key_has_a_ttl().await;
}

#[tokio::test]
async fn every_key_gets_its_ttl_with_its_value() {
    let redis = RedisServer::start().await;
    let site =
        Site::configured(&redis, |builder| builder.idle_timeout(Duration::from_secs(3600))).await;
    let mut monitor = redis.monitor().await;
    let mut seen: Vec<Command> = Vec::new();
    let mut browser = site.browser().await;
    for path in [
        "begin_login:bob,finish_login",
        "logout_everywhere",
        "insert:a:1",
        "get:a",
        "insert:b:2",
        "update:n",
        "login:alice:masto",
        "renew",
        "touch",
        "set_platform:pixel",
        "clear_platform",
        "expiry:60:600",
        "save,insert:c:3",
        "clear",
        "insert:d:4,save,logout,insert:e:5",
        "logout",
        "push:list:x",
        "remove:list",
    ] {
        browser.get(&format!("/{path}")).await.expect(200);
        // A key of ours is never without its end, not even between two requests.
        redis.assert_every_key_has_a_ttl().await;
        seen.extend(monitor.take().await);
    }
    assert!(names(&seen).len() > 20, "{:?}", names(&seen));
    let bare: Vec<_> = seen.iter().filter(|command| command.is_bare_set()).collect();
    assert!(bare.is_empty(), "{bare:?}");
    let forbidden = ["KEYS", "SCAN", "FLUSHDB", "FLUSHALL", "PERSIST", "MULTI", "WATCH", "EVAL"];
    let sent: Vec<_> = seen.iter().map(Command::name).collect();
    assert!(!sent.iter().any(|name| forbidden.contains(&name.as_str())), "{sent:?}");
    // The TTL follows the expiry that the session has, and a minute more than a day is none; that
    // of a user's list the absolute end of the sessions in it, and five minutes.
    for (key, ttl) in redis.keys().await {
        let longest = if key.starts_with("session:u:") { 86_700_000 } else { 86_400_000 };
        assert!((1..=longest).contains(&ttl), "{key}: {ttl}");
    }
}
