//! Requests that another site's page made in a visitor's name do not pass, and the visitor's own
//! do: over HTTP, on a live Redis.
//!
//! To see these fail: bind the token to the visitor's cookie whether there is a session or not;
//! keep that cookie over a login; ask the header `Origin` after the token; take a failed load for a
//! visitor; look at the path's beginning for an exemption.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, request::Parts};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use test_support::{
    Browser, COOKIE, Inside, LogCapture, RedisServer, Reply, Running, eventually, handle, patient,
    records, serve,
};
use tower_layer::Layer as _;
use tower_redis_session::{
    RedisConfig, RedisSessionLayer, RedisSessionLayerBuilder, RedisStore,
    csrf::{CsrfBody, CsrfBuilder, CsrfError, CsrfLayer},
    response::HttpError as _,
};

const VISITOR: &str = "__Host-session_csrf";
const FORM: (&str, &[u8]) = ("content-type", b"application/x-www-form-urlencoded");

/// A site behind both layers. `/echo` answers with the body that came; any other path is walked.
struct Shop {
    running: Running,
}

impl Shop {
    async fn start(redis: &RedisServer) -> Self {
        Self::configured(redis, |builder| builder, |csrf| csrf).await
    }

    async fn configured(
        redis: &RedisServer,
        sessions: impl FnOnce(RedisSessionLayerBuilder) -> RedisSessionLayerBuilder,
        csrf: impl FnOnce(CsrfBuilder) -> CsrfBuilder,
    ) -> Self {
        let sessions =
            |builder: RedisSessionLayerBuilder| sessions(builder.budget(Duration::from_secs(15)));
        Self::on(patient(&redis.url()), sessions, csrf).await
    }

    async fn on(
        redis: RedisConfig,
        sessions: impl FnOnce(RedisSessionLayerBuilder) -> RedisSessionLayerBuilder,
        csrf: impl FnOnce(CsrfBuilder) -> CsrfBuilder,
    ) -> Self {
        let sessions = sessions(
            RedisSessionLayer::builder(RedisStore::new(redis).unwrap())
                .renewal_grace(Duration::ZERO),
        );
        let csrf = csrf(CsrfLayer::builder());
        let inside = Arc::new(Inside::default());
        let handler = tower::service_fn(move |request: Request<CsrfBody<Incoming>>| {
            let inside = Arc::clone(&inside);
            async move {
                if request.uri().path() != "/echo" {
                    return handle(request, inside).await;
                }
                let body = request.into_body().collect().await.expect("the body").to_bytes();
                Ok::<_, Infallible>(Response::new(Full::from(body).boxed_unsync()))
            }
        });
        let csrf = csrf.build().unwrap().on_error(|error: &CsrfError, request: &Parts| {
            let fault = error.kind().map_or("?".into(), |fault| format!("{fault:?}"));
            error.response_to(request, fault)
        });
        let service = sessions.build().unwrap().layer(csrf.layer(handler));
        Self { running: serve(service).await }
    }

    fn addr(&self) -> SocketAddr {
        self.running.addr
    }

    async fn browser(&self) -> Browser {
        Browser::new(self.addr()).await
    }
}

/// What a page makes of the token that a visit to `path` ends with.
async fn token(browser: &mut Browser, path: &str) -> String {
    let said = browser.get(path).await.expect(200).text();
    said.rsplit(',').next().unwrap().to_owned()
}

/// A script's request with this token: the status, and the fault if it was refused.
async fn post(browser: &mut Browser, token: &str) -> (u16, String) {
    verdict(
        browser.send(Method::POST, "/say:done", &[("x-csrf-token", token.as_bytes())], "").await,
    )
}

async fn submit(browser: &mut Browser, form: &str) -> (u16, String) {
    verdict(browser.send(Method::POST, "/say:done", &[FORM], form.to_owned()).await)
}

fn verdict(reply: Reply) -> (u16, String) {
    (reply.status.as_u16(), reply.text())
}

fn passed() -> (u16, String) {
    (200, "done".into())
}

fn refused(fault: &str) -> (u16, String) {
    (403, fault.into())
}

/// Every kind of client that asks for a page.
const CLIENTS: [(&str, &str); 3] =
    [("visitor", "/"), ("anonymous session", "/insert:cart:tea"), ("signed in", "/login:alice")];

