//! Sessions of a user in another slot than the user's list, lists that were lost, and records that
//! still have to end another one.
//!
//! To see these fail: in `users.rs` do not ask for those that have ended; in `redis.rs` do not list
//! a session again; return a conflict without loading what was found; in `finish_marked` or in
//! `leave.lua` end a record with a mark of its own; in `take_over` keep the version.

use test_support::{RedisCluster, Site, eventually, key_end, slot_of};
use tower_redis_session::{
    RedisStore, SessionId,
    store::{Expected, LoginWrite, Record, SaveOutcome, Store as _, UserStore as _},
};

use super::{configured, keys, patient, signed_in, site, slot, tag};

async fn of_three() -> RedisCluster {
    RedisCluster::builder().replicas(0).start().await
}

fn store(cluster: &RedisCluster) -> RedisStore {
    RedisStore::new(patient(cluster)).unwrap()
}

/// The record of a new session after these requests, at its first version.
async fn record(site: &Site, store: &RedisStore, path: &str) -> Record {
    let mut browser = site.browser().await;
    browser.get(path).await.expect(200);
    let id: SessionId = browser.get("/id").await.expect(200).text().parse().unwrap();
    let record = store.load(&id).await.unwrap().unwrap();
    assert!(store.delete(&id).await.unwrap());
    Record::from_bytes(1, record.to_bytes().into()).unwrap()
}

fn id(number: u64, tag: &str) -> SessionId {
    format!("{number:0>40}{tag}").parse().unwrap()
}

fn key(id: &SessionId) -> String {
    format!("session:0:s:{}", key_end(id.to_string()))
}

async fn run(cluster: &RedisCluster, key: &str, command: &mut redis::Cmd) {
    let owner = cluster.owner_of(slot_of(key)).await;
    let mut connection = cluster.connection(owner).await;
    let () = command.query_async(&mut connection).await.unwrap();
}

#[tokio::test]
async fn a_session_of_another_slot_makes_room_only_while_it_lives() {
    let cluster = of_three().await;
    let limited = configured(&cluster, |builder| builder.sessions_per_user(2)).await;
    let store = store(&cluster);
    for lives in [true, false] {
        let older = record(&limited, &store, "/login:alice").await;
        let mut laptop = signed_in(&limited, "alice").await;
        let newer = record(&limited, &store, "/login:alice").await;
        // One that lives is the oldest, one that is no more would be the newest.
        let foreign = id(u64::from(lives), "AAA");
        assert_ne!(tag(&laptop), "AAA");
        let record = if lives { older } else { newer };
        let entered = store.login(LoginWrite::new(&foreign, &record)).await.unwrap();
        assert!(matches!(entered, SaveOutcome::Saved), "{entered:?}");
        if !lives {
            run(&cluster, &key(&foreign), redis::cmd("DEL").arg(key(&foreign))).await;
        }
        let mut phone = signed_in(&limited, "alice").await;
        assert_eq!(store.load(&foreign).await.unwrap(), None);
        for browser in [&mut laptop, &mut phone] {
            assert_eq!(browser.get("/user").await.expect(200).text(), "alice", "{lives}");
        }
        assert_eq!(limited.layer.admin().sessions_of("alice").await.unwrap().len(), 2);
        limited.layer.admin().revoke_all("alice").await.unwrap();
    }
    cluster.assert_every_key_has_a_ttl().await;
}

#[tokio::test]
async fn a_list_that_was_evicted_comes_back_with_the_next_write() {
    let cluster = of_three().await;
    let site = site(&cluster).await;
    let mut alice = signed_in(&site, "alice").await;
    let list = keys(&cluster, ":u:{").await.remove(0);
    run(&cluster, &list, redis::cmd("DEL").arg(&list)).await;
    assert_eq!(alice.get("/sessions").await.expect(200).text(), "");
    alice.get("/update:n").await.expect(200);
    eventually("the session is listed", async || {
        alice.get("/sessions").await.expect(200).text() == "*-"
    })
    .await;
    cluster.assert_every_key_has_a_ttl().await;
    assert_eq!(site.layer.admin().revoke_all("alice").await.unwrap(), 1);
    assert_eq!(alice.get("/user").await.expect(200).text(), "-");
}

#[tokio::test]
async fn a_write_that_follows_its_slot_makes_no_second_list() {
    let cluster = of_three().await;
    let site = site(&cluster).await;
    let mut alice = signed_in(&site, "alice").await;
    let x = cluster.owner_of(slot(&alice)).await;
    let moving = cluster.begin_move(slot(&alice), (x + 1) % 3).await;
    moving.migrate(&keys(&cluster, ":s:").await, super::moves::SOON).await.unwrap();
    assert_eq!(alice.get("/update:n").await.expect(200).text(), "1");
    assert_eq!(keys(&cluster, ":u:{").await.len(), 1, "at the node that the slot leaves");
    moving.migrate_rest().await;
    moving.finish().await;
    assert_eq!(alice.get("/sessions,update:n").await.expect(200).text(), "*-,2");
}

