//! "Remember me": some sessions outlive the browser, for as long as they were told to.
//!
//! To see these fail: leave the flag out of the record, or the cookie as it is when the age
//! changes.

use test_support::{COOKIE, RedisServer, Reply, Site};
use tower_redis_session::CookieConfig;

const MONTH: u64 = 30 * 86_400;

/// The `Max-Age` of the session cookie that the answer sets; none for one that ends with the
/// browser.
fn max_age(reply: &Reply) -> Option<u64> {
    let lines = reply.set_cookies();
    assert_eq!(lines.len(), 1, "{reply:?}");
    let age = lines[0].split("; ").find_map(|part| part.strip_prefix("Max-Age="));
    age.map(|age| age.parse().unwrap())
}

fn is_a_month(age: Option<u64>) -> bool {
    age.is_some_and(|age| (MONTH - 60..=MONTH).contains(&age))
}

#[tokio::test]
async fn a_remembered_session_outlives_the_browser_and_others_do_not() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let (mut plain, mut remembered) = (site.browser().await, site.browser().await);
    let reply = plain.get("/login:alice").await.expect(200);
    assert_eq!(max_age(&reply), None);
    let reply = remembered.get(&format!("/login:alice,remember:{MONTH}")).await.expect(200);
    assert!(is_a_month(max_age(&reply)), "{reply:?}");
    // Held through writes, and through a new id and a new sign-in.
    let reply = remembered.get("/insert:a:1,update:n").await.expect(200);
    assert!(reply.set_cookies().is_empty(), "{reply:?}");
    for path in ["/renew", "/login:alice"] {
        let reply = remembered.get(path).await.expect(200);
        assert!(is_a_month(max_age(&reply)), "{path}: {reply:?}");
    }
    let reply = remembered.get("/login:bob").await.expect(200);
    assert_eq!(max_age(&reply), None, "nobody asked to be remembered");
    let reply = remembered.get("/logout").await.expect(200);
    assert_eq!(max_age(&reply), Some(0));
}

#[tokio::test]
async fn to_be_remembered_later_hands_the_same_cookie_out_with_its_age() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = site.browser().await;
    browser.get("/login:alice").await.expect(200);
    let token = browser.cookie(COOKIE).unwrap().to_owned();
    let reply = browser.get(&format!("/remember:{MONTH}")).await.expect(200);
    assert!(is_a_month(max_age(&reply)), "{reply:?}");
    assert_eq!(browser.cookie(COOKIE), Some(&*token));
    let reply = browser.get(&format!("/remember:{MONTH}")).await.expect(200);
    assert!(reply.set_cookies().is_empty(), "nothing has changed: {reply:?}");
    let reply = browser.get("/expiry:600:3600").await.expect(200);
    assert_eq!(max_age(&reply), None, "no longer");
    // An expiry that no cookie shows hands none out.
    let reply = browser.get("/expiry:600:7200").await.expect(200);
    assert!(reply.set_cookies().is_empty(), "{reply:?}");
    assert_eq!(browser.get("/user").await.expect(200).text(), "alice");
}

#[tokio::test]
async fn where_all_cookies_last_a_longer_life_is_told_to_the_cookie() {
    let redis = RedisServer::start().await;
    let lasting = CookieConfig::default().persistent();
    let site = Site::configured(&redis, |builder| builder.cookie(lasting)).await;
    let mut browser = site.browser().await;
    let day = max_age(&browser.get("/login:alice").await.expect(200)).unwrap();
    assert!((86_400 - 60..=86_400).contains(&day), "{day}");
    let reply = browser.get(&format!("/expiry:{MONTH}:{MONTH}")).await.expect(200);
    assert!(is_a_month(max_age(&reply)), "{reply:?}");
}
