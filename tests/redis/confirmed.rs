//! Ends of sessions on a Redis with a replica, as a client sees them: what they cost, and what a
//! replica that hangs does to them. The faults of servers are tested beside the client in `src`.
//!
//! To see these fail: send no `WAIT`; send it after the reply to the end; send the removal cookie
//! before the end is confirmed; send ends over the connections of the other requests, or one by one;
//! acknowledge a renewal that the server of then does not have.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use test_support::{
    Browser, COOKIE, FaultProxy, Mode, REMOVED, RedisServer, RespProxy, Site, copying, eventually,
    move_to, patient, replica_of, token,
};
use tower_redis_session::{
    RedisConfig, RedisStore, SessionId,
    store::{Record, SaveOutcome, Store as _},
};

async fn signed_in(site: &Site) -> Browser {
    let mut browser = site.browser().await;
    browser.get("/login:alice,insert:a:1").await.expect(200);
    browser
}

/// A replica that the primary has heard of.
pub async fn confirming(primary: &RedisServer) -> RedisServer {
    let replica = replica_of(primary).await;
    acknowledges(primary).await;
    replica
}

/// Waits until its replica has acknowledged a write: before that it counts as none.
pub async fn acknowledges(primary: &RedisServer) {
    let mut connection = primary.connection().await;
    let () = redis::cmd("SET").arg("a").arg(1).query_async(&mut connection).await.unwrap();
    eventually("a replica that confirms", async || {
        let wait = redis::cmd("WAIT").arg(1).arg(100).query_async::<u32>(&mut connection).await;
        wait.unwrap() == 1
    })
    .await;
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

#[tokio::test]
async fn a_hundred_logouts_at_once_are_in_time_although_the_replica_is_far_away() {
    const AWAY: Duration = Duration::from_millis(50);
    const LIMIT: Duration = Duration::from_secs(2);
    let primary = copying().start().await;
    let way = FaultProxy::start(primary.addr()).await;
    let there = format!("127.0.0.1 {}", way.port());
    let replica = copying().arg("--replicaof", &there).start().await;
    replica.has_all_of(&primary).await;
    acknowledges(&primary).await;
    let config = RedisConfig::new(primary.confirmed_url()).confirm(1, 4 * AWAY);
    let site = Site::on(config.command_timeout(LIMIT), |builder| builder.budget(LIMIT)).await;
    signed_in(&site).await.get("/logout").await.expect(200);
    let mut cookies = Vec::new();
    for _ in 0..100 {
        cookies.push(format!("{COOKIE}={}", token(&signed_in(&site).await)));
    }
    primary.reset_stats().await;
    way.set(Mode::Delay(AWAY));
    let started = Instant::now();
    let replies = join_all(cookies.iter().map(|cookie| site.visit("/logout", cookie))).await;
    let took = started.elapsed();
    let done = replies.iter().filter(|reply| reply.status() == 200).count();
    let waits = primary.command_counts().await["wait"];
    println!(
        "replica {AWAY:?} away: {done} of 100 logouts done after {took:?}, {waits} times WAIT"
    );
    assert_eq!(done, 100);
    assert!(waits <= 4, "{waits}");
}

#[tokio::test]
async fn a_renewal_that_another_primary_does_not_have_is_no_success() {
    let redis = copying().start().await;
    let replica = confirming(&redis).await;
    let other = replica_of(&redis).await;
    let proxy = RespProxy::start(redis.addr()).await;
    let config = patient(&redis.confirmed_url_at(proxy.port()));
    let site = Site::on(config.clone(), |builder| builder).await;
    let mut browser = signed_in(&site).await;
    let old: SessionId = browser.get("/id").await.expect(200).text().parse().unwrap();
    let new: SessionId = "E".repeat(43).parse().unwrap();
    other.has_all_of(&redis).await;
    other.become_primary().await;
    let store = RedisStore::new(config.confirm(1, Duration::from_millis(100))).unwrap();
    let record = store.load(&old).await.unwrap().unwrap();
    let renewed = Record::from_bytes(record.version() + 1, record.to_bytes().into()).unwrap();

    replica.hang();
    let begun = store.begin_renew(&old, record.version(), &new, &renewed).await.unwrap();
    assert!(matches!(begun, SaveOutcome::Saved), "the client gets the new id: {begun:?}");
    move_to(&proxy, &other).await;
    let finished = store.finish_renew(&old, record.version(), &new).await.unwrap();
    let SaveOutcome::Conflict(current) = finished else { panic!("acknowledged: {finished:?}") };
    assert_eq!(current.version(), record.version());
    assert_eq!(browser.get("/user,get:a").await.text(), "alice,1");
    replica.resume();
}
