//! A cluster that grows under load: a fourth node gets half of the slots that have sessions, and
//! others without one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use test_support::RedisCluster;

use super::{signed_in, site, slot};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fourth_node_gets_its_share_under_64_clients_without_a_lost_update_or_sign_out() {
    const CLIENTS: usize = 64;
    // 4 for its quarter, which takes a minute or two.
    const EVERY: usize = 48;
    let mut cluster = RedisCluster::builder().replicas(0).start().await;
    let site = site(&cluster).await;
    let mut browsers = Vec::new();
    for number in 0..CLIENTS {
        browsers.push(signed_in(&site, &format!("user{number}")).await);
    }
    let slots: Vec<_> = browsers.iter().map(slot).collect();
    let done = Arc::new(AtomicBool::new(false));
    let clients = browsers.into_iter().map(|mut browser| {
        let done = Arc::clone(&done);
        tokio::spawn(async move {
            let (mut written, mut other) = (0_u64, 0_u64);
            while !done.load(Ordering::SeqCst) {
                let reply = browser.get("/get:cart,update:n").await;
                match reply.status.as_u16() {
                    200 => {
                        written += 1;
                        assert_eq!(reply.text(), format!("tea,{written}"));
                    }
                    _ => other += 1,
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            (written, other)
        })
    });
    let clients: Vec<_> = clients.collect();
    let new = cluster.add_node().await;
    let started = Instant::now();
    let share = async |node| {
        let own = cluster.slots_of(node).await.into_iter();
        let (of_clients, empty): (Vec<_>, Vec<_>) = own.partition(|slot| slots.contains(slot));
        let some = of_clients.into_iter().step_by(2).chain(empty.into_iter().step_by(EVERY));
        cluster.move_slots(some, new).await;
    };
    tokio::join!(share(0), share(1), share(2));
    let took = started.elapsed();
    done.store(true, Ordering::SeqCst);
    let (mut written, mut other) = (0, 0);
    for client in join_all(clients).await {
        let (of_it, not_200) = client.unwrap();
        written += of_it;
        other += not_200;
    }
    let moved = cluster.slots_of(new).await;
    let of_clients = slots.iter().filter(|slot| moved.contains(slot)).count();
    println!(
        "{} slots in {took:?}, {of_clients} with sessions: {written} updates, {other} not 200",
        moved.len()
    );
    assert_eq!(other, 0);
    assert!(moved.len() >= 16_384 / EVERY && of_clients >= CLIENTS / 3);
}