#[tokio::test]
async fn only_what_brings_the_pages_token_passes_and_the_faults_are_told_apart() {
    let redis = RedisServer::start().await;
    let shop = Shop::start(&redis).await;
    for (name, begin) in CLIENTS {
        let mut browser = shop.browser().await;
        browser.get(begin).await.expect(200);
        let token = token(&mut browser, "/csrf").await;
        let mut other = shop.browser().await;
        other.get(begin).await.expect(200);
        let foreign = self::token(&mut other, "/csrf").await;

        assert_eq!(post(&mut browser, &token).await, passed(), "{name}, header");
        let form = format!("a=1&csrf_token={token}&b=2");
        assert_eq!(submit(&mut browser, &form).await, passed(), "{name}, field");
        assert_eq!(post(&mut browser, &token).await, passed(), "{name}, once more");

        let nothing = verdict(browser.post("/say:done", "").await);
        assert_eq!(nothing, refused("Missing"), "{name}, nothing");
        assert_eq!(post(&mut browser, "").await, refused("Missing"), "{name}, empty header");
        assert_eq!(submit(&mut browser, "a=1").await, refused("Missing"), "{name}, other fields");
        assert_eq!(submit(&mut browser, "csrf_token=").await, refused("Missing"), "{name}, empty");
        assert_eq!(post(&mut browser, "x").await, refused("Malformed"), "{name}");
        assert_eq!(post(&mut browser, &token[1..]).await, refused("Malformed"), "{name}, cut");
        let twice = format!("csrf_token={token}&csrf_token={token}");
        assert_eq!(submit(&mut browser, &twice).await, refused("Malformed"), "{name}, two fields");
        let lines = [("x-csrf-token", token.as_bytes()), ("x-csrf-token", token.as_bytes())];
        let lines = verdict(browser.send(Method::POST, "/say:done", &lines, "").await);
        assert_eq!(lines, refused("Malformed"), "{name}, two headers");
        assert_eq!(post(&mut browser, &foreign).await, refused("Foreign"), "{name}");
        let mut tampered = token.clone().into_bytes();
        tampered[30] = if tampered[30] == b'A' { b'B' } else { b'A' };
        let tampered = String::from_utf8(tampered).unwrap();
        assert_eq!(post(&mut browser, &tampered).await, refused("Foreign"), "{name}, tampered");
    }
}

#[tokio::test]
async fn a_wrong_header_is_not_made_good_by_a_right_field() {
    let redis = RedisServer::start().await;
    let shop = Shop::start(&redis).await;
    let mut browser = shop.browser().await;
    let token = token(&mut browser, "/csrf").await;
    let headers = [FORM, ("x-csrf-token", b"wrong")];
    let form = format!("csrf_token={token}");
    let reply = browser.send(Method::POST, "/say:done", &headers, form).await;
    assert_eq!(verdict(reply), refused("Malformed"));
}

#[tokio::test]
async fn a_token_expires() {
    let redis = RedisServer::start().await;
    let brief = |builder: RedisSessionLayerBuilder| builder.csrf_lifetime(Duration::from_millis(1));
    let shop = Shop::configured(&redis, brief, |csrf| csrf).await;
    for (name, begin) in CLIENTS {
        let mut browser = shop.browser().await;
        browser.get(begin).await.expect(200);
        let token = token(&mut browser, "/csrf").await;
        let mut found = passed();
        eventually("a token of 1 ms is over", async || {
            found = post(&mut browser, &token).await;
            found != passed()
        })
        .await;
        assert_eq!(found, refused("Expired"), "{name}");
        let by_hand = browser.get(&format!("/verify_csrf:{token}")).await.expect(200).text();
        assert_eq!(by_hand, "!Expired", "{name}");
    }
}

#[tokio::test]
async fn a_token_dies_at_every_login_renewal_and_logout() {
    let redis = RedisServer::start().await;
    let shop = Shop::start(&redis).await;
    for (name, begin, event) in [
        ("a visitor's first value", "/", "/insert:cart:tea"),
        ("a visitor's login", "/", "/login:alice"),
        ("an anonymous session's login", "/insert:cart:tea", "/login:alice"),
        ("another user's login", "/login:alice", "/login:bob"),
        ("the same user's login", "/login:alice", "/login:alice"),
        ("renewal", "/login:alice", "/renew"),
        ("renewal without a user", "/insert:cart:tea", "/renew"),
        ("logout", "/login:alice", "/logout"),
        ("end without a user", "/insert:cart:tea", "/destroy"),
        ("logout and new values", "/login:alice", "/logout,insert:cart:tea"),
        ("login and logout at once", "/", "/login:alice,save,logout"),
    ] {
        let mut browser = shop.browser().await;
        browser.get(begin).await.expect(200);
        let old = token(&mut browser, "/csrf").await;
        assert_eq!(post(&mut browser, &old).await, passed(), "{name}, before");
        browser.get(event).await.expect(200);
        assert_eq!(post(&mut browser, &old).await, refused("Foreign"), "{name}, after");
        let new = token(&mut browser, "/csrf").await;
        assert_eq!(post(&mut browser, &old).await, refused("Foreign"), "{name}, beside the new");
        assert_eq!(post(&mut browser, &new).await, passed(), "{name}, the new");
    }
}

