//! What other session crates get wrong, each as a promise of ours. Each was seen on the released
//! crate with Redis 7.0: tower-sessions 0.14 with its Redis store 0.16, axum_session 0.22.1,
//! actix-session 0.11, ruts 0.13, express-session 1.19 with connect-redis 9, Django 5.2 and others.
//!
//! | | defect, and where it was seen | held by |
//! |---|---|---|
//! | 1 | a request that loaded the session before its logout writes it back (actix-session, express-session, axum_session), or gets a 500 (tower-sessions), or leaves a husk (ruts) | `revival::a_request_in_flight_cannot_revive_a_session_that_ended` |
//! | 2 | of two requests that write different names one change is lost (all but ruts) | `concurrency::two_overlapping_requests_that_write_different_names_keep_both` |
//! | 3 | the id changes in the store before the response is there: a 5xx or a dropped request signs the user out (tower-sessions) | below |
//! | 4 | clear, then insert: the same id comes back, so that to flush before a login gives no new one (tower-sessions, ruts) | below |
//! | 5 | an id that the client chose is adopted (axum_session, ruts) | `advisories::fixation::cve_2024_38513_an_id_that_the_client_chose_is_not_used` |
//! | 6 | a session's own expiry is not stored: 30 days became an hour at the next write (tower-sessions) | below |
//! | 7 | the removal cookie lacks attributes, so that a prefixed cookie cannot be removed | `revival::the_removal_cookie_repeats_every_attribute_of_the_one_that_was_set` |
//! | 8 | a second, bogus cookie of our name hides the good one (tower-sessions) | below |
//! | 9 | a corrupt record is an error for ever, with no way out | below |
//! | 10 | a read error is taken for no session, and an empty one is written over it (axum_session) | below |
//! | 11 | a logout is local to a process (axum_session) | below |
//! | 12 | a dropped request leaks a counter, and no logout deletes any more (axum_session) | `leaving::dropped_requests_do_not_keep_a_logout_from_deleting` |
//! | 13 | a prefix is written with the cookie's name and not read with it (axum_session) | below |
//! | 14 | untouched requests read and write, and set cookies (axum_session, actix-session, express-session) | `commands::an_untouched_request_sends_no_command` |
//! | 15 | a value that is changed in place is never saved (actix-session) | below |
//! | 16 | with Redis down requests hang (actix-session, express-session), or all of them get a 500 (axum_session, tower-sessions) | `outage::requests_that_do_not_need_the_store_notice_no_outage`, `outage::a_request_that_needs_the_store_is_refused_within_the_budget_and_keeps_its_cookie` |
//! | 17 | a logout that Redis did not hear is a success (Django with errors ignored, better-auth) | `outage::a_logout_while_redis_is_away_is_never_a_success` |
//! | 18 | a failed load begins an empty session with a new cookie (phpredis) | `outage::a_request_that_needs_the_store_is_refused_within_the_budget_and_keeps_its_cookie` |
//! | 19 | a failed save is a 200 with a cookie (express-session, salvo) | `outage::a_full_redis_loses_nobody_and_logs_out` |
//! | 20 | keys without a TTL (poem, Spring Session) | `commands::every_key_gets_its_ttl_with_its_value` |
//! | 21 | index entries of dead sessions stay (Spring Session, better-auth) | `devices::entries_die_with_their_sessions` |
//! | 22 | the secret is the key in Redis (tower-sessions) | `life_cycle::neither_the_store_nor_its_logs_hold_the_cookie` |
//! | 23 | what a streaming body changes is dropped in silence (tower-sessions, scs) | below, and the layer's `bodies` |
//! | 24 | a release does not compile with the release of its store (tower-sessions 0.15) | the stores are in this crate |

use std::time::Duration;

use http::Method;
use test_support::{
    COOKIE, Client, FaultProxy, Mode, NOBODY, RedisServer, Site, bounded, eventually, patient, raw,
    raw_get, records, signed_in, who,
};
use tower_redis_session::{CookieConfig, RedisConfig};

fn quick(url: &str) -> RedisConfig {
    let short = Duration::from_millis(200);
    RedisConfig::new(url).connect_timeout(short).command_timeout(short)
}

/// Defect 3.
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

/// Defect 4.
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

/// Defect 6.
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

/// Defect 8.
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

/// Defect 9.
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

/// Defect 10.
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

/// Defect 11.
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

/// Defect 13.
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

/// Defect 15.
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

/// Defect 23.
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
