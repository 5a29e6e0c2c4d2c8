//! Slots that have moved, and slots that are moving.

use std::sync::Arc;

use futures_util::future::join_all;
use test_support::{PATIENCE, eventually};
use tokio::task::JoinSet;

use crate::{error::ErrorKind, store::redis::client::cluster::tests::*};

#[tokio::test]
async fn the_slot_of_a_key_is_the_one_that_the_server_computes() {
    let cluster = RedisCluster::builder().primaries(1).replicas(0).start().await;
    let mut connection = cluster.connection(0).await;
    let braces =
        ["{}", "{a}b", "a{}{b}", "{{a}}", "}{a}", "{a", "a}", "{a}{b}", "session:u:{b3c}{x"];
    let keys = (0..500).map(|number| format!("session:0:s:{number}{{{:03x}}}", number * 7));
    for key in keys.chain(braces.map(str::to_owned)) {
        let mut ask = redis::cmd("CLUSTER");
        let expected: u16 =
            ask.arg("KEYSLOT").arg(&key).query_async(&mut connection).await.unwrap();
        assert_eq!(Slot::of_key(key.as_bytes()).number(), expected, "{key}");
    }
}

/// Another router learns of it by one redirect; the next command goes to the new owner at once.
#[tokio::test]
async fn a_slot_that_has_moved_costs_one_redirect() {
    let cluster = three_primaries().await;
    let router = router(all(&cluster));
    let key = key_at(&cluster, 0).await;
    assert_eq!(incremented(&router, &key).await.unwrap().unwrap(), Value::Int(1));
    cluster.move_slot(Slot::of_key(key.as_bytes()).number(), 1).await;
    let stays = key_at(&cluster, 0).await;
    let mut monitor = cluster.monitor_all().await;
    for expected in [2, 3, 4] {
        let answer = incremented(&router, &key).await.unwrap().unwrap();
        assert_eq!(answer, Value::Int(expected));
    }
    let status = router.cluster_status();
    assert_eq!((status.moved, status.asked, status.uncovered), (1, 0, 0));
    assert_eq!(read(&router, &stays).await.unwrap(), Value::Nil);
    // The redirect ran nothing: each call was executed once, by the new owner. And it says nothing
    // against its connection, which is not opened again.
    let sent = monitor.take().await;
    let nodes_with = |name: &str| -> Vec<usize> {
        let commands = sent.iter().flat_map(|(node, sent)| sent.iter().map(move |one| (node, one)));
        commands.filter(|(_, command)| command.name() == name).map(|(node, _)| *node).collect()
    };
    assert_eq!((nodes_with("EVAL"), nodes_with("GET")), (vec![1, 1, 1], vec![0]));
    assert!(!nodes_with("TIME").contains(&0), "{:?}", nodes_with("TIME"));
    eventually("a map that was read again", async || {
        let status = router.cluster_status();
        status.changes == 1 && status.changed_ago.is_some()
    })
    .await;
}