#[tokio::test]
async fn a_visitors_token_does_not_come_back_with_the_logout() {
    let redis = RedisServer::start().await;
    let shop = Shop::start(&redis).await;
    let mut browser = shop.browser().await;
    let visitors = token(&mut browser, "/csrf").await;
    let secret = browser.cookie(VISITOR).unwrap().to_owned();
    let reply = browser.get("/login:alice").await.expect(200);
    let removed = format!(
        "{VISITOR}=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0; \
         Expires=Thu, 01 Jan 1970 00:00:00 GMT"
    );
    assert_eq!(reply.set_cookies().len(), 2, "{reply:?}");
    assert_eq!(reply.set_cookies()[1], removed, "the visitor's cookie goes with the login");
    let alices = token(&mut browser, "/csrf").await;
    let reply = browser.get("/logout").await.expect(200);
    assert_eq!(reply.set_cookies().len(), 1, "nothing of a visitor's is left: {reply:?}");
    for (name, old) in [("the visitor's", &visitors), ("the session's", &alices)] {
        assert_eq!(post(&mut browser, old).await, refused("Foreign"), "{name}");
    }
    let now = token(&mut browser, "/csrf").await;
    assert_ne!(browser.cookie(VISITOR).unwrap(), secret, "a new secret");
    for (name, old) in [("the visitor's", &visitors), ("the session's", &alices)] {
        assert_eq!(post(&mut browser, old).await, refused("Foreign"), "{name}, with a new cookie");
    }
    assert_eq!(post(&mut browser, &now).await, passed());
}

#[tokio::test]
async fn a_logout_takes_a_visitors_cookie_along_and_its_page_gets_another() {
    let redis = RedisServer::start().await;
    let shop = Shop::start(&redis).await;
    let mut browser = shop.browser().await;
    let visitors = token(&mut browser, "/csrf").await;
    let secret = browser.cookie(VISITOR).unwrap().to_owned();
    browser.get("/login:alice").await.expect(200);
    // Another tab's answer was late.
    browser.set_cookie(VISITOR, &secret);
    let after = token(&mut browser, "/logout,csrf").await;
    assert_eq!(browser.last_set_cookies().len(), 2, "{:?}", browser.last_set_cookies());
    assert_ne!(browser.cookie(VISITOR).unwrap(), secret);
    assert_eq!(post(&mut browser, &visitors).await, refused("Foreign"));
    assert_eq!(post(&mut browser, &after).await, passed());
}

#[tokio::test]
async fn a_dead_session_is_nobodys() {
    let redis = RedisServer::start().await;
    let shop = Shop::start(&redis).await;
    for (name, end) in [("logout", "/logout"), ("renewal", "/renew"), ("login", "/login:bob")] {
        let mut browser = shop.browser().await;
        browser.get("/login:alice").await.expect(200);
        let token = token(&mut browser, "/csrf").await;
        let mut thief = browser.tab().await;
        browser.get(end).await.expect(200);
        assert!(thief.cookie(COOKIE).is_some());
        assert_eq!(post(&mut thief, &token).await, refused("Foreign"), "{name}, dead cookie");
        // The dead secret under the visitor's name gives nothing either.
        let secret = thief.cookie(COOKIE).unwrap().to_owned();
        thief.set_cookie(VISITOR, &secret);
        assert_eq!(post(&mut thief, &token).await, refused("Foreign"), "{name}, as a visitor's");
        thief.forget();
        assert_eq!(post(&mut thief, &token).await, refused("Foreign"), "{name}, no cookie");
    }
}

#[tokio::test]
async fn who_comes_with_a_dead_cookie_is_a_visitor() {
    let redis = RedisServer::start().await;
    let shop = Shop::start(&redis).await;
    let mut browser = shop.browser().await;
    browser.get("/login:alice").await.expect(200);
    let mut late = browser.tab().await;
    browser.get("/logout").await.expect(200);
    let token = token(&mut late, "/user,csrf").await;
    assert!(late.cookie(VISITOR).is_some() && late.cookie(COOKIE).is_some());
    assert_eq!(post(&mut late, &token).await, passed());
}

