//! What other session crates get wrong, each as a promise of ours. The number is the row of the
//! list that these tests were made from; each was seen on a released crate with a real Redis.
//!
//! Not here, because there is nothing to test: row 21 (entries of dead sessions in an index of a
//! user's sessions: the crate keeps none) and row 24 (a crate that does not compile with the
//! released crate of its store: the store is in this crate).

use std::time::{Duration, Instant};

use base64::Engine;
use http::Method;
use test_support::{
    Browser, COOKIE, Client, FaultProxy, Mode, REMOVED, RedisServer, Site, bounded, eventually,
    patient, raw, raw_get, records,
};
use tower_redis_session::{CookieConfig, RedisConfig};

async fn signed_in(site: &Site) -> Browser {
    let mut browser = site.browser().await;
    browser.get("/login:alice,insert:cart:tea").await.expect(200);
    browser
}

/// What somebody with that cookie is and has: `user,cart`.
async fn who(site: &Site, token: &str) -> String {
    let mut browser = site.browser().await;
    browser.set_cookie(COOKIE, token);
    browser.get("/user,get:cart").await.expect(200).text()
}

const NOBODY: &str = "-,-";

fn quick(url: &str) -> RedisConfig {
    let short = Duration::from_millis(200);
    RedisConfig::new(url).connect_timeout(short).command_timeout(short)
}

// 1
#[tokio::test]
async fn a_slow_request_that_writes_after_the_logout_neither_revives_the_session_nor_fails() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = signed_in(&site).await;
    let token = browser.cookie(COOKIE).unwrap().to_owned();
    let mut tab = browser.tab().await;
    let slow = tokio::spawn(async move { tab.get("/user,gate:slow,insert:cart:milk").await });
    site.gates.arrived("slow").await;
    browser.get("/logout").await.expect(200);
    site.gates.open("slow");
    let reply = bounded("the slow request", slow).await.unwrap().expect(200);
    assert_eq!(reply.set_cookies(), [REMOVED]);
    assert_eq!(who(&site, &token).await, NOBODY);
    assert!(records(&redis).await.is_empty());
}

// 2
#[tokio::test]
async fn two_requests_that_write_different_names_lose_neither() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = signed_in(&site).await;
    let mut tab = browser.tab().await;
    let slow = tokio::spawn(async move { tab.get("/get:a,gate:slow,insert:a:1").await });
    site.gates.arrived("slow").await;
    browser.get("/insert:b:2").await.expect(200);
    site.gates.open("slow");
    bounded("the slow request", slow).await.unwrap().expect(200);
    assert_eq!(browser.get("/get:a,get:b,get:cart").await.text(), "1,2,tea");
}

// 3
#[tokio::test]
async fn a_renewal_that_does_not_reach_the_client_leaves_the_old_id_alive() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = signed_in(&site).await;
    let token = browser.cookie(COOKIE).unwrap().to_owned();
    for path in ["/renew,status:500", "/renew,fail", "/login:bob,status:503", "/login:bob,fail"] {
        let reply = browser.get(path).await;
        assert!(reply.status.is_server_error() && reply.set_cookies().is_empty(), "{reply:?}");
        assert_eq!(who(&site, &token).await, "alice,tea", "{path}");
    }
    for path in ["/renew,gate:slow", "/login:bob,gate:slow", "/renew,panic"] {
        let connection = raw(site.addr(), raw_get(path, &browser.cookie_header())).await;
        if path.ends_with("slow") {
            site.gates.arrived("slow").await;
            connection.close();
            site.gates.left("slow").await;
        } else {
            let mut connection = connection;
            connection.read_to_end().await;
        }
        site.layer.shutdown().await;
        assert_eq!(who(&site, &token).await, "alice,tea", "{path}");
    }
    assert_eq!(records(&redis).await.len(), 1);
}

