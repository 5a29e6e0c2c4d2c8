//! Clusters of each version that form, move slots, and live through the loss of a node.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value, cmd};
use test_support::{Gate, Mode, RedisCluster, bounded, eventually, slot_of};

const KEY: &[u8] = b"name:{tag}";
const SOON: Duration = Duration::from_millis(200);

async fn set(connection: &mut MultiplexedConnection, key: &[u8]) -> RedisResult<()> {
    cmd("SET").arg(key).arg("value").arg("EX").arg(60).query_async(connection).await
}

async fn get(connection: &mut MultiplexedConnection) -> RedisResult<Option<String>> {
    cmd("GET").arg(KEY).query_async(connection).await
}

async fn get_asking(connection: &mut MultiplexedConnection) -> Option<String> {
    let mut pair = redis::pipe();
    pair.cmd("ASKING").ignore().cmd("GET").arg(KEY);
    let (value,) = pair.query_async(connection).await.unwrap();
    value
}

fn code<T: std::fmt::Debug>(result: RedisResult<T>) -> String {
    result.unwrap_err().code().unwrap_or_default().to_owned()
}

/// The ports that clients are told.
async fn announced(cluster: &RedisCluster) -> BTreeSet<u16> {
    let mut connection = cluster.connection(cluster.running()[0]).await;
    let ranges: Vec<Vec<Value>> =
        cmd("CLUSTER").arg("SLOTS").query_async(&mut connection).await.unwrap();
    let nodes = ranges.into_iter().flat_map(|range| range.into_iter().skip(2));
    nodes
        .map(|node| {
            let Value::Array(words) = node else { panic!("{node:?}") };
            redis::from_redis_value_ref(&words[1]).unwrap()
        })
        .collect()
}

async fn moves_a_slot_and_lives_through_a_loss(cluster: RedisCluster) {
    let slot = slot_of(KEY);
    let (x, y) = (cluster.owner_of(slot).await, (cluster.owner_of(slot).await + 1) % 3);
    set(&mut cluster.connection(x).await, KEY).await.unwrap();
    cluster.move_slot(slot, y).await;
    assert_eq!(cluster.node_of(KEY).await, y);
    assert_eq!(code(get(&mut cluster.connection(x).await).await), "MOVED");
    assert_eq!(get(&mut cluster.connection(y).await).await.unwrap().unwrap(), "value");
    assert_eq!(cluster.slots_of(y).await.len(), 16_384 / 3 + 2);

    let replica = cluster.replica_of(y).await;
    let copied: u32 =
        cmd("WAIT").arg(1).arg(1_000).query_async(&mut cluster.connection(y).await).await.unwrap();
    assert_eq!(copied, 1);
    let killed = Instant::now();
    cluster.kill(y);
    cluster.wait_until_ok().await;
    println!("usable again after {:?}", killed.elapsed());
    assert_eq!(cluster.owner_of(slot).await, replica);
    assert_eq!(get(&mut cluster.connection(replica).await).await.unwrap().unwrap(), "value");
    set(&mut cluster.connection(replica).await, KEY).await.unwrap();

    cluster.restart(y).await;
    cluster.wait_until_ok().await;
    assert_eq!(cluster.replica_of(replica).await, y);
    cluster.assert_every_key_has_a_ttl().await;
}

#[tokio::test]
async fn a_cluster_forms_moves_a_slot_and_lives_through_a_loss() {
    let started = Instant::now();
    let cluster = RedisCluster::start().await;
    println!("usable after {:?}", started.elapsed());
    moves_a_slot_and_lives_through_a_loss(cluster).await;
}

#[tokio::test]
async fn so_does_one_of_redis_6() {
    moves_a_slot_and_lives_through_a_loss(RedisCluster::start_version("redis-6.2").await).await;
}

#[tokio::test]
async fn so_does_one_of_valkey_8() {
    moves_a_slot_and_lives_through_a_loss(RedisCluster::start_version("valkey-8.1").await).await;
}