#[tokio::test]
async fn a_visitor_costs_no_command_and_no_record() {
    let redis = RedisServer::start().await;
    let shop = Shop::start(&redis).await;
    let mut browser = shop.browser().await;
    let monitor = redis.monitor().await;
    let first = browser.get("/csrf").await.expect(200);
    let secret = browser.cookie(VISITOR).unwrap().to_owned();
    assert_eq!(secret.len(), 43);
    let line = format!("{VISITOR}={secret}; HttpOnly; SameSite=Lax; Secure; Path=/");
    assert_eq!(first.set_cookies(), [line], "one cookie, and not the session's");
    assert_eq!(first.all("cache-control"), ["no-store"]);
    assert_eq!(first.all("vary"), ["cookie"]);

    let second = browser.get("/csrf,csrf").await.expect(200);
    assert!(second.set_cookies().is_empty(), "the cookie stays: {second:?}");
    for token in [first.text().as_str(), second.text().split_once(',').unwrap().1] {
        assert_eq!(post(&mut browser, token).await, passed());
        assert_eq!(submit(&mut browser, &format!("csrf_token={token}")).await, passed());
    }
    assert_eq!(post(&mut browser, "x").await, refused("Malformed"));
    assert_eq!(monitor.stop().await, [], "no command");
    assert!(redis.dump().await.is_empty(), "nothing is stored");
}

#[tokio::test]
async fn a_token_costs_the_load_that_the_handler_needs_anyway() {
    let redis = RedisServer::start().await;
    let shop = Shop::start(&redis).await;
    let mut browser = shop.browser().await;
    browser.get("/login:alice").await.expect(200);
    let token = token(&mut browser, "/csrf").await;
    let mut monitor = redis.monitor().await;
    let header = [("x-csrf-token", token.as_bytes())];
    let reply = browser.send(Method::POST, "/user,keys", &header, "").await.expect(200);
    assert_eq!(reply.text(), "alice,");
    assert_eq!(monitor.take_names().await.len(), 1);
    for refused in ["", "x", &token[1..]] {
        assert_eq!(post(&mut browser, refused).await.0, 403);
    }
    assert_eq!(monitor.stop().await, [], "what is no token asks nobody");
}

#[tokio::test]
async fn tabs_do_not_disturb_one_another() {
    let redis = RedisServer::start().await;
    let shop = Shop::start(&redis).await;
    for (name, begin) in CLIENTS {
        let mut one = shop.browser().await;
        one.get(begin).await.expect(200);
        let first = token(&mut one, "/csrf").await;
        let mut two = one.tab().await;
        let second = token(&mut two, "/csrf").await;
        assert_ne!(first, second, "{name}");
        assert_eq!(post(&mut one, &second).await, passed(), "{name}");
        assert_eq!(post(&mut two, &first).await, passed(), "{name}");
        assert_eq!(post(&mut one, &first).await, passed(), "{name}");
    }
}

#[tokio::test]
async fn a_token_after_a_buffered_change_of_the_id_is_one_for_the_new_id() {
    let redis = RedisServer::start().await;
    let shop = Shop::start(&redis).await;
    for (name, begin, path) in [
        ("first value", "/", "/insert:cart:tea,csrf"),
        ("login", "/", "/login:alice,csrf"),
        ("login of a session", "/insert:cart:tea", "/login:alice,csrf"),
        ("renewal", "/login:alice", "/renew,csrf"),
        ("renewal and more", "/login:alice", "/insert:a:b,renew,csrf,insert:c:d"),
        ("value of a session", "/login:alice", "/insert:a:b,csrf"),
        ("value that goes again", "/", "/insert:a:b,remove:a,csrf"),
    ] {
        let mut browser = shop.browser().await;
        browser.get(begin).await.expect(200);
        let said = browser.get(path).await.expect(200).text();
        let token = said.split(',').rfind(|part| part.len() == 75).unwrap();
        assert_eq!(post(&mut browser, token).await, passed(), "{name}");
    }
    let mut browser = shop.browser().await;
    browser.get("/login:alice,csrf,status:500").await.expect(500);
    assert_eq!(browser.get("/user").await.text(), "alice", "it was stored for the token");
}