/// A record that still has to end another one.
fn marked(record: &Record, old: &SessionId, of_user: bool) -> Vec<u8> {
    let letter = if of_user { 'u' } else { 'a' };
    let mark = format!("P{old}R{:016x}{letter}R{:016x}", 1, record.version());
    [mark.into_bytes(), record.to_bytes()].concat()
}

#[tokio::test]
async fn whatever_finds_a_record_with_a_mark_ends_the_other_one_first() {
    let cluster = of_three().await;
    let site = site(&cluster).await;
    let store = store(&cluster);
    let visitor = record(&site, &store, "/insert:cart:tea").await;
    let (old, new, next) = (id(1, "AAA"), id(2, "AAE"), id(3, "AAE"));
    for attempt in 0..3 {
        let saved = store.save(&old, Expected::Absent, &visitor).await.unwrap();
        assert!(matches!(saved, SaveOutcome::Saved), "{saved:?}");
        let value = marked(&visitor, &old, false);
        run(
            &cluster,
            &key(&new),
            redis::cmd("SET").arg(key(&new)).arg(value).arg("PX").arg(60_000),
        )
        .await;
        let write = async || match attempt {
            0 => {
                let later = Record::from_bytes(2, visitor.to_bytes().into()).unwrap();
                store.save(&new, Expected::Version(1), &later).await.unwrap()
            }
            1 => store.delete_version(&new, 1).await.unwrap(),
            _ => store.begin_renew(&new, 1, &next, &visitor).await.unwrap(),
        };
        let mut written = write().await;
        if attempt > 0 {
            assert!(matches!(written, SaveOutcome::Conflict(_)), "{attempt}: {written:?}");
            written = write().await;
        }
        assert!(matches!(written, SaveOutcome::Saved), "{attempt}: {written:?}");
        assert!(store.load(&old).await.unwrap().is_none_or(|old| old.moved_to().is_some()));
        for id in [old, new, next] {
            run(&cluster, &key(&id), redis::cmd("DEL").arg(key(&id))).await;
        }
    }
}

#[tokio::test]
async fn marks_in_a_row_end_all_that_they_name() {
    let cluster = of_three().await;
    let site = site(&cluster).await;
    let store = store(&cluster);
    let visitor = record(&site, &store, "/insert:cart:tea").await;
    let ids = [id(1, "AAA"), id(2, "AAE"), id(3, "AAI")];
    for of_user in [false, true] {
        let saved = store.save(&ids[0], Expected::Absent, &visitor).await.unwrap();
        assert!(matches!(saved, SaveOutcome::Saved), "{saved:?}");
        for pair in ids.windows(2) {
            let (key, value) = (key(&pair[1]), marked(&visitor, &pair[0], of_user));
            let mut set = redis::cmd("SET");
            run(&cluster, &key, set.arg(&key).arg(value).arg("PX").arg(60_000)).await;
        }
        let loaded = store.load(&ids[2]).await.unwrap();
        assert!(loaded.is_some_and(|record| record.moved_to().is_none()), "{of_user}");
        for id in &ids[..2] {
            let there = store.load(id).await.unwrap();
            assert!(there.is_none_or(|old| old.moved_to().is_some()), "{of_user} {id}");
        }
        for id in &ids {
            run(&cluster, &key(id), redis::cmd("DEL").arg(key(id))).await;
        }
    }
}

/// A record of the sign-in that a request still holds must not pass for what was written instead.
#[tokio::test]
async fn what_was_written_under_the_old_id_has_a_version_of_its_own_under_the_new_one() {
    let cluster = of_three().await;
    let site = site(&cluster).await;
    let store = store(&cluster);
    let visitor = record(&site, &store, "/insert:cart:tea").await;
    let next = |version| Record::from_bytes(version, visitor.to_bytes().into()).unwrap();
    let (old, new) = (id(1, "AAA"), id(2, "AAE"));
    for expected in [Expected::Absent, Expected::Version(1)] {
        let version = if expected == Expected::Absent { 1 } else { 2 };
        let saved = store.save(&old, expected, &next(version)).await.unwrap();
        assert!(matches!(saved, SaveOutcome::Saved), "{saved:?}");
    }
    // Of the first of the two, by a renewal at the version after it.
    let value = marked(&next(2), &old, false);
    run(&cluster, &key(&new), redis::cmd("SET").arg(key(&new)).arg(value).arg("PX").arg(60_000))
        .await;
    assert_eq!(store.load(&new).await.unwrap().unwrap().version(), 3);
    let stale = store.save(&new, Expected::Version(2), &next(3)).await.unwrap();
    assert!(matches!(stale, SaveOutcome::Conflict(_)), "{stale:?}");
}
