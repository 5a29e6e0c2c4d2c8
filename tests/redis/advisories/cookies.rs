//! Names that only look like ours, attributes that are none, ends that only the client knows, and
//! answers that a cache gave to somebody else.

use std::time::Duration;

use http::{HeaderMap, Method, Request, Response};
use tower::{Layer, ServiceExt};
use tower_redis_session::{CookieConfig, MemoryStore, RedisSessionLayer, SessionContext};

use super::visitors::with_a_clock;
use test_support::{COOKIE, Client, NOBODY, RedisServer, Site, signed_in, token, who};

/// What is said to whoever sends these bytes as `Cookie`.
async fn said_to(client: &mut Client, cookie: &[u8]) -> String {
    let reply = client.send(Method::GET, "/user,get:cart", &[("cookie", cookie)], "").await;
    reply.expect(200).text()
}

/// Rack CVE-2020-8184, PHP CVE-2020-7070, the notice of ASP.NET Core 5, Crystal #10442: names were
/// percent-decoded, so that a page without the right to a prefix could forge it.
#[tokio::test]
async fn cve_2020_8184_a_name_is_not_decoded() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let good = token(&signed_in(&site).await);
    let mut client = Client::connect(site.addr()).await;
    for name in ["__%48ost-session", "%5F%5FHost-session", "__Host%2Dsession", "__Host-sessio%6e"] {
        let forged = format!("{name}={good}");
        assert_eq!(said_to(&mut client, forged.as_bytes()).await, NOBODY, "{name}");
        // Nor does it stand in the way of the true one.
        for both in [format!("{forged}; {COOKIE}={good}"), format!("{COOKIE}={good}; {forged}")] {
            assert_eq!(said_to(&mut client, both.as_bytes()).await, "alice,tea", "{both}");
        }
    }
}

/// Werkzeug CVE-2023-23934: `=__Host-x=bad`, a cookie without a name, was read as `__Host-x`.
#[tokio::test]
async fn cve_2023_23934_a_cookie_without_a_name_is_not_ours() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let good = token(&signed_in(&site).await);
    let mut client = Client::connect(site.addr()).await;
    for nameless in [format!("={COOKIE}={good}"), format!("=={COOKIE}={good}"), format!("={good}")]
    {
        assert_eq!(said_to(&mut client, nameless.as_bytes()).await, NOBODY, "{nameless}");
        let both = format!("{nameless}; {COOKIE}={good}");
        assert_eq!(said_to(&mut client, both.as_bytes()).await, "alice,tea", "{both}");
    }
}

/// "Cookie Chaos", September 2025: a browser sees no prefix behind Unicode white space, and a
/// server that trims it sees one.
#[tokio::test]
async fn cookie_chaos_2025_only_space_and_tab_are_trimmed() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let good = token(&signed_in(&site).await);
    let mut client = Client::connect(site.addr()).await;
    for white in ["\u{2000}", "\u{85}", "\u{a0}", "\u{3000}", "\u{feff}", "\u{1680}", "\u{2028}"] {
        for name in [format!("{white}{COOKIE}"), format!("{COOKIE}{white}")] {
            let forged = format!("{name}={good}");
            assert_eq!(said_to(&mut client, forged.as_bytes()).await, NOBODY, "{name:?}");
        }
    }
    // As single bytes of Latin-1, too.
    for white in [0x85, 0xa0] {
        let forged = [&[white], COOKIE.as_bytes(), b"=", good.as_bytes()].concat();
        assert_eq!(said_to(&mut client, &forged).await, NOBODY, "{white:#x}");
    }
    let honest = format!("a=1;\t {COOKIE}={good} \t; b=2");
    assert_eq!(said_to(&mut client, honest.as_bytes()).await, "alice,tea");
}

/// Flask CVE-2023-30861, Django CVE-2026-35192: an answer whose session was only read or refreshed
/// went out without `Vary: Cookie`, and a cache gave it to others.
#[tokio::test]
async fn cve_2023_30861_an_answer_that_depends_on_the_session_says_so() {
    let redis = RedisServer::start().await;
    // Each read is an activity that is written down.
    let at_once = Duration::ZERO;
    let site = Site::configured(&redis, |builder| builder.touch_interval(at_once)).await;
    let mut browser = signed_in(&site).await;
    for path in ["/get:cart", "/user", "/keys", "/id", "/~touch", "/insert:cart:tea"] {
        let reply = browser.get(&format!("{path},header:cache-control:public")).await.expect(200);
        assert_eq!(reply.all("vary"), ["cookie"], "{path}");
        assert!(reply.set_cookies().is_empty(), "{path}");
    }
    for path in ["/renew", "/login:bob", "/logout"] {
        let mut browser = signed_in(&site).await;
        let reply = browser.get(&format!("{path},header:cache-control:public")).await.expect(200);
        assert_eq!(reply.all("vary"), ["cookie"], "{path}");
        assert_eq!(reply.all("cache-control"), ["no-store"], "{path}");
        assert_eq!(reply.set_cookies().len(), 1, "{path}");
    }
}