#[tokio::test]
async fn the_body_reaches_the_handler_as_it_was() {
    let redis = RedisServer::start().await;
    let limit = |csrf: CsrfBuilder| csrf.max_form_size(1024);
    let shop = Shop::configured(&redis, |builder| builder, limit).await;
    let mut browser = shop.browser().await;
    let token = token(&mut browser, "/csrf").await;
    let header = ("x-csrf-token", token.as_bytes());
    let field = format!("csrf_token={token}");
    let filled = |len: usize| format!("{field}&b={}", "x".repeat(len - field.len() - 3));
    let every_byte: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let raw = [b"%00=%&&=\xff\0+;", field.as_bytes()].concat();
    let json = ("content-type", b"application/json".as_slice());
    let upper = ("content-type", b"Application/X-WWW-Form-Urlencoded ; charset=utf-8".as_slice());
    for (name, headers, body) in [
        ("field", &[FORM][..], format!("a=1&{field}&b=%20+").into_bytes()),
        ("a form that is none", &[FORM], [&raw[..12], b"&", &raw[12..]].concat()),
        ("content type with parameters", &[upper], field.clone().into_bytes()),
        ("as large as may be", &[FORM], filled(1024).into_bytes()),
        ("header and a large form", &[FORM, header], filled(100_000).into_bytes()),
        ("header and any bytes", &[header], every_byte),
        ("header and JSON", &[json, header], b"{\"a\":1}".to_vec()),
        ("header and nothing", &[header], Vec::new()),
    ] {
        let sent = Bytes::from(body);
        let reply = browser.send(Method::POST, "/echo", headers, sent.clone()).await;
        assert_eq!((reply.status.as_u16(), reply.body), (200, sent), "{name}");
    }
    for (name, headers, body, expected) in [
        ("one byte too many", &[FORM], filled(1025), (413, "TooLarge")),
        ("JSON with the field in it", &[json], field.clone(), (403, "Missing")),
        ("multipart", &[("content-type", b"multipart/form-data" as _)], field, (403, "Missing")),
    ] {
        let mut fresh = browser.tab().await;
        let found = verdict(fresh.send(Method::POST, "/echo", headers, body).await);
        assert_eq!(found, (expected.0, expected.1.to_owned()), "{name}");
    }
}

#[tokio::test]
async fn another_sites_page_gets_nothing_even_with_a_token() {
    let redis = RedisServer::start().await;
    let shop = Shop::start(&redis).await;
    let own = format!("http://{}", shop.addr());
    let port = shop.addr().port();
    let other_port = format!("http://127.0.0.1:{}", port ^ 1);
    let other_host = format!("http://localhost:{port}");
    let longer = format!("{own}1");
    let mut browser = shop.browser().await;
    browser.get("/login:alice").await.expect(200);
    let token = token(&mut browser, "/csrf").await;
    for (name, site, origin, passes) in [
        ("neither", None, None, true),
        ("same origin", Some("same-origin"), Some(&*own), true),
        ("same origin alone", Some("same-origin"), None, true),
        ("the user's own doing", Some("none"), None, true),
        ("behind a proxy that changes Host", Some("same-origin"), Some("https://x.test"), true),
        ("own Origin", None, Some(&own), true),
        ("another site", Some("cross-site"), Some("https://evil.test"), false),
        ("another site without Origin", Some("cross-site"), None, false),
        ("another site, own Origin", Some("cross-site"), Some(&own), false),
        ("a sibling host", Some("same-site"), Some("https://a.example.org"), false),
        ("a word of the future", Some("same-galaxy"), Some(&own), false),
        ("the right word badly written", Some("Same-Origin"), None, false),
        ("no word", Some(""), None, false),
        ("another Origin", None, Some("https://evil.test"), false),
        ("no Origin", None, Some("null"), false),
        ("empty Origin", None, Some(""), false),
        ("same host, other port", None, Some(&other_port), false),
        ("same host, more of a port", None, Some(&longer), false),
        ("other host, same port", None, Some(&other_host), false),
        ("a list", None, Some(&*format!("{own} https://evil.test")), false),
        ("own host in a path", None, Some(&*format!("https://evil.test/{own}")), false),
    ] {
        let mut headers = vec![("x-csrf-token", token.as_bytes())];
        headers.extend(site.map(|site| ("sec-fetch-site", site.as_bytes())));
        headers.extend(origin.map(|origin| ("origin", origin.as_bytes())));
        let expected = if passes { passed() } else { refused("CrossSite") };
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let found = verdict(browser.send(method.clone(), "/say:done", &headers, "").await);
            assert_eq!(found, expected, "{name}, {method}");
        }
    }
    let both = [
        ("x-csrf-token", token.as_bytes()),
        ("origin", own.as_bytes()),
        ("origin", b"https://evil.test"),
    ];
    let found = verdict(browser.send(Method::POST, "/say:done", &both, "").await);
    assert_eq!(found, refused("CrossSite"), "two Origins");
    let both = [("sec-fetch-site", b"same-origin" as _), ("sec-fetch-site", b"cross-site" as _)];
    let both = [both[0], both[1], ("x-csrf-token", token.as_bytes())];
    let found = verdict(browser.send(Method::POST, "/say:done", &both, "").await);
    assert_eq!(found, refused("CrossSite"), "two words");
}