// 4
#[tokio::test]
async fn flush_then_login_gives_a_new_id() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    for path in [
        "/clear,login:alice,insert:cart:new",
        "/clear,insert:cart:new,login:alice",
        "/destroy,login:alice,insert:cart:new",
        "/logout,insert:cart:new,login:alice",
        "/login:alice,insert:cart:new",
    ] {
        let mut browser = site.browser().await;
        browser.get("/insert:cart:old,insert:other:old").await.expect(200);
        let old = browser.cookie(COOKIE).unwrap().to_owned();
        browser.get(path).await.expect(200);
        let new = browser.cookie(COOKIE).unwrap().to_owned();
        assert_ne!(new, old, "{path}");
        assert_eq!(who(&site, &old).await, NOBODY, "{path}");
        assert_eq!(who(&site, &new).await, "alice,new", "{path}");
        let other = browser.get("/get:other").await.text();
        let kept = if path.starts_with("/login") { "old" } else { "-" };
        assert_eq!(other, kept, "{path}");
    }
    // The same without a user.
    for path in ["/destroy,insert:cart:new", "/logout,insert:cart:new"] {
        let mut browser = site.browser().await;
        browser.get("/insert:cart:old,insert:other:old").await.expect(200);
        let old = browser.cookie(COOKIE).unwrap().to_owned();
        browser.get(path).await.expect(200);
        assert_ne!(browser.cookie(COOKIE).unwrap(), old, "{path}");
        assert_eq!(who(&site, &old).await, NOBODY, "{path}");
        assert_eq!(browser.get("/get:cart,get:other").await.text(), "new,-", "{path}");
    }
}

// 5
#[tokio::test]
async fn an_id_that_the_client_chose_is_never_adopted() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let chosen = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode([7; 32]);
    for token in [chosen.as_str(), "admin", "", "session-of-mallory"] {
        for path in ["/insert:cart:tea", "/login:alice", "/user,insert:cart:tea", "/update:n"] {
            let mut browser = site.browser().await;
            browser.set_cookie(COOKIE, token);
            let reply = browser.get(path).await.expect(200);
            assert_ne!(reply.cookie(), format!("{COOKIE}={token}"), "{path}");
            assert_eq!(who(&site, token).await, NOBODY, "{path} with {token}");
        }
    }
    assert!(redis.find_everywhere(&chosen).await.is_empty());
}

// 6
#[tokio::test]
async fn a_session_keeps_its_own_expiry_through_later_writes() {
    const MONTH: i64 = 30 * 86_400;
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = site.browser().await;
    browser.get(&format!("/login:alice,expiry:{MONTH}:{MONTH}")).await.expect(200);
    for path in
        ["/insert:a:1", "/update:n", "/get:a,insert:b:1", "/renew", "/clear", "/set_platform:x"]
    {
        browser.get(path).await.expect(200);
        let keys = redis.keys().await;
        let longest = keys.iter().map(|(_, ttl)| *ttl).max().unwrap();
        assert!(longest > (MONTH - 60) * 1_000, "{path}: {keys:?}");
    }
    // And a shorter one is not made longer.
    let mut browser = site.browser().await;
    browser.get("/insert:a:1,expiry:60:60").await.expect(200);
    let first = browser.get("/expires").await.text();
    browser.get("/insert:b:1").await.expect(200);
    assert_eq!(browser.get("/expires").await.text(), first);
}

// 7
#[tokio::test]
async fn a_prefixed_cookie_with_domain_and_path_can_be_removed() {
    let redis = RedisServer::start().await;
    let cookie = CookieConfig::new("__Secure-shop").domain("example.org").path("/shop");
    let site = Site::configured(&redis, |builder| builder.cookie(cookie)).await;
    let mut browser = site.browser().await;
    browser.get("/insert:a:1").await.expect(200);
    let reply = browser.get("/logout").await.expect(200);
    let line = &reply.set_cookies()[0];
    for attribute in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/shop", "Domain=example.org"] {
        assert!(line.split("; ").any(|part| part == attribute), "{attribute} in {line}");
    }
    assert!(browser.cookie_header().is_empty(), "{line}");
}

// 8
#[tokio::test]
async fn a_bogus_second_cookie_of_our_name_signs_nobody_out() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let good = signed_in(&site).await.cookie(COOKIE).unwrap().to_owned();
    let unknown = "A".repeat(43);
    let mut client = Client::connect(site.addr()).await;
    for bogus in ["", "x", "deleted", unknown.as_str(), "../../", "\"\""] {
        for (first, second) in [(bogus, good.as_str()), (good.as_str(), bogus)] {
            let cookie = format!("{COOKIE}={first}; {COOKIE}={second}");
            let reply = client.get_with("/user,insert:cart:milk", &cookie).await.expect(200);
            assert_eq!(reply.text(), "alice", "{cookie}");
            assert!(reply.set_cookies().is_empty(), "{cookie}: {reply:?}");
        }
    }
    assert_eq!(who(&site, &good).await, "alice,milk");
}

