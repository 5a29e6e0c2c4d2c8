//! The cookie's domain by the host of the request, from a list.
//!
//! To see these fail: compare without the dot; take the first that fits; believe the second `Host`;
//! remove the cookie without its domain.

use std::convert::Infallible;

use http::{Request, Response, header};
use test_support::faulty_store::{FaultyStore, session_of};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_redis_session::{CookieConfig, RedisSessionLayer, Transport};

fn layer() -> RedisSessionLayer {
    let domains = ["a.example", "shop.a.example", "b.example"];
    let cookie = CookieConfig::new("__Secure-id").domains(domains);
    let builder = RedisSessionLayer::builder(FaultyStore::new());
    builder.transport(Transport::cookie(cookie)).build().unwrap()
}

/// The domains of the cookies that a sign-in or a logout answers with; "-" for none.
async fn domains_of(layer: &RedisSessionLayer, request: Request<()>, login: bool) -> Vec<String> {
    let handler = service_fn(move |request: Request<()>| {
        let session = session_of(&request);
        async move {
            let _ = if login { session.login("alice").await } else { session.logout().await };
            Ok::<_, Infallible>(Response::new(String::new()))
        }
    });
    let response = layer.layer(handler).oneshot(request).await.unwrap();
    let lines = response.headers().get_all(header::SET_COOKIE).iter();
    let domain = |line: &str| {
        let domain = line.split("; ").find_map(|part| part.strip_prefix("Domain="));
        domain.unwrap_or("-").to_owned()
    };
    lines.map(|line| domain(line.to_str().unwrap())).collect()
}

#[tokio::test]
async fn a_cookie_goes_to_the_domain_of_the_request_and_never_to_another() {
    let layer = layer();
    let token = format!("__Secure-id={}", "A".repeat(43));
    for (name, uri, hosts, domain) in [
        ("the domain", "/", &["a.example"][..], "a.example"),
        ("below it", "/", &["www.a.example"], "a.example"),
        ("the longest", "/", &["x.shop.a.example"], "shop.a.example"),
        ("the other tenant", "/", &["b.example"], "b.example"),
        ("with a port", "/", &["b.example:8443"], "b.example"),
        ("another case, and the root's dot", "/", &["WWW.B.Example."], "b.example"),
        ("a name that ends alike", "/", &["evila.example"], "-"),
        ("the domain in front", "/", &["a.example.evil.test"], "-"),
        ("above it", "/", &["example"], "-"),
        ("another", "/", &["c.example"], "-"),
        ("an address", "/", &["[::1]:80"], "-"),
        ("not a host", "/", &["a.example/"], "-"),
        ("empty", "/", &[""], "-"),
        ("none", "/", &[], "-"),
        ("two", "/", &["a.example", "b.example"], "-"),
        ("the target counts", "https://b.example/", &["a.example"], "b.example"),
    ] {
        for login in [true, false] {
            let mut request = Request::builder().uri(uri);
            for host in hosts {
                request = request.header(header::HOST, *host);
            }
            if !login {
                request = request.header(header::COOKIE, &token);
            }
            let request = request.header("x-forwarded-host", "b.example").body(()).unwrap();
            assert_eq!(domains_of(&layer, request, login).await, [domain], "{name}, {login}");
        }
    }
}

#[test]
fn domains_that_could_not_work_do_not_build() {
    let secure = || CookieConfig::new("__Secure-id");
    for (name, cookie) in [
        ("malformed", secure().domains(["a.example", "b example"])),
        ("with one for all", secure().domains(["a.example"]).domain("b.example")),
        ("with a prefix that has none", CookieConfig::default().domains(["a.example"])),
    ] {
        assert_eq!(cookie.check().unwrap_err().setting(), "cookie domains", "{name}");
    }
    let none: [&str; 0] = [];
    assert!(CookieConfig::default().domains(none).check().is_ok());
}
