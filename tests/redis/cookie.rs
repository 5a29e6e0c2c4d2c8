//! The cookie on its way in and out, and what caches are told: section 1C of the security
//! requirements, whose row stands above each test. What the attributes may be (rows 25 to 28, 37)
//! and how names are told apart (row 29) is tested beside the code, and in `commands.rs`; the
//! removal cookie (row 15) in `revival.rs`.
//!
//! To see these fail: read the header by `HeaderValue::to_str`; use the first of two cookies, or
//! the last header line; leave the others' sessions to a sign-in; insert `Set-Cookie` instead of
//! appending it; set `Vary` only where a cookie is sent.

use std::collections::HashMap;
use std::time::Duration;

use http::Method;
use test_support::{
    COOKIE, Client, NOBODY, RedisServer, Reply, Site, get_h2, records, signed_in, token, who,
};

// Row 30
#[tokio::test]
async fn a_bad_cookie_of_a_neighbour_does_not_hide_ours() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let good = token(&signed_in(&site).await);
    let ours = format!("{COOKIE}={good}");
    let mut client = Client::connect(site.addr()).await;
    for (before, after) in [
        (&b"\xff\xfe=1; "[..], &b""[..]),
        (b"", b"; \xc3\xa4=\xc3\xb6"),
        (b"a; ; =; ==; b=; ", b"; ;;; "),
        (b"a=\"x;y\"; ", b""),
        (b"\t ", b"\t "),
        (b"__Host-session ; ", b""),
        (b"a=1;", b";b=2"),
    ] {
        let cookie = [before, ours.as_bytes(), after].concat();
        let reply = client.send(Method::GET, "/user", &[("cookie", &cookie)], "").await;
        let shown = String::from_utf8_lossy(&cookie).into_owned();
        assert_eq!((reply.status.as_u16(), reply.text().as_str()), (200, "alice"), "{shown}");
    }
    // As many as a header can hold.
    let mut crowd: String = (0..300).map(|number| format!("c{number}=x; ")).collect();
    crowd.push_str(&ours);
    assert_eq!(client.get_with("/user", &crowd).await.expect(200).text(), "alice");
}

// Row 31
#[tokio::test]
async fn of_two_live_cookies_none_is_used_and_none_is_touched() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let (alice, mut bob) = (token(&signed_in(&site).await), site.browser().await);
    bob.get("/login:bob,insert:cart:milk").await.expect(200);
    let bob = token(&bob);
    let mut client = Client::connect(site.addr()).await;
    for (first, second) in [(&alice, &bob), (&bob, &alice)] {
        let both = format!("{COOKIE}={first}; {COOKIE}={second}");
        let before = redis.dump().await;
        let reply = client.get_with("/user,get:cart,~validate", &both).await.expect(200);
        assert_eq!(reply.text(), "-,-,!Ambiguous");
        assert!(reply.set_cookies().is_empty(), "{reply:?}");
        let reply = client.get_with("/~insert:a:1,~update:n,~renew,keys", &both).await.expect(200);
        assert!(reply.set_cookies().is_empty(), "{reply:?}");
        assert_eq!(reply.text(), "!Ambiguous,!Ambiguous,");
        assert_eq!(redis.dump().await, before);
    }
    // One of them twice is one.
    let twice = format!("{COOKIE}={alice}; {COOKIE}={alice}");
    assert_eq!(client.get_with("/user", &twice).await.text(), "alice");
    // A logout ends whatever the client's cookies open.
    let both = format!("{COOKIE}={alice}; {COOKIE}={bob}");
    client.get_with("/logout", &both).await.expect(200);
    assert_eq!(
        (who(&site, &alice).await.as_str(), who(&site, &bob).await.as_str()),
        (NOBODY, NOBODY)
    );
}

#[tokio::test]
async fn a_sign_in_ends_every_session_that_its_cookies_open() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let (alice, phone) = (token(&signed_in(&site).await), token(&signed_in(&site).await));
    let mut bob = site.browser().await;
    bob.get("/login:bob,insert:cart:milk").await.expect(200);
    let bob = token(&bob);
    let both = format!("{COOKIE}={alice}; {COOKIE}={bob}");
    let mut client = Client::connect(site.addr()).await;
    client.get_with("/login:alice,status:500", &both).await.expect(500);
    assert_eq!(who(&site, &alice).await, "alice,tea");
    assert_eq!(who(&site, &bob).await, "bob,milk");
    let new = client.get_with("/login:alice", &both).await.expect(200).cookie();
    assert_eq!(records(&redis).await.len(), 2, "the new one and the phone's");
    let reply = client.get_with("/user,get:cart", &format!("{both}; {new}")).await.expect(200);
    assert_eq!(reply.text(), "alice,-");
    assert_eq!(who(&site, &phone).await, "alice,tea");
    assert_eq!(site.layer.admin().report().count("destroyed"), Some(2));
}

