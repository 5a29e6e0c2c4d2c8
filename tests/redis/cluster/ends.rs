//! Ends of sessions are confirmed by a replica, where there are replicas.
//!
//! To see these fail: acknowledge an end without `WAIT`, or whatever it returns; require replicas
//! for what is no end.

use std::time::Duration;

use test_support::{Browser, COOKIE, Matching, RedisCluster, Site, eventually, slot_of};
use tower_redis_session::{RedisConfig, RedisSessionLayerBuilder};

use super::{signed_in, slot};

/// A store whose user may wait for replicas.
fn confirmed(cluster: &RedisCluster) -> RedisConfig {
    let long = Duration::from_secs(10);
    let config = RedisConfig::cluster(cluster.confirmed_seeds());
    config.connect_timeout(long).command_timeout(long)
}

/// A site on it that answers within a second what it cannot do.
async fn hasty(cluster: &RedisCluster) -> Site {
    let short = Duration::from_millis(500);
    Site::on(confirmed(cluster).command_timeout(short), |builder| builder.budget(2 * short)).await
}

/// A cluster of which every replica has acknowledged something: only those are counted.
async fn copied(cluster: RedisCluster) -> RedisCluster {
    for primary in cluster.primaries().await {
        let mut connection = cluster.connection(primary).await;
        let slots = cluster.slots_of(primary).await;
        let is_there = |key: &String| slots.contains(&slot_of(key));
        let key = (0..).map(|number| format!("key{number}")).find(is_there).unwrap();
        let mut set = redis::cmd("SET");
        let () = set.arg(key).arg(1).arg("PX").arg(1).query_async(&mut connection).await.unwrap();
        eventually("a replica that acknowledges", async || {
            let mut info = redis::cmd("INFO");
            let info: String = info.arg("replication").query_async(&mut connection).await.unwrap();
            info.lines().any(|line| line.starts_with("slave0:") && !line.contains("offset=0,"))
        })
        .await;
    }
    cluster
}

/// Whether the token opens its session.
async fn lives(site: &Site, token: &str) -> bool {
    let mut browser = site.browser().await;
    browser.set_cookie(COOKIE, token);
    browser.get("/get:cart").await.expect(200).text() == "tea"
}

fn token(browser: &Browser) -> String {
    browser.cookie(COOKIE).unwrap().to_owned()
}

/// 13
#[tokio::test]
async fn a_logout_that_a_hung_primary_executes_too_late_is_no_success() {
    let cluster = copied(RedisCluster::builder().behind_proxies().start().await).await;
    let site =
        Site::on(confirmed(&cluster), |builder| builder.budget(Duration::from_secs(15))).await;
    let mut alice = signed_in(&site, "alice").await;
    let token = token(&alice);
    let x = cluster.owner_of(slot(&alice)).await;
    let replica = cluster.replica_of(x).await;
    cluster.node(replica).has_all_of(cluster.node(x)).await;
    let at_proxy = cluster.proxy(x).hold(Matching::command("EVALSHA"));
    let logout = tokio::spawn(async move { alice.get("/logout").await });
    at_proxy.reached().await;
    cluster.hang(x);
    // Into the sockets of the primary.
    let released = tokio::spawn(at_proxy.release());
    cluster.take_over(replica).await;
    cluster.resume(x);
    let reply = logout.await.unwrap();
    released.abort();
    cluster.wait_until_ok().await;
    let is_undone = lives(&site, &token).await;
    assert!(!is_undone || !reply.status.is_success(), "acknowledged and undone: {reply:?}");
}

/// 14
#[tokio::test]
async fn an_end_that_no_replica_has_is_no_success() {
    let cluster = copied(RedisCluster::start().await).await;
    let site = hasty(&cluster).await;
    let mut browsers = Vec::new();
    for user in ["alice", "bob", "carol"] {
        let _other = signed_in(&site, user).await;
        browsers.push(signed_in(&site, user).await);
    }
    for replica in 3..6 {
        cluster.hang(replica);
    }
    for (browser, ending) in
        browsers.iter_mut().zip(["/logout", "/logout_everywhere", "/revoke_others"])
    {
        let reply = browser.get(ending).await;
        assert_eq!(reply.status, 503, "{ending}: {reply:?}");
    }
    for replica in 3..6 {
        cluster.resume(replica);
    }
    cluster.wait_until_ok().await;
}

/// 14
#[tokio::test]
async fn a_sign_in_that_ends_another_is_confirmed_too() {
    let cluster = copied(RedisCluster::start().await).await;
    let patient = |builder: RedisSessionLayerBuilder| builder.budget(Duration::from_secs(15));
    let site = Site::on(confirmed(&cluster), |builder| patient(builder).sessions_per_user(1)).await;
    let _other = signed_in(&site, "alice").await;
    for replica in 3..6 {
        cluster.hang(replica);
    }
    let reply = site.browser().await.get("/login:alice").await;
    assert_eq!(reply.status, 503, "{reply:?}");
    for replica in 3..6 {
        cluster.resume(replica);
    }
    cluster.wait_until_ok().await;
}

/// 14
#[tokio::test]
async fn a_logout_that_was_acknowledged_outlives_its_primary() {
    let cluster = copied(RedisCluster::start().await).await;
    let site = hasty(&cluster).await;
    let mut alice = signed_in(&site, "alice").await;
    let (token, x) = (token(&alice), cluster.owner_of(slot(&alice)).await);
    alice.get("/logout").await.expect(200);
    cluster.kill(x);
    cluster.wait_until_ok().await;
    assert!(!lives(&site, &token).await);
    cluster.assert_every_key_has_a_ttl().await;
}

/// 7. Broken: the reply to a command behind `ASKING` is taken for one that replicas confirm.
#[tokio::test]
async fn where_replicas_confirm_ends_a_session_in_a_moving_slot_is_read_changed_and_ended() {
    let cluster = copied(RedisCluster::start().await).await;
    let long = |builder: RedisSessionLayerBuilder| builder.budget(Duration::from_secs(15));
    let site = Site::on(confirmed(&cluster), long).await;
    let mut alice = signed_in(&site, "alice").await;
    let (token, x) = (token(&alice), cluster.owner_of(slot(&alice)).await);
    let moving = cluster.begin_move(slot(&alice), (x + 1) % 3).await;
    moving.migrate_rest().await;
    assert_eq!(alice.get("/get:cart,insert:a:1").await.expect(200).text(), "tea");
    assert_eq!(alice.get("/get:a,update:n").await.expect(200).text(), "1,1");
    alice.get("/touch").await.expect(200);
    alice.get("/logout").await.expect(200);
    moving.finish().await;
    assert!(!lives(&site, &token).await);
}
