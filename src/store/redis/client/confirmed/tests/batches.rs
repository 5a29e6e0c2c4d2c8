//! Many ends at the same time. Each test polls them on one thread, so that they are sent together.

use std::pin::pin;

use futures_util::{future::join_all, poll};
use test_support::{FaultProxy, Gate, Matching, Mode};

use crate::store::redis::client::confirmed::tests::*;

const MANY: usize = 64;

async fn many(store: &RedisStore, count: usize) -> Vec<SessionId> {
    let mut ids = Vec::new();
    for number in 0..count {
        ids.push(signed_in(store, &format!("user{number}")).await);
    }
    ids
}

/// Opens the connection for ends.
async fn warm(store: &RedisStore) {
    let id = signed_in(store, "warm").await;
    assert!(store.delete(&id).await.unwrap());
}

async fn alive(store: &RedisStore, ids: &[SessionId]) -> usize {
    let mut alive = 0;
    for id in ids {
        alive += usize::from(is_alive(store, id).await);
    }
    alive
}

/// Broken: one end a batch.
#[tokio::test]
async fn ends_at_once_wait_for_a_replica_that_is_far_away_once() {
    const AWAY: Duration = Duration::from_millis(50);
    let primary = copying().start().await;
    let way = FaultProxy::start(primary.addr()).await;
    let there = format!("127.0.0.1 {}", way.port());
    let replica = copying().arg("--replicaof", &there).start().await;
    written(&primary, &replica).await;
    let store = confirmed_within(RedisConfig::new(primary.confirmed_url()), 10 * AWAY);
    warm(&store).await;
    let ids = many(&store, MANY).await;
    let before = waits(&primary).await;
    way.set(Mode::Delay(AWAY));
    let ended = join_all(ids.iter().map(|id| store.delete(id))).await;
    let waits = waits(&primary).await - before;
    assert!(ended.into_iter().all(|ended| ended.is_ok_and(|there| there)));
    assert_eq!(waits, 1);
    assert_eq!(alive(&store, &ids).await, 0);
}

/// Broken: one end a batch; the reply to `WAIT` counts for the last end alone.
#[tokio::test]
async fn ends_at_once_fail_together_if_no_replica_confirms_them() {
    let primary = copying().start().await;
    let replica = replica_of(&primary).await;
    written(&primary, &replica).await;
    let store = store(&primary.confirmed_url());
    warm(&store).await;
    let ids = many(&store, MANY).await;
    let before = waits(&primary).await;
    replica.hang();
    let ended = join_all(ids.iter().map(|id| store.delete(id))).await;
    let waits = waits(&primary).await - before;
    assert!(ended.iter().all(Result::is_err), "{ended:?}");
    assert_eq!(waits, 2, "each is repeated once");
    replica.resume();
    eventually("confirmed ends", async || store.delete(&ids[0]).await.is_ok()).await;
    let ended = join_all(ids.iter().map(|id| store.delete(id))).await;
    assert!(ended.iter().all(Result::is_ok), "{ended:?}");
    assert_eq!(alive(&store, &ids).await, 0);
}

/// Broken: replies are taken in another order; a script that is unknown fails the others.
#[tokio::test]
async fn each_end_of_a_batch_has_the_result_of_its_own_script() {
    let primary = copying().start().await;
    let replica = replica_of(&primary).await;
    written(&primary, &replica).await;
    let store = store(&primary.confirmed_url());
    warm(&store).await;
    for are_known in [true, false] {
        let ids = many(&store, 4).await;
        let unknown = fresh(&store, "nobody");
        let before = waits(&primary).await;
        if !are_known {
            let mut connection = primary.connection().await;
            let mut flush = redis::cmd("SCRIPT");
            let () = flush.arg("FLUSH").query_async(&mut connection).await.unwrap();
        }
        let ended = tokio::join!(
            store.delete(&ids[0]),
            store.delete(&unknown),
            store.delete_version(&ids[1], 7),
            store.delete_version(&unknown, 1),
            store.delete_version(&ids[2], 1),
            store.revoke_all("user3", None),
        );
        assert!(ended.0.unwrap());
        assert!(!ended.1.unwrap());
        assert!(matches!(ended.2, Ok(SaveOutcome::Conflict(_))), "{:?}", ended.2);
        assert!(matches!(ended.3, Ok(SaveOutcome::Gone)), "{:?}", ended.3);
        assert!(matches!(ended.4, Ok(SaveOutcome::Saved)), "{:?}", ended.4);
        assert_eq!(ended.5.unwrap(), 1);
        assert_eq!(alive(&store, &ids).await, 1);
        if are_known {
            assert_eq!(waits(&primary).await, before + 1, "one batch");
        }
        assert!(store.delete(&ids[1]).await.unwrap());
    }
}

