//! One user with many sessions: what a list, a sign-in with a limit and the end of all cost.
//!
//! To see these fail: in `users.rs` read the heads of fewer sessions at once; end those over the
//! limit, or all of them, one by one.

use std::sync::atomic::{AtomicUsize, Ordering};

use test_support::{Browser, ClusterMonitor, RedisCluster, index_key, record_key};

use super::{configured, signed_in, tag};

const LIMIT: u32 = 5;
const SESSIONS: usize = 2_000;
/// Sessions whose heads are read by one call.
const AT_ONCE: usize = 500;

/// What was sent to the nodes, but for the map and what comes first over a connection.
async fn sent(monitors: &mut ClusterMonitor<'_>) -> Vec<String> {
    let sent = monitors.take_names().await.into_iter().flat_map(|(_, names)| names);
    sent.filter(|name| !["CLUSTER", "SCRIPT", "TIME"].contains(&&**name)).collect()
}

/// Ids that were used have tombstones.
static NEXT: AtomicUsize = AtomicUsize::new(1);

/// The browser's user has so many sessions: copies of its record.
async fn grow(cluster: &RedisCluster, browser: &mut Browser, sessions: usize) {
    let own = record_key(browser.get("/id").await.expect(200).text());
    let (index, tag) = (index_key("alice"), tag(browser));
    let mut connection = cluster.connection(cluster.node_of(&index).await).await;
    let mut listed = redis::cmd("HKEYS");
    let listed: Vec<String> = listed.arg(&index).query_async(&mut connection).await.unwrap();
    let listed = listed.iter().filter(|id| *id != "epoch").count();
    let first = NEXT.fetch_add(sessions, Ordering::Relaxed);
    let numbers: Vec<usize> = (first..first + sessions - listed).collect();
    for numbers in numbers.chunks(1_000) {
        let mut pipeline = redis::pipe();
        for number in numbers {
            let id = format!("{number:0>40}{tag}");
            pipeline.cmd("COPY").arg(&own).arg(record_key(&id)).ignore();
            pipeline.cmd("HSET").arg(&index).arg(id).arg(*number).ignore();
        }
        let () = pipeline.query_async(&mut connection).await.unwrap();
    }
}

#[tokio::test]
async fn two_thousand_sessions_of_a_user_are_listed_by_five_commands_and_ended_by_one() {
    let cluster = RedisCluster::builder().replicas(0).start().await;
    let free = configured(&cluster, |builder| builder).await;
    let limited = configured(&cluster, |builder| builder.sessions_per_user(LIMIT)).await;
    let mut laptop = signed_in(&free, "alice").await;
    let mut phone = limited.browser().await;
    let mut monitors = cluster.monitor_all().await;
    grow(&cluster, &mut laptop, SESSIONS).await;
    let _ = sent(&mut monitors).await;
    assert_eq!(free.layer.admin().sessions_of("alice").await.unwrap().len(), SESSIONS);
    let calls = SESSIONS.div_ceil(AT_ONCE);
    assert_eq!(sent(&mut monitors).await, [vec!["HKEYS"], vec!["EVALSHA"; calls]].concat());

    phone.get("/login:alice").await.expect(200);
    assert_eq!(sent(&mut monitors).await, ["EVALSHA"]);
    assert_eq!(phone.get("/session_ids").await.expect(200).text().split(',').count(), 5);
    phone.get("/logout").await.expect(200);

    laptop = signed_in(&free, "alice").await;
    grow(&cluster, &mut laptop, SESSIONS).await;
    let _ = sent(&mut monitors).await;
    assert_eq!(free.layer.admin().revoke_all("alice").await.unwrap(), SESSIONS as u64);
    assert_eq!(sent(&mut monitors).await, ["EVALSHA"]);
}
