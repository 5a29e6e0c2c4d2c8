//! Logout is final: a request that loaded its session before the session ended brings nothing
//! back, under the old id or a new one, and answers with a cookie that is no longer good.
//!
//! To see these fail: on Gone create the record again (under the old id or a fresh one); answer
//! Gone by an error; let a touch write a whole value; leave attributes out of the removal cookie.

use std::time::Duration;

use test_support::{
    AnyRedis as _, Bed, Browser, COOKIE, REMOVED, RedisServer, Reply, Site, bounded, eventually,
    records,
};
use tower_redis_session::{CookieConfig, SameSite};

/// What a session may end by while a request is under way.
const ENDINGS: [&str; 6] =
    ["logout", "destroy", "renew", "login:bob", "clear,remove:a", "DEL from outside"];

/// Ends the browser's session by `ending`; the cookie that is good afterwards, if any.
async fn end(redis: &Bed, browser: &mut Browser, ending: &str) -> Option<String> {
    if ending == "DEL from outside" {
        for (key, _) in records(redis).await {
            let _: usize = redis.query(&key, redis::cmd("DEL").arg(&key)).await;
        }
        return None;
    }
    browser.get(&format!("/{ending}")).await.expect(200);
    browser.cookie(COOKIE).map(str::to_owned)
}

/// Starts `slow` in a second tab, ends the session when it stands at its gate, and lets it go on.
async fn overlap(
    redis: &Bed,
    site: &Site,
    slow: &str,
    ending: &str,
) -> (Reply, Option<String>, String) {
    let mut browser = site.browser().await;
    browser.get("/insert:a:1").await.expect(200);
    let old = browser.cookie(COOKIE).unwrap().to_owned();
    let mut tab = browser.tab().await;
    let path = format!("/{slow}");
    let request = tokio::spawn(async move { tab.get(&path).await });
    site.gates.arrived("slow").await;
    let new = end(redis, &mut browser, ending).await;
    site.gates.open("slow");
    (bounded("the slow request", request).await.unwrap(), new, old)
}

async fn is_nobody(site: &Site, token: &str) -> bool {
    let mut browser = site.browser().await;
    browser.set_cookie(COOKIE, token);
    let said = browser.get("/keys,user,~validate").await.expect(200).text();
    said == ",-,!Absent"
}

/// What a request may do after it has loaded the session.
const SLOW: [&str; 7] = [
    "get:a,gate:slow,insert:a:2,say:done",
    "insert:b:2,gate:slow,say:done",
    "get:a,insert:b:2,remove:a,gate:slow,say:done",
    "get:a,gate:slow,clear,say:done",
    "get:a,gate:slow,renew,say:done",
    "get:a,gate:slow,expiry:60:600,say:done",
    "get:a,gate:slow,set_platform:masto,say:done",
];

#[tokio::test]
async fn a_request_in_flight_cannot_revive_a_session_that_ended() {
    for redis in Bed::both().await {
        let site = Site::start(&redis).await;
        for ending in ENDINGS {
            for slow in SLOW {
                let what = format!("{redis}: {ending} during {slow}");
                let (reply, new, old) = overlap(&redis, &site, slow, ending).await;
                // The handler's own answer. Whoever ended the session has taken the cookie away.
                assert_eq!(reply.status.as_u16(), 200, "{what}: {reply:?}");
                assert!(reply.text().ends_with("done"), "{what}: {reply:?}");
                assert!(reply.set_cookies().is_empty(), "{what}: {reply:?}");
                assert!(is_nobody(&site, &old).await, "{what}: the old cookie works again");
                let (expected, stored) = (usize::from(new.is_some()), records(&redis).await);
                assert_eq!(stored.len(), expected, "{what}: {stored:?}");
                if let Some(new) = new {
                    assert!(!is_nobody(&site, &new).await, "{what}: the new session is gone");
                }
                redis.assert_every_key_has_a_ttl().await;
                redis.empty().await;
            }
        }
    }
}

#[tokio::test]
async fn a_read_in_flight_revives_nothing_by_its_touch() {
    let redis = Bed::one().await;
    // The touch interval is a twentieth of it: 150 ms.
    let site =
        Site::configured(&redis, |builder| builder.idle_timeout(Duration::from_secs(3))).await;
    for ending in ENDINGS {
        let mut browser = site.browser().await;
        browser.get("/insert:a:1").await.expect(200);
        let old = browser.cookie(COOKIE).unwrap().to_owned();
        let mut tab = browser.tab().await;
        let request = tokio::spawn(async move { tab.get("/get:a,gate:slow,~touch").await });
        site.gates.arrived("slow").await;
        let new = end(&redis, &mut browser, ending).await;
        let records_before = records(&redis).await;
        // Past the interval, so that both the explicit touch and the one by itself are due.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let monitor = redis.server().monitor().await;
        site.gates.open("slow");
        let reply = bounded("the slow request", request).await.unwrap().expect(200);
        assert!(["1,false", "1,!Absent"].contains(&reply.text().as_str()), "{ending}: {reply:?}");
        let seen = monitor.stop().await;
        assert!(!seen.is_empty(), "{ending}: no touch was tried");
        assert!(is_nobody(&site, &old).await, "{ending}");
        assert_eq!(records(&redis).await, records_before, "{ending}");
        if let Some(new) = new {
            assert!(!is_nobody(&site, &new).await, "{ending}");
        }
        redis.server().restart().await;
        // The dead connection is found out by the first command, and reads are asked again.
        eventually("the return of Redis", async || {
            site.browser().await.get("/insert:x:1").await.status == 200
        })
        .await;
        end(&redis, &mut browser, "DEL from outside").await;
    }
}