#[tokio::test]
async fn an_own_page_without_a_token_gets_nothing() {
    let redis = RedisServer::start().await;
    let shop = Shop::start(&redis).await;
    let own = format!("http://{}", shop.addr());
    let mut browser = shop.browser().await;
    browser.get("/login:alice").await.expect(200);
    let headers = [("sec-fetch-site", b"same-origin" as _), ("origin", own.as_bytes())];
    let found = verdict(browser.send(Method::POST, "/say:done", &headers, "").await);
    assert_eq!(found, refused("Missing"));
}

#[tokio::test]
async fn who_is_trusted_is_named() {
    let redis = RedisServer::start().await;
    let trust = |csrf: CsrfBuilder| csrf.trusted_origins(["https://app.test", "http://b.test:81"]);
    let trusting = Shop::configured(&redis, |builder| builder, trust).await;
    let siblings = |csrf: CsrfBuilder| csrf.allow_same_site();
    let siblings = Shop::configured(&redis, |builder| builder, siblings).await;
    for (name, shop, site, origin, passes) in [
        ("trusted", &trusting, None, Some("https://app.test"), true),
        ("trusted, by its port", &trusting, None, Some("https://app.test:443"), true),
        ("trusted, cross-site", &trusting, Some("cross-site"), Some("https://app.test"), true),
        ("trusted, with a port", &trusting, Some("same-site"), Some("http://b.test:81"), true),
        ("another scheme", &trusting, Some("cross-site"), Some("http://app.test"), false),
        ("another port", &trusting, None, Some("http://b.test"), false),
        ("a host below", &trusting, None, Some("https://a.app.test"), false),
        ("another", &trusting, Some("cross-site"), Some("https://evil.test"), false),
        ("cross-site without Origin", &trusting, Some("cross-site"), None, false),
        ("null", &trusting, Some("cross-site"), Some("null"), false),
        ("sibling", &siblings, Some("same-site"), Some("https://a.test"), true),
        ("cross-site is no sibling", &siblings, Some("cross-site"), Some("https://a.test"), false),
        ("sibling by Origin alone", &siblings, None, Some("https://a.test"), false),
    ] {
        let mut browser = shop.browser().await;
        let token = token(&mut browser, "/csrf").await;
        let mut headers: Vec<(&str, &[u8])> = Vec::new();
        headers.extend(site.map(|site: &str| ("sec-fetch-site", site.as_bytes())));
        headers.extend(origin.map(|origin: &str| ("origin", origin.as_bytes())));
        let missing = verdict(browser.send(Method::POST, "/say:done", &headers, "").await);
        let fault = if passes { "Missing" } else { "CrossSite" };
        assert_eq!(missing, refused(fault), "{name}, without a token");
        headers.push(("x-csrf-token", token.as_bytes()));
        let found = verdict(browser.send(Method::POST, "/say:done", &headers, "").await);
        assert_eq!(found, if passes { passed() } else { refused("CrossSite") }, "{name}");
    }
}

#[tokio::test]
async fn what_changes_nothing_is_never_refused() {
    let redis = RedisServer::start().await;
    let shop = Shop::start(&redis).await;
    let mut browser = shop.browser().await;
    let headers = [("sec-fetch-site", b"cross-site" as _), ("origin", b"https://evil.test" as _)];
    for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE] {
        let reply = browser.send(method.clone(), "/say:done", &headers, "").await;
        assert_eq!(reply.status.as_u16(), 200, "{method}");
    }
    for method in ["POST", "PUT", "PATCH", "DELETE", "PROPFIND", "get", "QUERY"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let reply = browser.send(method.clone(), "/say:done", &[], "").await;
        assert_eq!(reply.status.as_u16(), 403, "{method}");
    }
}