/// on-headers CVE-2025-7339 (fixed in express-session 1.18.2): the code that added the session's
/// header mangled those of the application.
#[tokio::test]
async fn cve_2025_7339_the_headers_of_the_application_arrive_as_they_were() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let own = "header:x-list:a,header:x-list:b,header:set-cookie:own=1;%20Path=/,\
        header:set-cookie:own=2,header:link:a;%20rel=b,header:etag:W/x,header:x-list:a";
    let without = |headers: &HeaderMap| {
        let ours = |name: &str, value: &[u8]| {
            matches!(name, "vary" | "cache-control" | "date")
                || (name == "set-cookie" && value.starts_with(COOKIE.as_bytes()))
        };
        let all = headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
        all.filter(|(name, value)| !ours(name, value)).collect::<Vec<_>>()
    };
    let plain = Client::connect(site.addr()).await.get(&format!("/{own}")).await.expect(200);
    let expected = without(&plain.headers);
    assert_eq!(plain.all("x-list"), ["a", "b", "a"]);
    for change in ["insert:a:1", "login:alice", "renew", "logout", "set_platform:p"] {
        let mut browser = signed_in(&site).await;
        let reply = browser.get(&format!("/{change},{own}")).await.expect(200);
        assert_eq!(without(&reply.headers), expected, "{change}");
    }
}

/// cookie RUSTSEC-2017-0005: a `Max-Age` that was too large panicked.
#[tokio::test]
async fn rustsec_2017_0005_no_age_is_too_large_to_be_sent() {
    for idle in [1, 60, 34_560_000, 34_560_001, u64::from(u32::MAX), u64::MAX] {
        let built = RedisSessionLayer::builder(MemoryStore::new())
            .idle_timeout(Duration::from_secs(idle))
            .insecure_no_absolute_timeout()
            .cookie(CookieConfig::default().persistent())
            .build();
        // Refused with a word, or sent within the bounds of RFC 6265bis.
        let Ok(layer) = built else { continue };
        let handler = tower::service_fn(|request: Request<()>| async move {
            let session = request.extensions().get::<SessionContext>().unwrap();
            session.insert("a", &1).await.unwrap();
            Ok::<_, std::convert::Infallible>(Response::new(String::new()))
        });
        let response = layer.layer(handler).oneshot(Request::new(())).await.unwrap();
        let line = response.headers()["set-cookie"].to_str().unwrap();
        let age = line.split("Max-Age=").nth(1).unwrap().split(';').next().unwrap();
        let age: u64 = age.parse().unwrap();
        assert!((1..=34_560_000).contains(&age), "{idle}: {line}");
    }
}

/// trillium RUSTSEC-2024-0009: values of headers went out unchecked, and with them whatever line
/// breaks were in them.
#[tokio::test]
async fn rustsec_2024_0009_no_setting_puts_a_header_or_an_attribute_into_the_answer() {
    for evil in
        ["a\r\nx: y", "a; Domain=evil.example", "a\nb", "a\0b", "ä", "a,b", "a b", "a\u{7f}"]
    {
        for (setting, cookie) in [
            ("name", CookieConfig::new(evil)),
            ("path", CookieConfig::new("a").path(format!("/{evil}"))),
            ("domain", CookieConfig::new("a").domain(evil)),
        ] {
            // A path may hold a blank or a comma (RFC 6265bis 4.1.1).
            if setting == "path" && (evil == "a b" || evil == "a,b") {
                continue;
            }
            let built = RedisSessionLayer::builder(MemoryStore::new()).cookie(cookie).build();
            let error = built.err().unwrap_or_else(|| panic!("{setting} {evil:?} builds"));
            assert!(error.setting().starts_with("cookie"), "{setting} {evil:?}: {error}");
        }
    }
}

/// aiohttp-session CVE-2018-1000814, @fastify/session CVE-2024-35220, @fastify/secure-session
/// CVE-2024-31999: a session ended in the cookie and nowhere else, so that one who kept the cookie
/// kept the session.
#[tokio::test]
async fn cve_2024_35220_a_session_ends_on_the_server_whatever_the_cookie_says() {
    for (store, site, clock, _folder) in with_a_clock().await {
        for (end, wait) in [("/say:nothing", 3_700), ("/logout", 0), ("/destroy", 0)] {
            let mut browser = signed_in(&site).await;
            let kept = token(&browser);
            browser.get(end).await.expect(200);
            clock.advance(Duration::from_secs(wait));
            assert_eq!(who(&site, &kept).await, NOBODY, "{store}, {end}");
        }
    }
}

/// tower-sessions 0.4.3: the stores in memory gave out what had ended.
#[tokio::test]
async fn tower_sessions_0_4_3_no_store_gives_out_what_has_ended() {
    for (store, site, clock, _folder) in with_a_clock().await {
        let mut browser = signed_in(&site).await;
        let mut idle = signed_in(&site).await;
        // Active all the time, to the absolute end of a day.
        for _ in 0..47 {
            clock.advance(Duration::from_secs(1_800));
            assert_eq!(
                browser.get("/user,~touch").await.expect(200).text(),
                "alice,true",
                "{store}"
            );
        }
        assert_eq!(idle.get("/user").await.expect(200).text(), "-", "{store}");
        clock.advance(Duration::from_secs(1_800));
        let said = browser.get("/user,~validate").await.expect(200).text();
        assert_eq!(said, "-,!Expired", "{store}");
    }
}