#[tokio::test]
async fn so_does_one_of_valkey_9_which_moves_slots_in_one_step() {
    let cluster = RedisCluster::start_version("valkey-9.1").await;
    let slots = cluster.slots_of(0).await;
    cluster.move_atomically(slots[0]..=slots[499], 1).await;
    cluster.wait_until_ok().await;
    assert_eq!(cluster.owner_of(slots[499]).await, 1);
    assert_eq!(cluster.owner_of(slots[500]).await, 0);
    cluster.move_atomically(slots[0]..=slots[499], 0).await;
    moves_a_slot_and_lives_through_a_loss(cluster).await;
}

#[tokio::test]
async fn a_slot_moves_step_by_step() {
    let cluster = RedisCluster::builder().replicas(0).start().await;
    let slot = slot_of(KEY);
    let (x, y) = (cluster.owner_of(slot).await, (cluster.owner_of(slot).await + 1) % 3);
    let (mut at_x, mut at_y) = (cluster.connection(x).await, cluster.connection(y).await);
    set(&mut at_x, KEY).await.unwrap();
    set(&mut at_x, b"other:{tag}").await.unwrap();

    let moving = cluster.begin_move(slot, y).await;
    assert_eq!(moving.keys().await.len(), 2);
    // A copy that is late: the source keeps the key, and the target gets it all the same.
    let proxy = moving.proxy().await;
    proxy.set(Mode::HoldRequests);
    let late = moving.migrate_by(proxy.addr(), &[KEY], SOON).await;
    assert_eq!(code(late), "IOERR");
    proxy.holds_something().await;
    assert_eq!(get(&mut at_x).await.unwrap().unwrap(), "value");
    assert_eq!(get_asking(&mut at_y).await, None);
    proxy.release().await;
    assert_eq!(get_asking(&mut at_y).await.unwrap(), "value");
    assert_eq!(code(moving.migrate(&[KEY], SOON).await), "ERR");
    let () = cmd("DEL").arg(KEY).query_async(&mut at_x).await.unwrap();
    assert_eq!(code(get(&mut at_x).await), "ASK");
    moving.give_up().await;
    assert_eq!(get(&mut at_x).await.unwrap(), None);
    assert_eq!(code(get(&mut at_y).await), "MOVED");

    let moving = cluster.begin_move(slot, y).await;
    moving.migrate_rest().await;
    moving.finish().await;
    assert_eq!(cluster.owner_of(slot).await, y);
    assert_eq!(get(&mut at_y).await.unwrap().unwrap(), "value");
    assert_eq!(cluster.keys().await.len(), 2);
}