#[tokio::test]
async fn a_change_at_once_after_the_end_is_told_that_it_came_too_late() {
    for redis in Bed::both().await {
        let site = Site::start(&redis).await;
        for ending in ENDINGS {
            for late in ["~update:n", "insert:b:2,~save", "~validate"] {
                let slow = format!("get:a,gate:slow,{late}");
                let (reply, new, old) = overlap(&redis, &site, &slow, ending).await;
                let what = format!("{redis}: {ending}, then {late}: {reply:?}");
                // One that has moved lives on, and the request may be sent again.
                let moved = ["renew", "login:bob"].contains(&ending) && late != "~validate";
                let kind = if moved { "!Moved" } else { "!Absent" };
                assert_eq!(reply.text(), format!("1,{kind}"), "{what}");
                assert_eq!(reply.status.as_u16(), 200, "{what}");
                assert!(is_nobody(&site, &old).await, "{what}");
                assert_eq!(records(&redis).await.len(), usize::from(new.is_some()), "{what}");
                redis.empty().await;
            }
        }
    }
}

#[tokio::test]
async fn two_logouts_and_a_logout_of_a_dead_session_are_a_logout() {
    for redis in Bed::both().await {
        println!("{redis}");
        let site = Site::start(&redis).await;
        for ending in ENDINGS {
            let (reply, _, old) =
                overlap(&redis, &site, "get:a,gate:slow,logout,say:out", ending).await;
            assert_eq!((reply.status.as_u16(), reply.text().as_str()), (200, "1,out"), "{ending}");
            assert_eq!(reply.set_cookies(), [REMOVED], "{ending}");
            assert!(is_nobody(&site, &old).await, "{ending}");
        }
    }
}

#[tokio::test]
async fn a_login_in_flight_begins_a_session_of_its_own_when_the_old_one_ended() {
    for (redis, ending) in
        Bed::both().await.iter().flat_map(|redis| ENDINGS.map(|ending| (redis, ending)))
    {
        let site = Site::start(redis).await;
        let slow = "get:a,gate:slow,login:carol";
        let (reply, _, old) = overlap(redis, &site, slow, ending).await;
        assert_eq!(reply.status.as_u16(), 200, "{redis}: {ending}: {reply:?}");
        assert!(is_nobody(&site, &old).await, "{redis}: {ending}");
        redis.assert_every_key_has_a_ttl().await;
        let mut browser = site.browser().await;
        browser.keep(&reply);
        // Nothing of the session that ended is in it.
        let said = browser.get("/user,keys").await.expect(200).text();
        assert_eq!(said, "carol,", "{ending}");
    }
}

#[tokio::test]
async fn the_removal_cookie_repeats_every_attribute_of_the_one_that_was_set() {
    let redis = RedisServer::start().await;
    for cookie in [
        CookieConfig::default(),
        CookieConfig::new("__Host-shop").same_site(SameSite::Strict).partitioned(),
        CookieConfig::new("__Secure-shop").domain("example.org").path("/app").persistent(),
        CookieConfig::new("shop").insecure_allow_plain_http().insecure_allow_scripts(),
    ] {
        let config = cookie.clone();
        let site = Site::configured(&redis, move |builder| builder.cookie(config)).await;
        let mut browser = site.browser().await;
        let set = browser.get("/insert:a:1").await.set_cookies();
        let mut tab = browser.tab().await;
        let request = tokio::spawn(async move { tab.get("/get:a,gate:slow,logout").await });
        site.gates.arrived("slow").await;
        let removed = browser.get("/logout").await.set_cookies();
        site.gates.open("slow");
        let removed_later = bounded("the slow request", request).await.unwrap().set_cookies();
        assert_eq!(removed, removed_later, "{cookie:?}");
        let (name, attributes) = attributes(&set[0]);
        let (removed_name, removed_attributes) = self::attributes(&removed[0]);
        assert_eq!((name, attributes), (removed_name, removed_attributes), "{cookie:?}");
        assert!(removed[0].contains("Max-Age=0"), "{removed:?}");
        assert!(browser.cookie_header().is_empty(), "{removed:?}");
    }
}

/// The name, and the attributes that are not about time, in order.
fn attributes(line: &str) -> (&str, Vec<&str>) {
    let mut parts = line.split("; ");
    let name = parts.next().unwrap().split('=').next().unwrap();
    let mut attributes: Vec<_> = parts
        .filter(|part| !part.starts_with("Max-Age=") && !part.starts_with("Expires="))
        .collect();
    attributes.sort_unstable();
    (name, attributes)
}
