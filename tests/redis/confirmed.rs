//! Ends of sessions on a Redis with a replica, as a client sees them: what they cost, and what a
//! replica that hangs does to them. The faults of servers are tested beside the client in `src`.
//!
//! To see these fail: send no `WAIT`; send it after the reply to the end; send the removal cookie
//! before the end is confirmed; send ends over the connections of the other requests.

use std::time::{Duration, Instant};

use test_support::{
    Browser, COOKIE, REMOVED, RedisServer, RespProxy, Site, copying, eventually, patient,
    replica_of,
};

async fn signed_in(site: &Site) -> Browser {
    let mut browser = site.browser().await;
    browser.get("/login:alice,insert:a:1").await.expect(200);
    browser
}

/// A replica that the primary has heard of.
async fn confirming(primary: &RedisServer) -> RedisServer {
    let replica = replica_of(primary).await;
    let mut connection = primary.connection().await;
    let () = redis::cmd("SET").arg("a").arg(1).query_async(&mut connection).await.unwrap();
    eventually("a replica that confirms", async || {
        let wait = redis::cmd("WAIT").arg(1).arg(100).query_async::<u32>(&mut connection).await;
        wait.unwrap() == 1
    })
    .await;
    replica
}

#[tokio::test]
async fn an_end_costs_no_command_without_a_replica_and_no_trip_with_one() {
    let redis = copying().start().await;
    let proxy = RespProxy::start(redis.addr()).await;
    let ends = [
        ("login:alice", "logout", &["EVALSHA"][..]),
        ("login:alice", "revoke_others", &["GET", "EVALSHA"]),
        ("insert:a:1", "login:alice", &["GET", "EVALSHA"]),
    ];
    let others = [
        ("login:alice", "get:a", &["GET"][..]),
        ("login:alice", "insert:a:2", &["GET", "EVALSHA"]),
        ("", "login:alice", &["EVALSHA"]),
    ];
    let cost = async |site: &Site, before: &str, path: &str| {
        let mut browser = site.browser().await;
        browser.get(&format!("/{before}")).await.expect(200);
        let mut monitor = redis.monitor().await;
        let trips = proxy.trips();
        browser.get(&format!("/{path}")).await.expect(200);
        (monitor.take_names().await, proxy.trips() - trips)
    };
    let url = redis.confirmed_url_at(proxy.port());
    let site = Site::on(patient(&url), |builder| builder).await;
    let mut trips = Vec::new();
    for (before, path, expected) in ends.iter().chain(&others) {
        let (sent, took) = cost(&site, before, path).await;
        assert_eq!(sent, *expected, "without: {path}");
        trips.push(took);
    }
    let _replica = confirming(&redis).await;
    // One that is started with it.
    let site = Site::on(patient(&url), |builder| builder).await;
    signed_in(&site).await.get("/logout").await.expect(200);
    for (number, (before, path, without)) in ends.iter().chain(&others).enumerate() {
        let (sent, took) = cost(&site, before, path).await;
        let wait = (number < ends.len()).then_some("WAIT");
        let expected: Vec<_> = without.iter().copied().chain(wait).collect();
        assert_eq!(sent, expected, "with a replica: {path}");
        assert_eq!(took, trips[number], "{path}");
    }
}

#[tokio::test]
async fn without_its_replica_a_logout_is_503_and_the_cookie_stays_and_others_wait_for_nothing() {
    let redis = copying().start().await;
    let replica = confirming(&redis).await;
    let within = Duration::from_millis(250);
    let config = patient(&redis.confirmed_url()).confirm(1, within);
    let site = Site::on(config, |builder| builder.budget(Duration::from_secs(5))).await;
    let (mut leaving, mut visitor, mut other) =
        (signed_in(&site).await, site.browser().await, signed_in(&site).await);
    let mut renewing = signed_in(&site).await;
    visitor.get("/insert:a:1").await.expect(200);
    signed_in(&site).await.get("/logout").await.expect(200);
    let cookie = leaving.cookie(COOKIE).unwrap().to_owned();
    replica.hang();
    let started = Instant::now();
    let (logout, login, renewal, read) = tokio::join!(
        leaving.get("/logout"),
        visitor.get("/login:bob"),
        renewing.get("/renew"),
        async {
            let reads = Instant::now();
            for number in 0..20 {
                other.get(&format!("/get:a,insert:b:{number}")).await.expect(200);
            }
            reads.elapsed()
        }
    );
    assert!(started.elapsed() >= 2 * within, "repeated once: {:?}", started.elapsed());
    assert!(read < within, "behind an end: {read:?}");
    // The old id has ended on the primary: whoever moves gets the new one with the 503.
    for (reply, cookies) in [(&logout, 0), (&login, 1), (&renewal, 1)] {
        assert_eq!(reply.status.as_u16(), 503, "{reply:?}");
        assert_eq!(reply.set_cookies().len(), cookies, "{reply:?}");
    }
    assert_eq!(leaving.cookie(COOKIE), Some(&*cookie));
    replica.resume();
    let mut reply = None;
    eventually("a logout that is confirmed", async || {
        let logout = leaving.get("/logout").await;
        let is_ok = logout.status.as_u16() == 200;
        reply = Some(logout);
        is_ok
    })
    .await;
    assert_eq!(reply.unwrap().set_cookies(), [REMOVED]);
    leaving.set_cookie(COOKIE, &cookie);
    assert_eq!(leaving.get("/user").await.text(), "-");
    assert_eq!(visitor.get("/user,get:a").await.text(), "bob,1");
    assert_eq!(renewing.get("/user").await.text(), "alice");
    visitor.get("/login:bob").await.expect(200);
    assert_eq!(visitor.get("/user").await.text(), "bob");
}