#[tokio::test]
async fn clients_and_replicas_come_by_the_proxies() {
    let mut cluster = RedisCluster::builder().behind_proxies().start().await;
    let x = cluster.node_of(KEY).await;
    let client = redis::Client::open(cluster.seeds()[x].as_str()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    set(&mut connection, b"session:{tag}").await.unwrap();
    let ports: BTreeSet<_> =
        cluster.members().into_iter().map(|node| cluster.proxy(node).port()).collect();
    // A replica is named when it has copied something.
    let named = announced(&cluster).await;
    assert!(named.len() >= 3 && named.is_subset(&ports), "{named:?} of {ports:?}");
    assert_eq!(cluster.proxy(x).count("SET"), 1);
    cluster.proxy(x).set(Gate::Refuse);
    assert!(get(&mut connection).await.is_err());
    cluster.proxy(x).set(Gate::Pass);
    let y = cluster.fail_over(x).await;
    assert_eq!(cluster.node_of(KEY).await, y);
    let z = cluster.add_replica(y).await;
    assert_eq!(cluster.replicas_of(y).await, [x, z]);
    let size: u32 = cmd("DBSIZE").query_async(&mut cluster.connection(z).await).await.unwrap();
    assert_eq!(size, 1);
}

#[tokio::test]
async fn a_cluster_has_a_password_proxies_and_partitions_at_once() {
    let builder = RedisCluster::builder().behind_proxies().with_partitions();
    let cluster =
        builder.requirepass("a-password-of-all-nodes").version("valkey-9.1").start().await;
    let x = cluster.node_of(KEY).await;
    set(&mut cluster.connection(x).await, KEY).await.unwrap();
    let y = (x + 1) % 3;
    cluster.move_slot(slot_of(KEY), y).await;
    cluster.move_atomically(slot_of(KEY)..=slot_of(KEY), x).await;
    let client = redis::Client::open(cluster.seeds()[x].as_str()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    assert_eq!(get(&mut connection).await.unwrap().unwrap(), "value");
    let replica = cluster.replica_of(x).await;
    cluster.cut_off(&[x]);
    eventually("another owner", async || cluster.node_of(KEY).await == replica).await;
    cluster.heal();
    cluster.wait_until_ok().await;
    assert_eq!(get(&mut cluster.connection(replica).await).await.unwrap().unwrap(), "value");
}

#[tokio::test]
async fn each_node_tells_what_clients_asked_of_it() {
    let cluster = RedisCluster::start().await;
    let mut monitors = cluster.monitor_all().await;
    let x = cluster.node_of(KEY).await;
    let client = redis::Client::open(cluster.seeds()[x].as_str()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    set(&mut connection, b"session:{tag}").await.unwrap();
    cluster.move_slot(slot_of(KEY), (x + 1) % 3).await;
    assert_eq!(monitors.take_names().await, [(x, vec!["SET".to_owned()])]);
    assert_eq!(monitors.take_names().await, []);
}

#[tokio::test]
async fn a_node_that_is_cut_off_is_replaced_and_comes_back_as_a_replica() {
    let cluster = RedisCluster::builder().with_partitions().start().await;
    let x = cluster.node_of(KEY).await;
    let replica = cluster.replica_of(x).await;
    cluster.cut_off(&[x]);
    bounded("a new owner", async { while cluster.primaries().await.len() != 4 {} }).await;
    assert_eq!(cluster.node_of(KEY).await, replica);
    eventually("the minority stops", async || {
        get(&mut cluster.connection(x).await)
            .await
            .is_err_and(|error| error.code() == Some("CLUSTERDOWN"))
    })
    .await;
    cluster.heal();
    cluster.wait_until_ok().await;
    assert_eq!(cluster.replica_of(replica).await, x);
}

#[tokio::test]
async fn nodes_come_and_go_and_move_to_other_ports() {
    let mut cluster = RedisCluster::start().await;
    set(&mut cluster.connection(cluster.node_of(KEY).await).await, KEY).await.unwrap();
    let new = cluster.add_node().await;
    cluster.move_slots([slot_of(KEY)], new).await;
    assert_eq!(cluster.node_of(KEY).await, new);
    let replica = cluster.add_replica(new).await;
    cluster.remove_node(new).await;
    assert!(!cluster.members().contains(&new) && !cluster.members().contains(&replica));
    assert_eq!(cluster.keys().await.len(), 1);
    for node in cluster.members() {
        let mut connection = cluster.connection(node).await;
        let info: String = cmd("CLUSTER").arg("INFO").query_async(&mut connection).await.unwrap();
        assert!(info.contains("cluster_known_nodes:6\r\n"), "{info}");
    }

    let before = announced(&cluster).await;
    cluster.restart_all_elsewhere().await;
    assert!(announced(&cluster).await.is_disjoint(&before));
    assert_eq!(cluster.seeds().len(), 6);
}

#[tokio::test]
async fn a_replica_takes_over_although_its_primary_serves() {
    let cluster = RedisCluster::start().await;
    let x = cluster.node_of(KEY).await;
    let replica = cluster.replica_of(x).await;
    cluster.hang(x);
    cluster.take_over(replica).await;
    assert_eq!(cluster.node_of(KEY).await, replica);
    cluster.resume(x);
    cluster.wait_until_ok().await;
    assert_eq!(cluster.replica_of(replica).await, x);
}

#[tokio::test]
async fn the_slot_of_a_key_is_that_of_the_server() {
    assert_eq!(slot_of(b"123456789"), 0x31C3);
    let cluster = RedisCluster::builder().primaries(1).replicas(0).start().await;
    let mut connection = cluster.connection(0).await;
    for key in
        ["foo", "{user1000}.following", "foo{}{bar}", "foo{{bar}}zap", "foo{bar}{zap}", "}{a"]
    {
        let mut ask = cmd("CLUSTER");
        let slot: u16 = ask.arg("KEYSLOT").arg(key).query_async(&mut connection).await.unwrap();
        assert_eq!(slot_of(key), slot, "{key}");
    }
}