// 9
#[tokio::test]
async fn a_corrupt_record_locks_nobody_out() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut connection = redis.connection().await;
    for corruption in ["garbage", "empty", "cut short", "a bit flipped in the middle", "a list"] {
        for way_out in ["/logout", "/login:bob", "/destroy"] {
            let what = format!("{corruption}, {way_out}");
            let mut browser = signed_in(&site).await;
            let (key, value) = records(&redis).await.pop().unwrap();
            let bytes: Vec<u8> = match corruption {
                "garbage" => b"\xff\x00garbage".to_vec(),
                "empty" => Vec::new(),
                "cut short" => value[..value.len() - 3].to_vec(),
                _ => {
                    let mut value = value;
                    value[19] ^= 0x40;
                    value
                }
            };
            let mut set = redis::cmd("SET");
            set.arg(&key).arg(bytes).arg("EX").arg(600);
            if corruption == "a list" {
                let _: () = redis::cmd("DEL").arg(&key).query_async(&mut connection).await.unwrap();
                set = redis::cmd("LPUSH");
                set.arg(&key).arg("x");
            }
            let _: redis::Value = set.query_async(&mut connection).await.unwrap();
            let before = redis.dump().await;
            // No session, and nothing that is written goes over what is there.
            let reply = browser.get("/user,get:cart").await.expect(200);
            assert_eq!((reply.text().as_str(), reply.set_cookies().len()), (NOBODY, 0), "{what}");
            let reply = browser.get("/insert:cart:milk").await;
            assert!(
                reply.status.is_server_error() && reply.set_cookies().is_empty(),
                "{what}: {reply:?}"
            );
            assert_eq!(redis.dump().await, before, "{what}");
            // And a way out.
            let old = browser.cookie(COOKIE).unwrap().to_owned();
            browser.get(way_out).await.expect(200);
            assert_ne!(browser.cookie(COOKIE), Some(old.as_str()), "{what}");
            let expected = if way_out == "/login:bob" { "bob,-" } else { NOBODY };
            assert_eq!(browser.get("/user,get:cart").await.expect(200).text(), expected, "{what}");
            browser.get("/logout").await.expect(200);
            let _: () = redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
        }
    }
}

// 10
#[tokio::test]
async fn a_read_error_is_not_taken_for_no_session_and_nothing_is_written_over_it() {
    let redis = RedisServer::start().await;
    let proxy = FaultProxy::start(redis.addr()).await;
    let url = redis.url_at(proxy.port());
    let site = Site::on(quick(&url), |builder| builder.budget(Duration::from_millis(400))).await;
    let mut browser = signed_in(&site).await;
    let before = records(&redis).await;
    for mode in [Mode::BlackHole, Mode::CutReplies, Mode::Reset] {
        for path in [
            "/~get:cart,~insert:cart:milk",
            "/~user,~insert:x:1,~save",
            "/~update:n",
            "/~get:cart,~clear",
            "/~user,~remove:cart,status:200",
        ] {
            proxy.set(mode);
            // The store comes back while the handler goes on.
            let mut tab = browser.tab().await;
            let gated = format!("{path},gate:back,~insert:late:1");
            let request = tokio::spawn(async move { tab.get(&gated).await });
            site.gates.arrived("back").await;
            proxy.set(Mode::Pass);
            site.gates.open("back");
            let reply = bounded("the answer", request).await.unwrap();
            assert!(reply.set_cookies().is_empty(), "{mode:?} {path}: {reply:?}");
            let said = reply.text();
            assert!(
                reply.status == 503 || said.contains("!Unavailable"),
                "{mode:?} {path}: {reply:?}"
            );
            eventually("the return", async || browser.get("/user").await.status == 200).await;
            assert_eq!(browser.get("/user,get:cart").await.text(), "alice,tea", "{mode:?} {path}");
        }
    }
    assert_eq!(records(&redis).await.len(), before.len());
}

// 11
#[tokio::test]
async fn a_logout_on_one_instance_holds_on_every_other_at_once() {
    let redis = RedisServer::start().await;
    let (one, two) = (Site::start(&redis).await, Site::start(&redis).await);
    let mut here = signed_in(&one).await;
    let mut there = here.on(two.addr()).await;
    for _ in 0..10 {
        assert_eq!(there.get("/user").await.expect(200).text(), "alice");
    }
    here.get("/logout").await.expect(200);
    assert_eq!(there.get("/user,get:cart").await.expect(200).text(), NOBODY);
}

