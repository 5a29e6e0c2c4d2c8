//! Nodes that come and go, and slots that go to and fro under load.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use test_support::{RespProxy, bounded, eventually};
use tokio::task::JoinSet;

use crate::store::redis::client::cluster::tests::*;

/// Reads these keys until it is stopped; the number of reads, and the errors.
struct Readers {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
    tasks: JoinSet<Vec<Error>>,
}

impl Readers {
    fn start(router: &Router, keys: &[String]) -> Self {
        let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut tasks = JoinSet::new();
        for key in keys {
            let (router, key) = (router.clone(), key.clone());
            let (stop, count) = (Arc::clone(&stop), Arc::clone(&count));
            let _ = tasks.spawn(async move {
                let mut errors = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    match read(&router, &key).await {
                        Ok(value) => assert_eq!(value, one(), "{key}"),
                        Err(error) => errors.push(error),
                    }
                    let _ = count.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                errors
            });
        }
        Self { stop, count, tasks }
    }

    async fn stop(mut self) -> (u64, Vec<Error>) {
        self.stop.store(true, Ordering::Relaxed);
        let mut errors = Vec::new();
        while let Some(task) = bounded("a reader", self.tasks.join_next()).await {
            errors.extend(task.unwrap());
        }
        (self.count.load(Ordering::Relaxed), errors)
    }
}

/// Schedule 18.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_comes_and_one_that_goes_are_noticed_by_no_read() {
    let mut cluster = three_primaries().await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let router = router(all(&cluster));
    let mut keys = Vec::new();
    for node in 0..3 {
        let key = key_at(&cluster, node).await;
        set(&mut cluster.connection(node).await, std::slice::from_ref(&key)).await;
        keys.push(key);
    }
    let readers = Readers::start(&router, &keys);
    let added = cluster.add_node().await;
    for key in &keys {
        cluster.move_slot(Slot::of_key(key.as_bytes()).number(), added).await;
    }
    cluster.remove_node(0).await;
    let (count, errors) = readers.stop().await;
    println!("{count} reads, {} errors", errors.len());
    assert!(errors.is_empty() && count > 100, "{errors:?}");
    let gone = cluster.addr(0).to_string();
    eventually("a map without the node that has gone", async || {
        router.cluster_status().nodes.iter().all(|node| node.address != gone)
    })
    .await;
    // Nothing is left of a router that is dropped, and not only when it would have read the map
    // again: no task and no connection.
    drop(router);
    let ended = async {
        while tasks() > before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), ended).await.unwrap();
}

/// Schedule 19: by the seed, when no node is where it was.
#[tokio::test]
async fn a_cluster_that_starts_again_elsewhere_is_found_by_its_seed() {
    let cluster = three_primaries().await;
    let seed = RespProxy::start(cluster.addr(0)).await;
    let router = router([seed.addr()]);
    let key = key_at(&cluster, 1).await;
    assert_eq!(incremented(&router, &key).await.unwrap().unwrap(), Value::Int(1));
    cluster.restart_all_elsewhere().await;
    seed.redirect(cluster.addr(0));
    eventually("a cluster that is found again", async || {
        matches!(incremented(&router, &key).await, Ok(Ok(_)))
    })
    .await;
}

/// Schedule 16: the sum, and no call fails.
async fn counted_exactly(cluster: RedisCluster, to_and_fro: impl AsyncFn(&RedisCluster)) {
    let router = router(all(&cluster));
    let tagged = |slot: u16| format!("key{{{}}}", Slot::new(slot).unwrap().tag());
    let keys: Vec<_> = (0..16).map(|number| tagged(number * 30)).collect();
    let mut tasks = JoinSet::new();
    for task in 0..64_usize {
        let (router, key) = (router.clone(), keys[task % 16].clone());
        let _ = tasks.spawn(async move {
            for _ in 0..2_000 / 64 + usize::from(task < 2_000 % 64) {
                let _ = incremented(&router, &key).await.unwrap().unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
    }
    let moved = async {
        while !tasks.is_empty() {
            to_and_fro(&cluster).await;
            while let Some(task) = tasks.try_join_next() {
                task.unwrap();
            }
        }
    };
    bounded("increments", moved).await;
    let mut sum = 0;
    for key in &keys {
        let value = read(&router, key).await.unwrap();
        sum += redis::from_redis_value::<i64>(value).unwrap();
    }
    let status = router.cluster_status();
    println!("{} redirects, {} by ASK", status.moved, status.asked);
    assert_eq!(sum, 2_000);
    assert!(status.moved > 0, "the slots have moved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn increments_while_500_slots_go_to_and_fro_are_counted_exactly() {
    counted_exactly(three_primaries().await, async |cluster| {
        for to in [1, 0] {
            cluster.move_slots(0..500, to).await;
        }
    })
    .await;
}

/// The same where a server moves slots at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn increments_while_500_slots_move_atomically_are_counted_exactly() {
    let builder = RedisCluster::builder().replicas(0).version("valkey-9.1");
    counted_exactly(builder.start().await, async |cluster| {
        for to in [1, 0] {
            cluster.move_atomically(0..=499, to).await;
        }
    })
    .await;
}