// Row 32
#[tokio::test]
async fn several_cookie_lines_count_as_one() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let ours = format!("{COOKIE}={}", token(&signed_in(&site).await));
    let lines =
        [["a=1", ours.as_str(), "b=2"], [ours.as_str(), "a=1; b=2", "c=3"], ["a", "b", &ours]];
    for lines in lines {
        let reply = get_h2(site.addr(), "/user,get:cart", &lines).await.expect(200);
        assert_eq!(reply.text(), "alice,tea", "HTTP/2 {lines:?}");
        let mut client = Client::connect(site.addr()).await;
        let headers = lines.map(|line| ("cookie", line.as_bytes()));
        let reply = client.send(Method::GET, "/user,get:cart", &headers, "").await.expect(200);
        assert_eq!(reply.text(), "alice,tea", "HTTP/1 {lines:?}");
    }
    // And over HTTP/2 a whole life.
    let cookie = get_h2(site.addr(), "/login:bob", &[]).await.expect(200).cookie();
    assert_eq!(get_h2(site.addr(), "/user", &[&cookie]).await.text(), "bob");
    get_h2(site.addr(), "/logout", &[&cookie]).await.expect(200);
    assert_eq!(get_h2(site.addr(), "/user", &[&cookie]).await.text(), "-");
}

// Row 33
#[tokio::test]
async fn the_cookies_of_the_application_survive_and_ours_is_at_most_one() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let own = "header:set-cookie:one=1;%20Path=/,header:set-cookie:two=2";
    for status in ["200", "204", "303", "304", "401", "404"] {
        for (method, changes) in [
            (Method::GET, "insert:a:1"),
            (Method::HEAD, "insert:a:1"),
            (Method::POST, "login:alice,renew,insert:b:1"),
            (Method::GET, "insert:a:1,save,renew,save,login:alice"),
        ] {
            let mut browser = site.browser().await;
            browser.get("/insert:x:0").await.expect(200);
            if changes == "insert:a:1" {
                browser.forget();
            }
            let path = format!("/{changes},{own},status:{status}");
            let reply = browser.send(method.clone(), &path, &[], "").await;
            let lines = reply.set_cookies();
            assert_eq!(reply.status.as_str(), status, "{method} {path}");
            assert_eq!(lines[..2], ["one=1; Path=/", "two=2"], "{method} {path}");
            assert_eq!(lines.len(), 3, "{method} {path}: {lines:?}");
            assert!(lines[2].starts_with(COOKIE), "{method} {path}: {lines:?}");
            assert_ne!(browser.get("/keys").await.text(), "", "{method} {path}");
        }
    }
    // None where nothing changed that the browser has to know, and none with a server's error.
    let mut browser = signed_in(&site).await;
    for path in ["user", "insert:a:1", "update:n", "set_platform:x", "status:500,login:bob"] {
        let reply = browser.get(&format!("/{path},{own}")).await;
        assert_eq!(reply.set_cookies(), ["one=1; Path=/", "two=2"], "{path}");
    }
}

// Row 38
#[tokio::test]
async fn the_attributes_of_the_cookie_never_change() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = site.browser().await;
    let mut seen = Vec::new();
    for path in ["/insert:a:1", "/login:alice", "/renew", "/expiry:60:600,renew", "/login:bob"] {
        let line = browser.get(path).await.expect(200).set_cookies().pop().unwrap();
        seen.push(line.split_once("; ").unwrap().1.to_owned());
    }
    seen.dedup();
    assert_eq!(seen, ["HttpOnly; SameSite=Lax; Secure; Path=/"]);
}

