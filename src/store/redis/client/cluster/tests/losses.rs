//! Replies that never come, nodes that hang and die.

use std::time::Instant;

use test_support::{Gate, Matching, PATIENCE, eventually};

use crate::store::redis::client::cluster::tests::*;

/// Its outcome is unknown, and it ran once; what may run twice is sent again.
#[tokio::test]
async fn a_call_whose_reply_is_lost_is_not_sent_again() {
    let builder = RedisCluster::builder().primaries(1).replicas(0).behind_proxies();
    let cluster = builder.start().await;
    let router = router(all(&cluster));
    assert_eq!(incremented(&router, "a").await.unwrap().unwrap(), Value::Int(1));
    let cut = cluster.proxy(0).cut_reply(Matching::command("EVAL"));
    assert!(incremented(&router, "a").await.unwrap().is_err(), "its outcome is unknown");
    cut.reached().await;
    let two = Value::BulkString(b"2".to_vec());
    assert_eq!(read(&router, "a").await.unwrap(), two.clone());
    let cut = cluster.proxy(0).cut_reply(Matching::command("GET"));
    assert_eq!(read(&router, "a").await.unwrap(), two);
    cut.reached().await;
    let cut = cluster.proxy(0).cut_reply(Matching::command("EVAL"));
    let slot = Slot::of_key(b"a");
    let repeated = router.repeatable(slot, Follow::One, increment("a")).await.unwrap();
    assert_eq!((repeated, cut.count()), (Value::Int(4), 1));
}

/// Schedule 17. Broken: a lost call is sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn increments_whose_replies_are_lost_are_never_counted_twice() {
    let builder = RedisCluster::builder().replicas(0).behind_proxies();
    let cluster = builder.start().await;
    let router = router(all(&cluster));
    for key in ["a", "b", "c", "d"] {
        assert!(incremented(&router, key).await.unwrap().is_ok());
    }
    for node in 0..3 {
        cluster.proxy(node).cut_every_reply(50);
    }
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..64_usize {
        let router = router.clone();
        let _ = tasks.spawn(async move {
            let key = ["a", "b", "c", "d"][task % 4];
            let mut counted = (0, 0);
            for _ in 0..100 {
                match incremented(&router, key).await {
                    Ok(Ok(_)) => counted.0 += 1,
                    Ok(Err(_)) => counted.1 += 1,
                    // Refused: nothing was sent.
                    Err(_) => {}
                }
            }
            counted
        });
    }
    let (mut acknowledged, mut unknown) = (4, 0);
    while let Some(counted) = tasks.join_next().await {
        let counted = counted.unwrap();
        (acknowledged, unknown) = (acknowledged + counted.0, unknown + counted.1);
    }
    for node in 0..3 {
        cluster.proxy(node).cut_every_reply(0);
    }
    let mut sum = 0;
    for key in ["a", "b", "c", "d"] {
        let value = read(&router, key).await.unwrap();
        sum += redis::from_redis_value::<i64>(value).unwrap();
    }
    println!("acknowledged {acknowledged}, unknown {unknown}, sum {sum}");
    assert!(unknown > 0 && acknowledged > 1_000, "the proxies cut replies, and not all");
    assert!((acknowledged..=acknowledged + unknown).contains(&sum));
}

/// Schedule 15, also for a router that has no map yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_hangs_delays_the_commands_of_its_own_slots_alone() {
    let builder = RedisCluster::builder().replicas(0).behind_proxies();
    let cluster = builder.start().await;
    let router = router_of(&config(all(&cluster)));
    let (hung, fine) = (key_at(&cluster, 0).await, key_at(&cluster, 1).await);
    for key in [&hung, &fine] {
        assert!(incremented(&router, key).await.unwrap().is_ok());
    }
    cluster.proxy(0).set(Gate::BlackHole);
    let waiting = tokio::spawn({
        let (router, hung) = (router.clone(), hung.clone());
        async move {
            for _ in 0..3 {
                let _ = incremented(&router, &hung).await;
            }
            read(&router, &hung).await.is_err()
        }
    });
    // As long as commands of the first node wait, fail, and have the map read again.
    let (mut slowest, mut count) = (Duration::ZERO, 0);
    while !waiting.is_finished() {
        let started = Instant::now();
        assert_eq!(read(&router, &fine).await.unwrap(), one());
        (slowest, count) = (slowest.max(started.elapsed()), count + 1);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(waiting.await.unwrap(), "the node hangs");
    println!("{count} reads, the slowest {slowest:?}");
    assert!(slowest < Duration::from_millis(200), "{slowest:?}");
    let health = router.cluster_status().nodes;
    let down: Vec<_> = health.iter().map(|node| node.health.unavailable_for.is_some()).collect();
    let nth = |node| health.iter().position(|one| one.address == cluster.addr(node).to_string());
    assert!(down[nth(0).unwrap()] && !down[nth(1).unwrap()], "{health:?}");
    assert!(router.status().answers && router.status().unavailable_for.is_none());
    // The first map of another router, whichever seed comes first.
    for first in 0..3 {
        let mut seeds = all(&cluster);
        seeds.rotate_left(first);
        let started = Instant::now();
        let other = router_of(&config(seeds));
        assert_eq!(read(&other, &fine).await.unwrap(), one());
        assert!(started.elapsed() < Duration::from_millis(400), "{:?}", started.elapsed());
    }
}

/// A replica takes over: its slots are served again without a restart, and without a redirect, for
/// no node is left to send one. The slots of the others are served throughout.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failover_the_slots_of_the_dead_node_are_served_by_its_replica() {
    let cluster = RedisCluster::start().await;
    let events = Events::default();
    let router = router_with(&config(all(&cluster)), &events);
    let (dying, fine) = (key_at(&cluster, 0).await, key_at(&cluster, 1).await);
    for key in [&dying, &fine] {
        assert!(incremented(&router, key).await.unwrap().is_ok());
    }
    let replica = cluster.replica_of(0).await;
    let mut copy = cluster.connection(0).await;
    let waited = redis::cmd("WAIT").arg(1).arg(5_000).query_async(&mut copy).await;
    assert_eq!(waited, Ok(1), "the replica {replica} has the key");
    cluster.kill(0);
    let started = Instant::now();
    let mut last_try = Duration::ZERO;
    while read(&router, &dying).await.ok() != Some(one()) {
        assert!(started.elapsed() < PATIENCE, "never served again");
        last_try = started.elapsed();
        assert_eq!(read(&router, &fine).await.unwrap(), one(), "the others are served");
    }
    println!("served again after {last_try:?}");
    cluster.wait_until_ok().await;
    // Nothing is left that waits for the ten seconds between two rounds.
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    eventually("a map of the living", async || {
        let nodes = router.cluster_status().nodes;
        nodes.len() == 3 && nodes.iter().all(|node| node.address != cluster.addr(0).to_string())
    })
    .await;
    assert_eq!(outages(&events), (1, 1), "the outage of the dead node is over");
    assert!(router.status().last_cause.is_none(), "{:?}", router.status());
    // A seed that is dead is no outage.
    let events = Events::default();
    let other = router_with(&config([cluster.addr(0), cluster.addr(1)]), &events);
    assert_eq!(read(&other, &dying).await.unwrap(), one());
    assert_eq!(outages(&events), (0, 0));
}
