//! What a session may hold: size, number of values, depth, names, and no store is asked beyond.
//!
//! To see these fail: raise a bound, or check it after the save.

use test_support::{RedisServer, Site};

#[tokio::test]
async fn beyond_a_bound_nothing_is_asked_of_the_store_and_nothing_is_lost() {
    let redis = RedisServer::start().await;
    let site = Site::configured(&redis, |b| b.max_values(10).max_record_size(2_000)).await;
    let mut browser = site.browser().await;
    browser.get("/insert:cart:tea,many:9").await.expect(200);
    let mut monitor = redis.monitor().await;
    for (name, path, asked) in [
        ("one more than there may be", "/insert:another:1", &["GET"][..]),
        ("too large", "/fill:a:2000", &["GET"]),
        ("too deep", "/deep:a:101", &[]),
    ] {
        let reply = browser.get(path).await;
        assert_eq!((reply.status.as_u16(), reply.text()), (413, "TooLarge".into()), "{name}");
        assert_eq!(monitor.take_names().await, asked, "{name}");
    }
    assert_eq!(browser.get("/get:cart,get:value8").await.expect(200).text(), "tea,8");
    let first = site.browser().await.get("/many:11").await;
    assert_eq!((first.status.as_u16(), first.text()), (413, "TooLarge".into()), "a first write");
    // At the bound.
    for path in ["/insert:cart:coffee", "/clear,deep:a:100", "/clear,many:10"] {
        browser.get(path).await.expect(200);
    }
    assert_eq!(browser.get("/get:value9").await.expect(200).text(), "9");
}

#[tokio::test]
async fn a_session_from_before_a_bound_was_lowered_may_stay_as_it_is_and_shrink() {
    let redis = RedisServer::start().await;
    let (roomy, tight) = (
        Site::start(&redis).await,
        Site::configured(&redis, |builder| builder.max_values(3)).await,
    );
    let mut browser = roomy.browser().await;
    browser.get("/many:6").await.expect(200);
    let mut browser = browser.on(tight.addr()).await;
    browser.get("/insert:value0:again").await.expect(200);
    browser.get("/insert:another:1").await.expect(413);
    browser.get("/remove:value5,login:alice").await.expect(200);
    assert_eq!(browser.get("/keys,user").await.expect(200).text().split('+').count(), 5);
}