#[tokio::test]
async fn only_what_is_named_is_exempt() {
    let redis = RedisServer::start().await;
    let exempt = |csrf: CsrfBuilder| {
        csrf.exempt_path("/say:hook")
            .exempt_path("/say:other")
            .exempt(|parts| parts.method == Method::DELETE && parts.uri.path() == "/say:gone")
    };
    let shop = Shop::configured(&redis, |builder| builder, exempt).await;
    let mut browser = shop.browser().await;
    let evil = [("sec-fetch-site", b"cross-site" as _)];
    for (method, path, passes) in [
        (Method::POST, "/say:hook", true),
        (Method::PUT, "/say:hook?a=b", true),
        (Method::POST, "/say:other", true),
        (Method::DELETE, "/say:gone", true),
        (Method::POST, "/say:gone", false),
        (Method::POST, "/say:hook/", false),
        (Method::POST, "/say:hooks", false),
        (Method::POST, "/say:hook,say:x", false),
        (Method::POST, "//say:hook", false),
        (Method::POST, "/SAY:HOOK", false),
        (Method::POST, "/say%3Ahook", false),
        (Method::POST, "/say:x?/say:hook", false),
    ] {
        let status = browser.send(method.clone(), path, &evil, "").await.status.as_u16();
        assert_eq!(status, if passes { 200 } else { 403 }, "{method} {path}");
    }
}