// Rows 34 and 35
#[tokio::test]
async fn caches_are_told_that_a_response_depends_on_the_session() {
    let redis = RedisServer::start().await;
    let site =
        Site::configured(&redis, |builder| builder.idle_timeout(Duration::from_secs(2))).await;
    for (what, path, touched, sets_cookie) in [
        ("untouched", "say:hi", false, false),
        ("read", "get:cart", true, false),
        ("read by its handle only", "user", true, false),
        ("written", "insert:a:1", true, false),
        ("only refreshed", "get:cart", true, false),
        ("touched by hand", "touch", true, false),
        ("renewed", "renew", true, true),
        ("signed in", "login:bob", true, true),
        ("destroyed", "logout", true, true),
        ("emptied", "login:carol,clear,save,logout", true, true),
    ] {
        let mut browser = signed_in(&site).await;
        if what == "only refreshed" {
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        for (vary, merged) in [
            ("", vec!["cookie"]),
            ("Accept", vec!["Accept", "cookie"]),
            ("Accept%2C%20COOKIE", vec!["Accept, COOKIE"]),
            ("*", vec!["*"]),
        ] {
            let (own_vary, own_cache) = ("header:vary:", "header:cache-control:");
            let own = vary.replace("%2C", ",").replace("%20", " ");
            let vary_step =
                if vary.is_empty() { "say:-".into() } else { format!("{own_vary}{vary}") };
            for (cache, kept) in [("", false), ("public", false), ("no-store", true)] {
                let cache_step =
                    if cache.is_empty() { "say:-".into() } else { format!("{own_cache}{cache}") };
                let mut tab = browser.tab().await;
                if sets_cookie {
                    tab = signed_in(&site).await;
                }
                let reply = tab.get(&format!("/{path},{vary_step},{cache_step}")).await.expect(200);
                let what = format!("{what}, Vary {vary:?}, Cache-Control {cache:?}: {reply:?}");
                let expected = match (touched, vary) {
                    (true, _) => merged.clone(),
                    (false, "") => vec![],
                    (false, _) => vec![own.as_str()],
                };
                assert_eq!(reply.all("vary"), expected, "{what}");
                let expected = match (sets_cookie, cache) {
                    (true, _) => vec!["no-store"],
                    (false, "") => vec![],
                    (false, cache) => vec![cache],
                };
                assert_eq!(reply.all("cache-control"), expected, "{what}");
                assert!(!kept || cache == "no-store");
                assert_eq!(reply.set_cookies().len(), usize::from(sets_cookie), "{what}");
            }
        }
        browser.get("/logout").await.expect(200);
    }
    // An anonymous answer depends on the session too: on that there was none.
    let reply = site.browser().await.get("/user").await.expect(200);
    assert_eq!(reply.all("vary"), ["cookie"]);
}

/// A shared cache that keeps what it may (RFC 9111) and nothing else.
#[derive(Default)]
struct SharedCache {
    stored: HashMap<(String, Option<String>), Reply>,
}

impl SharedCache {
    async fn get(&mut self, client: &mut Client, path: &str, cookie: &str) -> Reply {
        for key in [None, Some(cookie.to_owned())] {
            if let Some(reply) = self.stored.get(&(path.to_owned(), key)) {
                return reply.clone();
            }
        }
        let reply = client.get_with(path, cookie).await;
        let has = |name: &str, item: &str| {
            reply.all(name).iter().any(|value| value.to_lowercase().contains(item))
        };
        if !has("cache-control", "no-store") && !has("vary", "*") {
            let key = has("vary", "cookie").then(|| cookie.to_owned());
            self.stored.insert((path.to_owned(), key), reply.clone());
        }
        reply
    }
}

// Row 34
#[tokio::test]
async fn a_shared_cache_never_gives_one_client_what_belongs_to_another() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut cache = SharedCache::default();
    let mut client = Client::connect(site.addr()).await;
    let mut bob = site.browser().await;
    bob.get("/login:bob,insert:cart:milk").await.expect(200);
    let (alice, bob) = (signed_in(&site).await.cookie_header(), bob.cookie_header());
    for path in ["/user,header:cache-control:public", "/get:cart", "/say:hi", "/update:n", "/renew"]
    {
        let nobody = cache.get(&mut client, path, "").await;
        let hers = cache.get(&mut client, path, &alice).await;
        let his = cache.get(&mut client, path, &bob).await;
        if path.contains("user") || path.contains("cart") {
            assert_ne!(nobody.text(), hers.text(), "{path}");
            assert_ne!(hers.text(), his.text(), "{path}");
        }
        let cookies = [nobody, hers, his].map(|reply| reply.set_cookies());
        assert!(cookies[1].is_empty() || cookies[1] != cookies[2], "{path}: {cookies:?}");
    }
    assert!(cache.stored.contains_key(&("/say:hi".into(), None)), "what is not ours may be kept");
}