// 12
#[tokio::test]
async fn dropped_requests_do_not_keep_a_logout_from_deleting() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = signed_in(&site).await;
    for _ in 0..20 {
        let path = "/user,insert:cart:milk,gate:slow";
        let connection = raw(site.addr(), raw_get(path, &browser.cookie_header())).await;
        site.gates.arrived("slow").await;
        connection.close();
        site.gates.left("slow").await;
    }
    let token = browser.cookie(COOKIE).unwrap().to_owned();
    browser.get("/logout").await.expect(200);
    assert_eq!(who(&site, &token).await, NOBODY);
    assert!(records(&redis).await.is_empty());
}

// 13
#[tokio::test]
async fn the_cookie_is_read_by_the_name_it_is_written_with() {
    let redis = RedisServer::start().await;
    for (name, plain) in [("__Host-a", false), ("__Secure-a", false), ("a", false), ("b", true)] {
        let mut cookie = CookieConfig::new(name);
        if plain {
            cookie = cookie.insecure_allow_plain_http();
        }
        let site = Site::configured(&redis, |builder| builder.cookie(cookie)).await;
        let mut browser = site.browser().await;
        for expected in 1..=10 {
            let reply = browser.get("/update:visits").await.expect(200);
            assert_eq!(reply.text(), expected.to_string(), "{name}");
            assert_eq!(reply.set_cookies().len(), usize::from(expected == 1), "{name}");
        }
        assert!(browser.cookie(name).is_some());
    }
    assert_eq!(records(&redis).await.len(), 4);
}

// 14
#[tokio::test]
async fn an_untouched_request_reads_nothing_writes_nothing_and_sets_no_cookie() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = signed_in(&site).await;
    let mut stranger = site.browser().await;
    let monitor = redis.monitor().await;
    for _ in 0..10 {
        assert!(browser.get("/say:hi").await.expect(200).set_cookies().is_empty());
        assert!(stranger.get("/say:hi").await.expect(200).set_cookies().is_empty());
    }
    assert_eq!(monitor.stop().await, []);
}

// 15
#[tokio::test]
async fn a_value_changed_in_place_is_saved() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = site.browser().await;
    browser.get("/push:list:a").await.expect(200);
    browser.get("/push:list:b").await.expect(200);
    assert_eq!(browser.get("/push:list:c").await.text(), "a+b+c");
    assert_eq!(browser.get("/get:list").await.text(), r#"["a","b","c"]"#);
}

// 16
#[tokio::test]
async fn with_redis_down_only_what_needs_it_is_refused_and_nothing_hangs() {
    let redis = RedisServer::start().await;
    let budget = Duration::from_millis(400);
    let site = Site::on(quick(&redis.url()), |builder| builder.budget(budget)).await;
    let mut browser = signed_in(&site).await;
    let mut stranger = site.browser().await;
    for hung in [true, false] {
        if hung {
            redis.hang();
        } else {
            redis.kill();
        }
        for _ in 0..3 {
            let start = Instant::now();
            browser.get("/say:hi").await.expect(200);
            stranger.get("/say:hi").await.expect(200);
            stranger.get("/user").await.expect(200);
            browser.get("/user").await.expect(503);
            // One budget, and what a busy machine adds.
            assert!(start.elapsed() < budget + Duration::from_millis(400), "{:?}", start.elapsed());
        }
    }
}

// 17
#[tokio::test]
async fn a_logout_that_the_store_did_not_hear_is_no_success() {
    let redis = RedisServer::start().await;
    let proxy = FaultProxy::start(redis.addr()).await;
    let site = Site::on(quick(&redis.url_at(proxy.port())), |builder| {
        builder.budget(Duration::from_millis(400))
    })
    .await;
    let mut browser = signed_in(&site).await;
    let token = browser.cookie(COOKIE).unwrap().to_owned();
    proxy.set(Mode::BlackHole);
    for path in ["/logout", "/~logout,say:bye", "/user,~logout,status:303"] {
        let reply = browser.get(path).await.expect(503);
        assert!(reply.set_cookies().is_empty(), "{path}: {reply:?}");
    }
    proxy.set(Mode::Pass);
    eventually("the logout", async || browser.get("/logout").await.status == 200).await;
    assert_eq!(who(&site, &token).await, NOBODY);
}