#[tokio::test]
async fn a_handler_may_verify_by_itself() {
    let redis = RedisServer::start().await;
    let shop = Shop::start(&redis).await;
    let mut browser = shop.browser().await;
    browser.get("/login:alice").await.expect(200);
    let token = token(&mut browser, "/csrf").await;
    for (text, said) in
        [(&*token, "right"), ("", "!Missing"), ("x", "!Malformed"), (&"A".repeat(75), "!Foreign")]
    {
        let found = browser.get(&format!("/verify_csrf:{text}")).await.expect(200).text();
        assert_eq!(found, said, "{text}");
    }
    let path = format!("/login:bob,verify_csrf:{token},save,verify_csrf:{token}");
    let found = browser.get(&path).await.expect(200).text();
    assert_eq!(found, "right,!Foreign", "until the login is stored it is the old session's");
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_neither_a_yes_nor_a_no() {
    let redis = RedisServer::start().await;
    let limits = RedisConfig::new(redis.url())
        .connect_timeout(Duration::from_secs(2))
        .command_timeout(Duration::from_secs(2));
    let budget = |builder: RedisSessionLayerBuilder| builder.budget(Duration::from_secs(5));
    let shop = Shop::on(limits, budget, |csrf| csrf).await;
    let mut browser = shop.browser().await;
    browser.get("/login:alice").await.expect(200);
    let token = token(&mut browser, "/csrf").await;
    let mut visitor = shop.browser().await;
    let visitors = self::token(&mut visitor, "/csrf").await;
    redis.kill();
    let form = format!("csrf_token={token}");
    let header = [("x-csrf-token", token.as_bytes())];
    for (name, headers, body) in [("header", &header, ""), ("field", &[FORM], &*form)] {
        let reply = browser.send(Method::POST, "/say:done", headers, body.to_owned()).await;
        assert_eq!(verdict(reply.clone()), (503, "?".into()), "{name}");
        assert_eq!(reply.all("retry-after"), ["1"], "{name}");
        assert!(reply.set_cookies().is_empty(), "{name}: {reply:?}");
    }
    browser.get("/csrf").await.expect(503);
    assert_eq!(post(&mut browser, "x").await, refused("Malformed"), "that needs no store");
    assert_eq!(post(&mut visitor, &visitors).await, passed(), "nor does a visitor");
}

#[tokio::test]
async fn what_a_script_sends_every_minute_passes() {
    let redis = RedisServer::start().await;
    let shop = Shop::start(&redis).await;
    let mut browser = shop.browser().await;
    browser.get("/login:alice").await.expect(200);
    let token = token(&mut browser, "/csrf").await;
    let own = format!("http://{}", shop.addr());
    let headers = [
        ("x-csrf-token", token.as_bytes()),
        ("content-type", b"application/json"),
        ("sec-fetch-site", b"same-origin"),
        ("origin", own.as_bytes()),
    ];
    for _ in 0..20 {
        let reply = browser.send(Method::POST, "/touch,user", &headers, "").await.expect(200);
        assert!(reply.text().ends_with(",alice"), "{reply:?}");
    }
}

#[tokio::test]
async fn several_visitors_cookies_are_none() {
    let redis = RedisServer::start().await;
    let shop = Shop::start(&redis).await;
    let (mut victim, mut attacker) = (shop.browser().await, shop.browser().await);
    let own = token(&mut victim, "/csrf").await;
    let planted = token(&mut attacker, "/csrf").await;
    let cookie = |browser: &Browser| format!("{VISITOR}={}", browser.cookie(VISITOR).unwrap());
    let (honest, evil) = (cookie(&victim), cookie(&attacker));
    let mut client = test_support::Client::connect(shop.addr()).await;
    for (name, cookies, token, expected) in [
        ("one", honest.clone(), &own, passed()),
        ("the same twice", format!("{honest}; {honest}"), &own, passed()),
        ("beside what is no secret", format!("{VISITOR}=x; {honest}"), &own, passed()),
        ("planted before", format!("{evil}; {honest}"), &planted, refused("Foreign")),
        ("planted behind", format!("{honest}; {evil}"), &planted, refused("Foreign")),
        (
            "and the honest one does not count",
            format!("{honest}; {evil}"),
            &own,
            refused("Foreign"),
        ),
    ] {
        let headers = [("cookie", cookies.as_bytes()), ("x-csrf-token", token.as_bytes())];
        let found = verdict(client.send(Method::POST, "/say:done", &headers, "").await);
        assert_eq!(found, expected, "{name}");
    }
}

#[tokio::test]
async fn a_planted_visitors_cookie_does_nothing_to_a_session() {
    let redis = RedisServer::start().await;
    let shop = Shop::start(&redis).await;
    let (mut victim, mut attacker) = (shop.browser().await, shop.browser().await);
    victim.get("/login:alice").await.expect(200);
    let planted = token(&mut attacker, "/csrf").await;
    let secret = attacker.cookie(VISITOR).unwrap().to_owned();
    victim.set_cookie(VISITOR, &secret);
    assert_eq!(post(&mut victim, &planted).await, refused("Foreign"));
    let own = token(&mut victim, "/csrf").await;
    assert_eq!(post(&mut victim, &own).await, passed());
}

#[tokio::test]
async fn a_record_that_cannot_be_read_locks_nobody_out() {
    let redis = RedisServer::start().await;
    let shop = Shop::start(&redis).await;
    let mut browser = shop.browser().await;
    browser.get("/login:alice").await.expect(200);
    let mut connection = redis.connection().await;
    for (key, mut value) in records(&redis).await {
        value.truncate(20);
        let spoil = redis::cmd("SET").arg(key).arg(value).arg("KEEPTTL").to_owned();
        let () = spoil.query_async(&mut connection).await.unwrap();
    }
    let token = token(&mut browser, "/csrf").await;
    let header = [("x-csrf-token", token.as_bytes())];
    browser.send(Method::POST, "/logout,insert:cart:tea", &header, "").await.expect(200);
    assert_eq!(browser.get("/get:cart").await.text(), "tea");
}

#[tokio::test]
async fn after_the_head_only_what_the_client_has_is_bound_to() {
    let redis = RedisServer::start().await;
    let shop = Shop::start(&redis).await;
    let mut browser = shop.browser().await;
    assert_eq!(browser.get("/stream,csrf").await.expect(200).text(), "!Closed,");
    assert!(browser.cookie(VISITOR).is_none());
    let known = browser.get("/csrf,stream,csrf").await.expect(200).text();
    let (before, after) = known.trim_end_matches(',').split_at(75);
    for token in [before, after] {
        assert_eq!(post(&mut browser, token).await, passed());
    }
    let later = browser.get("/stream,csrf").await.expect(200).text();
    assert_eq!(post(&mut browser, later.trim_end_matches(',')).await, passed());
    let gone = browser.get("/insert:a:b,save,destroy,stream,csrf").await.expect(200).text();
    assert_eq!(gone, "!Closed,", "the head has taken the cookie away");
}

#[tokio::test]
async fn a_refusal_is_logged_with_its_fault_and_no_secret() {
    // Of all tests here: what one thread alone captures depends on who logs first.
    let log = LogCapture::of_the_process();
    let redis = RedisServer::start().await;
    let shop = Shop::start(&redis).await;
    let mut browser = shop.browser().await;
    let visitors = token(&mut browser, "/csrf").await;
    let secret = browser.cookie(VISITOR).unwrap().to_owned();
    browser.get("/login:alice").await.expect(200);
    let sessions = token(&mut browser, "/csrf").await;
    assert_eq!(post(&mut browser, &visitors).await, refused("Foreign"));
    assert_eq!(post(&mut browser, "x").await, refused("Malformed"));
    let all: Vec<String> = log.all().into_iter().map(|captured| captured.text).collect();
    for text in ["the csrf token is not of this session", "the csrf token is malformed"] {
        let told = |line: &String| line.starts_with("csrf refused") && line.contains(text);
        assert!(all.iter().any(told), "{text}");
    }
    let cookie = browser.cookie(COOKIE).unwrap();
    for hidden in [&*visitors, &*sessions, &*secret, cookie] {
        assert!(!all.iter().any(|line| line.contains(hidden)), "{hidden} was logged");
    }
}