/// Schedule 8. Broken: `ASKING` and its command in two writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_have_left_a_moving_slot_are_read_by_64_tasks_without_a_failure() {
    let cluster = three_primaries().await;
    let router = router(all(&cluster));
    let slot = Slot::of_tag(*b"b3c");
    let from = cluster.owner_of(slot.number()).await;
    let keys: Vec<_> = (0..1_000).map(|number| format!("{number}{{b3c}}")).collect();
    set(&mut cluster.connection(from).await, &keys).await;
    let moving = cluster.begin_move(slot.number(), (from + 1) % 3).await;
    moving.migrate_rest().await;
    let keys = Arc::new(keys);
    let mut tasks = JoinSet::new();
    for task in 0..64 {
        let (router, keys) = (router.clone(), Arc::clone(&keys));
        let _ = tasks.spawn(async move {
            for key in keys.iter().skip(task).step_by(64).chain(keys.iter().take(100)) {
                assert_eq!(read(&router, key).await.unwrap(), one(), "{key}");
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    let status = router.cluster_status();
    assert_eq!((status.moved, status.asked), (0, 1_000 + 6_400));
    // A script that the node does not have is loaded there; a missing right is named.
    let mut target = cluster.connection(moving.to).await;
    let () = redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut target).await.unwrap();
    let touch = |_: &Connection| {
        let mut call = Script::Touch.call(&[&keys[0]]);
        let _ = call.arg("R0000000000000001").arg("x").arg("1").arg("1");
        Ok(call)
    };
    let touched = router.call(slot, Follow::One, touch).await.unwrap().unwrap();
    assert_eq!(touched, Value::Int(0));
    let mut acl = redis::cmd("ACL");
    let acl = acl.arg("SETUSER").arg("default").arg("-asking");
    let () = acl.query_async(&mut target).await.unwrap();
    let error = read(&router, &keys[0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    assert!(error.to_string().ends_with("(ASKING)"), "{error}");
}

/// Rule R2: never to the target, where the other keys look missing.
#[tokio::test]
async fn a_command_over_several_keys_waits_while_its_slot_moves_and_changes_nothing() {
    let cluster = three_primaries().await;
    let router = router(all(&cluster));
    let slot = Slot::of_tag(*b"b3c");
    let both = |_: &Connection| {
        let text = "redis.call('INCR', KEYS[1]) return redis.call('INCR', KEYS[2])";
        eval(text, &["a{b3c}", "b{b3c}"])
    };
    assert_eq!(router.call(slot, Follow::Many, both).await.unwrap().unwrap(), Value::Int(1));
    let from = cluster.owner_of(slot.number()).await;
    let moving = cluster.begin_move(slot.number(), (from + 1) % 3).await;
    // One key is there, then none.
    for key in ["a{b3c}", "b{b3c}"] {
        moving.migrate(&[key], PATIENCE).await.unwrap();
        let refused = router.call(slot, Follow::Many, both).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable);
        assert!(refused.to_string().contains("moves"), "{refused}");
    }
    let seen = |router: &Router| {
        let status = router.cluster_status();
        status.moving + status.asked
    };
    let before = seen(&router);
    let waiting = tokio::spawn({
        let router = router.clone();
        async move {
            loop {
                // Again, should the test itself be slow to finish.
                if let Ok(answer) = router.call(slot, Follow::Many, both).await {
                    return answer.unwrap();
                }
            }
        }
    });
    eventually("a command that waits", async || seen(&router) > before + 1).await;
    moving.finish().await;
    // Of all of them two calls were executed.
    assert_eq!(waiting.await.unwrap(), Value::Int(2));
}

#[tokio::test]
async fn a_script_that_has_found_its_slot_moving_is_called_again() {
    let cluster = RedisCluster::builder().primaries(1).replicas(0).start().await;
    let router = router(all(&cluster));
    let slot = Slot::of_tag(*b"b3c");
    let moving = |_: &Connection| {
        let text = "if redis.call('INCR', KEYS[1]) < 3 then return -4 end return 7";
        eval(text, &["a{b3c}"])
    };
    let answer = router.call(slot, Follow::Many, moving).await.unwrap().unwrap();
    assert_eq!((answer, router.cluster_status().moving), (Value::Int(7), 2));
    // Of a script over one key it is a result like any other.
    let plain = |_: &Connection| eval("return -4", &["a{b3c}"]);
    let answer = router.call(slot, Follow::One, plain).await.unwrap().unwrap();
    assert_eq!(answer, Value::Int(-4));
}

#[tokio::test]
async fn a_slot_that_no_node_serves_is_unavailable_and_counted_and_the_others_are_served() {
    let cluster = three_primaries().await;
    let (lost, kept) = (key_at(&cluster, 0).await, key_at(&cluster, 1).await);
    let slot = Slot::of_key(lost.as_bytes());
    for node in cluster.members() {
        let mut delete = redis::cmd("CLUSTER");
        let delete = delete.arg("DELSLOTS").arg(slot.number());
        let () = delete.query_async(&mut cluster.connection(node).await).await.unwrap();
    }
    let router = router(all(&cluster));
    let error = read(&router, &lost).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.to_string(), "no redis node serves the slot of the session");
    assert_eq!(read(&router, &kept).await.unwrap(), Value::Nil);
    assert_eq!(router.cluster_status().uncovered, 1);
    // As soon as one does.
    let mut add = redis::cmd("CLUSTER");
    let add = add.arg("ADDSLOTS").arg(slot.number());
    let () = add.query_async(&mut cluster.connection(2).await).await.unwrap();
    let served = async || read(&router, &lost).await.is_ok();
    eventually("a slot that is served again", served).await;
}

/// By its name, where the cluster announces an address.
#[cfg(feature = "tls")]
#[tokio::test]
async fn the_certificate_of_a_node_is_checked_for_its_host_after_the_map() {
    let authority = test_support::Authority::new();
    let identity = authority.issue("localhost", 2999);
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let free = |_| std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    // The nodes' own port is 10,000 higher.
    let port = (0..1_000).map(free).find(|port| *port < 55_000).unwrap();
    let builder = RedisCluster::builder().primaries(1).replicas(0);
    let _cluster = builder
        .arg("--cluster-announce-ip", "127.0.0.1")
        .arg("--tls-cluster", "yes")
        .arg("--tls-port", &port.to_string())
        .arg("--tls-cert-file", &text(&identity.certificate_file))
        .arg("--tls-key-file", &text(&identity.key_file))
        .arg("--tls-ca-cert-file", &text(&authority.file()))
        .arg("--tls-auth-clients", "no")
        .start()
        .await;
    let config = RedisConfig::cluster([format!("rediss://localhost:{port}")]);
    let config = config.ca_file(authority.file());
    let error = read(&router_of(&config), "a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error:?}");
    assert!(error.to_string().contains("certificate"), "{error}");
    let config = config.host_map(|host, port| {
        assert_eq!(host, "127.0.0.1");
        ("localhost".to_owned(), port)
    });
    assert_eq!(read(&router_of(&config), "a").await.unwrap(), Value::Nil);
}

#[tokio::test]
async fn a_server_that_is_no_node_of_a_cluster_is_named() {
    let server = test_support::RedisServer::start().await;
    let events = Events::default();
    let router = router_with(&config([server.addr()]), &events);
    let error = read(&router, "a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    assert!(error.to_string().contains("not a node of a cluster"), "{error}");
    assert!(!router.status().answers, "{:?}", router.status());
    assert!(router.cluster_status().last_cause.is_some());
    let _ = read(&router, "a").await.unwrap_err();
    assert_eq!(outages(&events), (1, 0));
}

#[tokio::test]
async fn reads_side_by_side_go_to_the_nodes_of_their_keys() {
    let cluster = three_primaries().await;
    let router = router(all(&cluster));
    let mut keys = Vec::new();
    for node in 0..3 {
        let key = key_at(&cluster, node).await;
        set(&mut cluster.connection(node).await, std::slice::from_ref(&key)).await;
        keys.extend([key, format!("missing{{{node}}}")]);
    }
    let reads: Vec<_> = keys.iter().map(|key| (Slot::of_key(key.as_bytes()), get(key))).collect();
    let reads = reads.iter().map(|(slot, command)| router.read(*slot, command));
    let values: Vec<_> = join_all(reads).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(values, [one(), Value::Nil, one(), Value::Nil, one(), Value::Nil]);
    let status = router.cluster_status();
    let slots: Vec<_> = status.nodes.iter().map(|node| node.slots).collect();
    assert_eq!((slots.len(), slots.iter().sum::<usize>(), status.moved), (3, 16_384, 0));
    assert!(router.status().answers && status.read_ago.is_some_and(|ago| ago < PATIENCE));
}
