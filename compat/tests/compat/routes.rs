//! The cases of tower-sessions' own tests (`tests/common/mod.rs` there, 0.15), in words of our
//! own, for the `Session` of both versions. Handlers are as a program on tower-sessions has them.
//!
//! | case there | here |
//! |---|---|
//! | `no_session_set` | `a_request_that_changes_nothing_sets_no_cookie` |
//! | `bogus_session_cookie` | `an_id_that_was_made_up_is_replaced` |
//! | `malformed_session_cookie` | `a_malformed_cookie_opens_nothing_and_is_replaced`: not removed |
//! | `insert_session` | `a_new_session_has_a_cookie_with_all_attributes` |
//! | `session_max_age` | `without_an_expiry_the_cookie_ends_with_the_browser` |
//! | `get_session`, `get_no_value` | `a_value_is_read_by_the_next_request` |
//! | `remove_last_value` | `the_last_value_can_be_removed` |
//! | `cycle_session_id` | `a_cycled_id_keeps_the_values` |
//! | `flush_session`, `flush_with_domain` | `a_flush_removes_the_cookie_with_its_attributes` |
//! | `set_expiry`, `change_expiry_type` | `the_expiry_of_one_session_changes_its_cookie` |

macro_rules! cases {
    ($version:ident, $($theirs:ident)::+) => {
        mod $version {
            use std::time::Duration;

            use axum::{Router, routing::get};
            use time::OffsetDateTime;
            use tower_redis_session::{
                CookieConfig, MemoryStore, RedisSessionLayer, SameSite, testing::TestResponse,
            };
            use tower_redis_session_compat::$version::SessionManagerLayer;
            use $($theirs)::+::{Expiry, Session};

            use crate::browser;

            const HOUR: i64 = 3_600;
            const DAY: i64 = 24 * HOUR;

            fn routes() -> Router {
                Router::new()
                    .route("/", get(|_: Session| async { "hello" }))
                    .route("/insert", get(|s: Session| async move {
                        s.insert("n", 42).await.unwrap();
                    }))
                    .route("/get", get(|s: Session| async move {
                        format!("{:?}", s.get::<u32>("n").await.unwrap())
                    }))
                    .route("/get_value", get(|s: Session| async move {
                        format!("{:?}", s.get_value("n").await.unwrap())
                    }))
                    .route("/remove", get(|s: Session| async move {
                        format!("{:?}", s.remove::<u32>("n").await.unwrap())
                    }))
                    .route("/cycle_id", get(|s: Session| async move {
                        s.cycle_id().await.unwrap();
                    }))
                    .route("/flush", get(|s: Session| async move { s.flush().await.unwrap() }))
                    .route("/tomorrow", get(|s: Session| async move {
                        let tomorrow = OffsetDateTime::now_utc() + time::Duration::days(1);
                        s.set_expiry(Some(Expiry::AtDateTime(tomorrow)));
                    }))
                    .route("/browser", get(|s: Session| async move {
                        s.set_expiry(Some(Expiry::OnSessionEnd));
                    }))
            }

            fn app(idle: Option<i64>, domain: Option<&str>) -> (RedisSessionLayer, Router) {
                let mut cookie = CookieConfig::new("id").same_site(SameSite::Strict);
                if let Some(domain) = domain {
                    cookie = cookie.domain(domain);
                }
                // So that `Max-Age`, which lasts until the absolute timeout, is the idle timeout.
                let hour = Duration::from_secs(3_600);
                let sessions = RedisSessionLayer::builder(MemoryStore::new())
                    .cookie(cookie)
                    .idle_timeout(hour)
                    .absolute_timeout(hour)
                    .build()
                    .unwrap();
                let mut layer = SessionManagerLayer::new(sessions.clone());
                if let Some(idle) = idle {
                    layer = layer.with_expiry(Expiry::OnInactivity(time::Duration::seconds(idle)));
                }
                (sessions, routes().layer(layer))
            }

            fn set_cookie(response: &TestResponse) -> &str {
                response.header("set-cookie").expect("a cookie is set")
            }

            fn value(set_cookie: &str) -> &str {
                set_cookie.strip_prefix("id=").unwrap().split(';').next().unwrap()
            }

            fn has(set_cookie: &str, attribute: &str) -> bool {
                set_cookie.split("; ").skip(1).any(|found| found == attribute)
            }

            fn max_age(set_cookie: &str) -> Option<i64> {
                let ages = set_cookie.split("; ").filter_map(|part| part.strip_prefix("Max-Age="));
                ages.last().map(|age| age.parse().unwrap())
            }

            fn is_about(age: Option<i64>, expected: i64) -> bool {
                age.is_some_and(|age| (expected - 2..=expected).contains(&age))
            }

            #[tokio::test]
            async fn a_request_that_changes_nothing_sets_no_cookie() {
                let (sessions, app) = app(Some(HOUR), None);
                let response = browser(&sessions, app).get("/").await;
                assert_eq!(response.text(), "hello");
                assert_eq!(response.header("set-cookie"), None);
            }

            #[tokio::test]
            async fn an_id_that_was_made_up_is_replaced() {
                let (sessions, app) = app(Some(HOUR), None);
                let theirs = "AAAAAAAAAAAAAAAAAAAAAA";
                let ours = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
                for made_up in [theirs, ours] {
                    let client = browser(&sessions, app.clone());
                    client.set_cookie(&format!("id={made_up}; Path=/; Secure"));
                    let response = client.get("/insert").await;
                    assert_eq!(response.status(), 200);
                    assert_ne!(value(set_cookie(&response)), made_up);
                }
            }

            #[tokio::test]
            async fn a_malformed_cookie_opens_nothing_and_is_replaced() {
                let (sessions, app) = app(Some(HOUR), None);
                let client = browser(&sessions, app);
                client.set_cookie("id=malformed; Path=/; Secure");
                assert_eq!(client.get("/").await.status(), 200);
                assert_eq!(client.get("/get").await.text(), "None");
                let response = client.get("/insert").await;
                assert_ne!(value(set_cookie(&response)), "malformed");
                assert_eq!(client.get("/get").await.text(), "Some(42)");
            }

            #[tokio::test]
            async fn a_new_session_has_a_cookie_with_all_attributes() {
                let (sessions, app) = app(Some(HOUR), None);
                let response = browser(&sessions, app).get("/insert").await;
                let cookie = set_cookie(&response);
                for attribute in ["HttpOnly", "SameSite=Strict", "Secure", "Path=/"] {
                    assert!(has(cookie, attribute), "{cookie}");
                }
                assert!(is_about(max_age(cookie), HOUR), "{cookie}");
            }

            #[tokio::test]
            async fn without_an_expiry_the_cookie_ends_with_the_browser() {
                let (sessions, app) = app(None, None);
                let response = browser(&sessions, app).get("/insert").await;
                let cookie = set_cookie(&response);
                for attribute in ["HttpOnly", "SameSite=Strict", "Secure", "Path=/"] {
                    assert!(has(cookie, attribute), "{cookie}");
                }
                assert_eq!(max_age(cookie), None, "{cookie}");
            }

            #[tokio::test]
            async fn a_value_is_read_by_the_next_request() {
                let (sessions, app) = app(Some(HOUR), None);
                let client = browser(&sessions, app);
                assert_eq!(client.get("/get_value").await.text(), "None");
                client.get("/insert").await;
                assert_eq!(client.get("/get").await.text(), "Some(42)");
                assert_eq!(client.get("/get_value").await.text(), "Some(Number(42))");
            }

            #[tokio::test]
            async fn the_last_value_can_be_removed() {
                let (sessions, app) = app(Some(HOUR), None);
                let client = browser(&sessions, app);
                client.get("/insert").await;
                assert_eq!(client.get("/remove").await.text(), "Some(42)");
                assert_eq!(client.get("/get_value").await.text(), "None");
            }

            #[tokio::test]
            async fn a_cycled_id_keeps_the_values() {
                let (sessions, app) = app(Some(HOUR), None);
                let client = browser(&sessions, app);
                client.get("/insert").await;
                let first = client.cookie("id");
                client.get("/cycle_id").await;
                assert_ne!(client.cookie("id"), first);
                assert_eq!(client.get("/get").await.text(), "Some(42)");
            }

            #[tokio::test]
            async fn a_flush_removes_the_cookie_with_its_attributes() {
                for domain in [None, Some("example.org")] {
                    let (sessions, app) = app(Some(HOUR), domain);
                    let client = browser(&sessions, app);
                    client.get("/insert").await;
                    assert!(client.cookie("id").is_some());
                    let response = client.get("/flush").await;
                    let cookie = set_cookie(&response);
                    assert_eq!(value(cookie), "");
                    assert_eq!(max_age(cookie), Some(0), "{cookie}");
                    for attribute in ["HttpOnly", "SameSite=Strict", "Secure", "Path=/"] {
                        assert!(has(cookie, attribute), "{cookie}");
                    }
                    assert_eq!(has(cookie, "Domain=example.org"), domain.is_some(), "{cookie}");
                    assert_eq!(client.cookie("id"), None);
                    assert_eq!(client.get("/get").await.text(), "None");
                }
            }

            #[tokio::test]
            async fn the_expiry_of_one_session_changes_its_cookie() {
                for (idle, before) in [(Some(HOUR), Some(HOUR)), (None, None)] {
                    let (sessions, app) = app(idle, None);
                    let client = browser(&sessions, app);
                    let response = client.get("/insert").await;
                    let age = max_age(set_cookie(&response));
                    let is = before.map_or(age.is_none(), |before| is_about(age, before));
                    assert!(is, "{age:?}");
                    let response = client.get("/tomorrow").await;
                    assert!(is_about(max_age(set_cookie(&response)), DAY), "{response:?}");
                    let response = client.get("/browser").await;
                    assert_eq!(max_age(set_cookie(&response)), None, "{response:?}");
                    assert_eq!(client.get("/get").await.text(), "Some(42)");
                }
            }
        }
    };
}

cases!(v0_14, axum_login::tower_sessions);
cases!(v0_15, tower_sessions);