// 18
#[tokio::test]
async fn a_load_failure_sends_no_cookie_so_a_blip_signs_nobody_out() {
    let redis = RedisServer::start().await;
    let site = Site::on(quick(&redis.url()), |builder| builder).await;
    let mut browser = signed_in(&site).await;
    redis.hang();
    for path in ["/user", "/~user,say:hi", "/~user,~insert:a:1,say:hi", "/~login:bob,say:hi"] {
        let reply = browser.get(path).await;
        assert!(reply.set_cookies().is_empty(), "{path}: {reply:?}");
    }
    redis.resume();
    eventually("the return", async || browser.get("/user").await.status == 200).await;
    assert_eq!(browser.get("/user,get:cart").await.text(), "alice,tea");
}

// 19
#[tokio::test]
async fn a_save_failure_is_no_success_and_sets_no_cookie() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = signed_in(&site).await;
    let mut stranger = site.browser().await;
    let mut connection = redis.connection().await;
    let full = ["CONFIG", "SET", "maxmemory", "1"];
    let () = redis::cmd(full[0]).arg(&full[1..]).query_async(&mut connection).await.unwrap();
    for path in ["/insert:a:1,say:saved", "/login:bob,say:hello", "/get:x,insert:a:1,status:303"] {
        for browser in [&mut browser, &mut stranger] {
            let reply = browser.get(path).await.expect(503);
            assert!(reply.set_cookies().is_empty(), "{path}: {reply:?}");
            assert_eq!(reply.text(), "", "{path}");
        }
    }
}

// 20
#[tokio::test]
async fn every_key_ends_by_itself() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = site.browser().await;
    for path in
        ["/insert:a:1", "/login:alice", "/update:n", "/renew", "/clear", "/touch", "/logout"]
    {
        browser.get(path).await.expect(200);
        assert!(!redis.keys().await.is_empty(), "{path}");
        redis.assert_every_key_has_a_ttl().await;
    }
}

// 22
#[tokio::test]
async fn the_secret_of_the_cookie_is_nowhere_in_redis() {
    let redis = RedisServer::builder().log_every_command().start().await;
    let site = Site::start(&redis).await;
    let mut browser = signed_in(&site).await;
    let mut secrets = vec![browser.cookie(COOKIE).unwrap().to_owned()];
    for path in ["/renew", "/update:n", "/login:bob"] {
        browser.get(path).await.expect(200);
        secrets.push(browser.cookie(COOKIE).unwrap().to_owned());
    }
    assert!(!redis.find_everywhere("EVALSHA").await.is_empty(), "the slow log has everything");
    for secret in secrets {
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(&secret).unwrap();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        for needle in [secret.as_bytes(), &bytes, hex.as_bytes(), hex.to_uppercase().as_bytes()] {
            assert_eq!(redis.find_everywhere(needle).await, Vec::<String>::new());
        }
    }
}

// 23
#[tokio::test]
async fn what_a_streaming_body_changes_is_saved_before_its_end() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = signed_in(&site).await;
    let path = "/user,stream,say:one,insert:cart:milk,update:n,say:two,insert:b:2,remove:c";
    let reply = browser.get(path).await.expect(200);
    assert!(reply.body_error.is_none(), "{reply:?}");
    assert_eq!(browser.get("/get:cart,get:n,get:b").await.text(), "milk,1,2");
    // Also where the head has promised a length, and nobody asks for a frame after the last byte.
    let path = "/header:content-length:5,stream,say:one,insert:cart:coffee";
    let reply = browser.get(path).await.expect(200);
    assert_eq!((reply.text().as_str(), &reply.body_error), ("one,,", &None));
    assert_eq!(browser.get("/get:cart").await.text(), "coffee");
    // What can no longer be told to the client is refused, not lost.
    let mut stranger = site.browser().await;
    let reply = stranger.get("/stream,say:one,insert:a:1,login:bob").await.expect(200);
    assert_eq!(reply.text(), "one,!Closed,!Closed,");
    // And a failure breaks the body: a client cannot take it for a whole one.
    let proxy = FaultProxy::start(redis.addr()).await;
    let through = Site::on(patient(&redis.url_at(proxy.port())), |builder| {
        builder.budget(Duration::from_millis(300))
    })
    .await;
    let mut tab = browser.on(through.addr()).await;
    let request = tokio::spawn(async move {
        tab.send(Method::GET, "/user,stream,say:one,insert:cart:late,gate:slow", &[], "").await
    });
    through.gates.arrived("slow").await;
    proxy.set(Mode::BlackHole);
    through.gates.open("slow");
    let reply = bounded("the broken body", request).await.unwrap();
    assert!(reply.body_error.is_some(), "{reply:?}");
}