/// Broken: the batch is sent by the caller that came first.
#[tokio::test]
async fn callers_that_are_dropped_take_no_others_with_them_and_their_ends_are_sent() {
    let primary = copying().start().await;
    let replica = replica_of(&primary).await;
    written(&primary, &replica).await;
    let proxy = RespProxy::start(primary.addr()).await;
    let store = store(&primary.confirmed_url_at(proxy.port()));
    warm(&store).await;
    let ids = many(&store, 4).await;
    let held = proxy.hold(Matching::command("WAIT"));
    let mut first = Box::pin(store.delete(&ids[0]));
    let mut second = pin!(store.delete(&ids[1]));
    assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
    held.reached().await;
    let before = proxy.count("WAIT");
    let mut third = Box::pin(store.delete(&ids[2]));
    let mut fourth = pin!(store.delete(&ids[3]));
    assert!(poll!(&mut third).is_pending() && poll!(&mut fourth).is_pending());
    drop((first, third));
    let (second, fourth, ()) =
        bounded("the ends of the others", async { tokio::join!(second, fourth, held.release()) })
            .await;
    assert!(second.unwrap() && fourth.unwrap());
    assert_eq!(proxy.count("WAIT"), before + 1);
    assert_eq!(alive(&store, &ids).await, 0);
    // Nothing is left that waits for those.
    warm(&store).await;
}

/// Broken: what waited behind a batch is unknown, too; a lost batch is confirmed.
#[tokio::test]
async fn a_batch_whose_connection_breaks_is_unknown_and_what_waited_behind_it_is_sent_once() {
    let primary = copying().start().await;
    let replica = replica_of(&primary).await;
    written(&primary, &replica).await;
    let proxy = RespProxy::start(primary.addr()).await;
    let store = store(&primary.confirmed_url_at(proxy.port()));
    warm(&store).await;
    let ids = many(&store, 4).await;
    let (before, held) = (proxy.count("EVALSHA"), proxy.hold(Matching::command("WAIT")));
    let mut first = pin!(store.delete_version(&ids[0], 1));
    let mut second = pin!(store.delete(&ids[1]));
    assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
    held.reached().await;
    let mut third = pin!(store.delete_version(&ids[2], 1));
    let mut fourth = pin!(store.delete(&ids[3]));
    assert!(poll!(&mut third).is_pending() && poll!(&mut fourth).is_pending());
    assert_eq!(proxy.count("EVALSHA"), before + 2);
    proxy.set(Gate::Refuse);
    proxy.set(Gate::Pass);
    let all = async { tokio::join!(first, second, third, fourth) };
    let (first, second, third, fourth) = bounded("the ends", all).await;
    assert!(matches!(first, Ok(SaveOutcome::Unknown(_))), "{first:?}");
    assert!(second.unwrap(), "sent again, which finds its tombstone");
    assert!(matches!(third, Ok(SaveOutcome::Saved)), "{third:?}");
    assert!(fourth.unwrap());
    assert_eq!(proxy.count("EVALSHA"), before + 5);
    assert_eq!(alive(&store, &ids).await, 0);
    drop(held);
}

/// Broken: the result of a batch is awaited without a limit.
#[test]
fn an_end_does_not_wait_for_the_task_of_a_runtime_that_stands_still() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (serving, stopped) = (runtime(), runtime());
    let (_primary, _replica, store, ids) = serving.block_on(async {
        let primary = copying().start().await;
        let replica = replica_of(&primary).await;
        written(&primary, &replica).await;
        // Twice this is how long the second end waits.
        let limit = Duration::from_secs(1);
        let config = RedisConfig::new(primary.confirmed_url()).command_timeout(limit);
        let store = RedisStore::new(config).unwrap();
        warm(&store).await;
        let ids = many(&store, 2).await;
        (primary, replica, store, ids)
    });
    let mut first = Box::pin(store.delete(&ids[0]));
    // Its task is one of this runtime.
    stopped.block_on(async { assert!(poll!(&mut first).is_pending()) });
    serving.block_on(async {
        let second = bounded("an end behind it", store.delete(&ids[1])).await;
        assert!(second.unwrap(), "sent again, over another connection");
        bounded("a further end", warm(&store)).await;
    });
    drop((first, stopped));
}

/// Broken: `ASKING` is sent for the first of them alone.
#[tokio::test]
async fn ends_in_a_slot_that_moves_are_sent_together_each_behind_its_permission() {
    let cluster = RedisCluster::start().await;
    let store = configured(RedisConfig::cluster(cluster.confirmed_seeds()));
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(signed_in(&store, "alice").await);
    }
    let text = ids[0].to_string();
    let slot = slot_of(format!("{{{}}}", &text[40..]));
    let x = cluster.owner_of(slot).await;
    let y = (x + 1) % 3;
    for node in [x, y] {
        copied(cluster.node(node), cluster.node(cluster.replica_of(node).await)).await;
    }
    let moving = cluster.begin_move(slot, y).await;
    moving.migrate_rest().await;
    let before = waits(cluster.node(y)).await;
    let ended = join_all(ids.iter().map(|id| store.delete(id))).await;
    assert!(ended.iter().all(|ended| ended.as_ref().is_ok_and(|there| *there)), "{ended:?}");
    assert_eq!(waits(cluster.node(y)).await, before + 1);
    moving.finish().await;
    assert_eq!(alive(&store, &ids).await, 0);
}
