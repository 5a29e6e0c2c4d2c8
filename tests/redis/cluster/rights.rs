//! The rights that are documented for the nodes of a cluster. Every other test here runs with them,
//! and fails where a node has refused a command for want of a right.
//!
//! To see these fail: in `connection.rs` return the reply to the command and not that to `ASKING`;
//! in `check.rs` leave `ASKING` out; in `discovery.rs` report that no node replied.

use test_support::{RedisCluster, SESSIONS, documented_in_cluster};
use tower_redis_session::{Error, ErrorKind, RedisStore, SessionId, store::Store as _};

use super::{keys, moves::SOON, patient, signed_in, site, slot};

async fn take(cluster: &RedisCluster, right: &str) {
    for node in cluster.members() {
        cluster.node(node).acl_set_user(SESSIONS, right).await;
    }
}

#[track_caller]
fn assert_named(error: &Error, right: &str) {
    assert_eq!(error.kind(), ErrorKind::Misconfigured, "{right}: {error}");
    assert!(error.to_string().to_lowercase().contains(right), "{right}: {error}");
}

/// 24
#[tokio::test]
async fn a_right_that_is_missing_is_named() {
    let cluster = RedisCluster::builder().replicas(0).start().await;
    let site = site(&cluster).await;
    let mut alice = signed_in(&site, "alice").await;
    let id: SessionId = alice.get("/id").await.expect(200).text().parse().unwrap();
    let store = RedisStore::new(patient(&cluster)).unwrap();
    store.check().await.unwrap();
    assert!(documented_in_cluster().contains(&"+asking"), "{:?}", documented_in_cluster());

    let x = cluster.owner_of(slot(&alice)).await;
    let moving = cluster.begin_move(slot(&alice), (x + 1) % 3).await;
    moving.migrate(&keys(&cluster, ":s:").await, SOON).await.unwrap();
    assert!(store.load(&id).await.unwrap().is_some());
    take(&cluster, "-asking").await;
    assert_named(&store.load(&id).await.unwrap_err(), "asking");
    moving.migrate_rest().await;
    moving.finish().await;
    assert!(store.load(&id).await.unwrap().is_some());
    assert_named(&store.check().await.unwrap_err(), "asking");
    take(&cluster, "+asking").await;
    store.check().await.unwrap();

    take(&cluster, "-cluster|slots").await;
    // What has a map goes on.
    assert!(store.load(&id).await.unwrap().is_some());
    let fresh = RedisStore::new(patient(&cluster)).unwrap();
    assert_named(&fresh.load(&id).await.unwrap_err(), "cluster");
    assert_named(&fresh.check().await.unwrap_err(), "cluster");
}
