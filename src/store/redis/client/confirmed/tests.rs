//! Ends of sessions on real servers with replicas that lag, hang, leave and take over.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use test_support::{
    LogCapture, RedisCluster, RedisServer, RespProxy, bounded, copying, eventually, move_to,
    replica_of, slot_of,
};

use crate::{
    error::Error,
    session::{
        expiry::{Deadlines, SessionExpiry},
        record::Record,
        token::{SessionId, Token},
    },
    store::{
        LoginWrite, SaveOutcome, Store as _, UserStore as _,
        redis::{
            RedisConfig, RedisStore,
            client::replicas::{Terms, online},
        },
    },
};

/// Many at the same time.
mod batches;

/// With short times; the others are such that no healthy server reaches them.
fn configured(config: RedisConfig) -> RedisStore {
    confirmed_within(config, Duration::from_millis(50))
}

fn confirmed_within(config: RedisConfig, within: Duration) -> RedisStore {
    let long = Duration::from_secs(10);
    let terms = Terms {
        read_again: Duration::from_millis(200),
        gone_after: Duration::from_secs(1),
        ..Terms::new(1, within)
    };
    let config = config.connect_timeout(long).command_timeout(long).confirm_on(terms);
    RedisStore::new(config).unwrap()
}

fn store(url: &str) -> RedisStore {
    configured(RedisConfig::new(url))
}

fn record(store: &RedisStore, user: &str) -> Record {
    let now = store.clock().now();
    let expiry = SessionExpiry::new(Duration::from_secs(3_600));
    let deadlines = Deadlines::start(expiry, now, Duration::from_secs(60));
    Record {
        user: Some(user.into()),
        authenticated: Some(now),
        created: now,
        last_activity: now,
        deadlines,
        ..Record::example()
    }
}

fn fresh(store: &RedisStore, user: &str) -> SessionId {
    let token = Token::generate().unwrap();
    match store.placement() {
        Some(placement) => token.tagged(placement.tag(user)).id(),
        None => token.id(),
    }
}

/// Signs in without an end of another session.
async fn signed_in(store: &RedisStore, user: &str) -> SessionId {
    // The server's clock has to be known.
    let _ = store.revocation_epoch(user).await.unwrap();
    let (id, record) = (fresh(store, user), record(store, user));
    let outcome = store.login(LoginWrite::new(&id, &record)).await;
    assert!(matches!(outcome, Ok(SaveOutcome::Saved)), "{outcome:?}");
    id
}

/// Signs in where another session ends.
async fn replaced(store: &RedisStore, old: &SessionId, user: &str) -> Result<SaveOutcome, Error> {
    let (id, record) = (fresh(store, user), record(store, user));
    let login = LoginWrite { old: Some((old, 1)), ..LoginWrite::new(&id, &record) };
    match store.login(login).await? {
        // The client is sent the new id in between.
        SaveOutcome::Saved => store.finish_renew(old, 1, &id).await,
        outcome => Ok(outcome),
    }
}

/// Signs in with room for one session.
async fn limited(store: &RedisStore, user: &str) -> Result<SaveOutcome, Error> {
    let (id, record) = (fresh(store, user), record(store, user));
    store.login(LoginWrite { limit: NonZeroU32::new(1), ..LoginWrite::new(&id, &record) }).await
}

async fn is_alive(store: &RedisStore, id: &SessionId) -> bool {
    store.load(id).await.unwrap().is_some_and(|record| record.moved_to().is_none())
}

/// One session of each of five users, and an end of each in another way: whether it was
/// acknowledged.
struct Ended([SessionId; 5]);

const USERS: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];

impl Ended {
    async fn prepare(store: &RedisStore, users: [&str; 5]) -> Self {
        let mut ids = Vec::new();
        for user in users {
            ids.push(signed_in(store, user).await);
        }
        Self(ids.try_into().unwrap())
    }

    /// All at the same time.
    async fn end(&self, store: &RedisStore, users: [&str; 5]) -> [bool; 5] {
        let saved = |outcome| match outcome {
            Ok(SaveOutcome::Saved) => true,
            Ok(SaveOutcome::Unknown(_)) | Err(_) => false,
            other => panic!("{other:?}"),
        };
        let signed_in = |outcome: Result<SaveOutcome, Error>| match outcome {
            Ok(SaveOutcome::Unknown(_)) => panic!("a plain read would acknowledge it"),
            outcome => saved(outcome),
        };
        let [one, two, _, four, _] = &self.0;
        let [_, _, carol, dave, erin] = users;
        let ended = tokio::join!(
            async { store.delete(one).await.is_ok_and(|there| there) },
            async { saved(store.delete_version(two, 1).await) },
            async { store.revoke_all(carol, None).await.is_ok_and(|count| count == 1) },
            async { signed_in(replaced(store, four, dave).await) },
            async { signed_in(limited(store, erin).await) },
        );
        [ended.0, ended.1, ended.2, ended.3, ended.4]
    }

    async fn alive(&self, store: &RedisStore) -> [bool; 5] {
        let mut alive = [false; 5];
        for (alive, id) in alive.iter_mut().zip(&self.0) {
            *alive = is_alive(store, id).await;
        }
        alive
    }
}

/// Schedule 13 for one primary. Broken: `WAIT` is not sent; it is not repeated; a lost reply of a
/// sign-in is `Unknown`.
#[tokio::test]
async fn what_a_primary_ends_after_its_replica_has_taken_over_is_not_acknowledged() {
    let primary = copying().start().await;
    let replica = replica_of(&primary).await;
    written(&primary, &replica).await;
    let proxy = RespProxy::start(primary.addr()).await;
    let store = store(&primary.confirmed_url_at(proxy.port()));
    let (warm, sessions) = (signed_in(&store, "warm").await, Ended::prepare(&store, USERS).await);
    assert!(store.delete(&warm).await.unwrap());
    assert_eq!(proxy.count("WAIT"), 1, "the connection is open");
    copied(&primary, &replica).await;
    let before = proxy.count("EVALSHA");
    primary.hang();
    let (ended, ()) = tokio::join!(sessions.end(&store, USERS), async {
        eventually("ends in the socket", async || proxy.count("EVALSHA") >= before + 5).await;
        replica.become_primary().await;
        primary.resume();
    });
    assert_eq!(ended, [false; 5]);
    assert_eq!(sessions.alive(&store).await, [false; 5], "they have ended where they were sent");
    move_to(&proxy, &replica).await;
    assert_eq!(sessions.alive(&store).await, [true; 5], "an acknowledgement would have been wrong");
    assert_eq!(sessions.end(&store, USERS).await, [true; 5]);
    assert_eq!(sessions.alive(&store).await, [false; 5]);
}

/// Schedule 13 for a cluster. Broken: the same.
#[tokio::test]
async fn in_a_cluster_it_is_acknowledged_once_the_node_that_took_over_has_it() {
    let cluster = RedisCluster::builder().behind_proxies().start().await;
    let store = configured(RedisConfig::cluster(cluster.confirmed_seeds()));
    let placement = store.placement().unwrap();
    let mut users = Vec::new();
    for number in 0.. {
        let user = format!("user{number}");
        let tag = crate::session::placement::tag_text(placement.tag(&user));
        if cluster.owner_of(slot_of(tag)).await == 0 {
            users.push(user);
        }
        if users.len() == 6 {
            break;
        }
    }
    let warm = users.pop().unwrap();
    eventually("confirmed ends", async || {
        let id = signed_in(&store, &warm).await;
        store.delete(&id).await.unwrap() && cluster.proxy(0).count("WAIT") > 0
    })
    .await;
    let users = [0, 1, 2, 3, 4].map(|number: usize| users[number].as_str());
    let sessions = Ended::prepare(&store, users).await;
    let replica = cluster.replica_of(0).await;
    copied(cluster.node(0), cluster.node(replica)).await;
    let before = cluster.proxy(0).count("EVALSHA");
    cluster.hang(0);
    let (ended, ()) = tokio::join!(sessions.end(&store, users), async {
        let sent = async || cluster.proxy(0).count("EVALSHA") >= before + 5;
        eventually("ends in the socket", sent).await;
        cluster.take_over(replica).await;
        cluster.resume(0);
    });
    cluster.wait_until_ok().await;
    let direct = configured(RedisConfig::cluster(cluster.confirmed_seeds()));
    let alive = sessions.alive(&direct).await;
    for number in 0..5 {
        assert!(!(ended[number] && alive[number]), "acknowledged {ended:?}, and alive {alive:?}");
    }
    assert!(ended.iter().any(|ended| *ended), "repeated at the owner of then: {ended:?}");
}

/// Broken: `WAIT` is not sent; a tombstone that is found is not confirmed; replicas are missing for
/// no time at all, or for ever; they are read once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_come_hang_and_leave() {
    let versions = [None, Some("redis-6.2"), Some("valkey-8.1"), Some("valkey-9.1")];
    for version in versions {
        let server = || match version {
            Some(version) => copying().version(version),
            None => copying(),
        };
        let primary = server().start().await;
        let store = store(&primary.confirmed_url());
        let mut ids = Vec::new();
        for number in 0..80 {
            ids.push(signed_in(&store, &format!("user{number}")).await);
        }
        let mut ids = ids.into_iter();
        let mut next = || ids.next().expect("enough sessions");
        assert!(store.delete(&next()).await.unwrap());
        assert_eq!(waits(&primary).await, 0);

        let replica = server().replica_of(&primary).start().await;
        // Not one fails, also while it is copied to.
        eventually("a replica that is noticed", async || {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(store.delete(&next()).await.unwrap());
            waits(&primary).await > 0
        })
        .await;
        copied(&primary, &replica).await;

        replica.hang();
        let (cut_off, replaces) = (next(), next());
        // The second one finds the tombstone of the first.
        for _ in 0..2 {
            let silent = store.delete(&cut_off).await.unwrap_err();
            assert!(silent.to_string().contains("no redis replica confirmed"), "{silent}");
        }
        let unknown = store.delete_version(&next(), 1).await;
        assert!(matches!(unknown, Ok(SaveOutcome::Unknown(_))), "{unknown:?}");
        assert!(replaced(&store, &replaces, "user").await.is_err());
        assert!(is_alive(&store, &signed_in(&store, "other").await).await, "others go on");
        // It is online by what the primary knows, however long.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        assert!(store.delete(&cut_off).await.is_err());
        replica.resume();
        eventually("confirmed ends", async || store.delete(&cut_off).await.is_ok()).await;
        assert!(!is_alive(&store, &cut_off).await);

        replica.kill();
        let (gone, killed) = (Instant::now(), next());
        assert!(store.delete(&killed).await.is_err(), "it may have been promoted");
        eventually("ends without it", async || store.delete(&killed).await.is_ok()).await;
        assert!(gone.elapsed() >= Duration::from_secs(1), "{:?}", gone.elapsed());
        assert!(store.delete(&next()).await.unwrap());
    }
}

/// The same after a write, without which the primary learns it within ten seconds.
async fn written(primary: &RedisServer, replica: &RedisServer) {
    let mut connection = primary.connection().await;
    let () = redis::cmd("SET").arg("a").arg(1).query_async(&mut connection).await.unwrap();
    copied(primary, replica).await;
}

/// Waits until the primary knows that the replica has what was written so far.
async fn copied(primary: &RedisServer, replica: &RedisServer) {
    replica.has_all_of(primary).await;
    let mut connection = primary.connection().await;
    eventually("a replica that acknowledges", async || {
        let mut info = redis::cmd("INFO");
        let info = info.arg("replication").query_async::<String>(&mut connection).await;
        online(&info.unwrap()) == 1
    })
    .await;
}

async fn waits(redis: &RedisServer) -> u64 {
    redis.command_counts().await.get("wait").copied().unwrap_or(0)
}

/// Broken: an error of `WAIT` confirms nothing; `check` sends none.
#[tokio::test]
async fn a_server_that_rejects_wait_or_info_ends_sessions_without_and_check_says_so() {
    let (log, _guard) = LogCapture::on_this_thread();
    let primary = copying().start().await;
    let replica = replica_of(&primary).await;
    written(&primary, &replica).await;
    for (name, right, line) in [
        ("without_wait", "-wait", "redis rejects WAIT: ends of sessions unconfirmed"),
        ("without_info", "-info", "ends of sessions unconfirmed without the right to INFO"),
    ] {
        let documented = test_support::documented().join(" ");
        let documented = documented.replace("PASSWORD", test_support::PASSWORD);
        let more = test_support::documented_with_replicas().join(" ");
        primary.acl_set_user(name, &format!("{documented} {more} {right}")).await;
        let url = primary.url_as(name, test_support::PASSWORD, primary.port());
        let ends = async |store: &RedisStore| {
            for _ in 0..3 {
                let id = signed_in(store, "alice").await;
                assert!(bounded("an end", store.delete(&id)).await.unwrap(), "{name}");
            }
        };
        ends(&store(&url)).await;
        let checked = store(&url);
        let lines = || log.events().iter().filter(|event| event.text.contains(line)).count();
        let before = lines();
        checked.check().await.unwrap();
        assert_eq!(lines(), before + 1, "{name}");
        ends(&checked).await;
        assert_eq!(lines(), before + 1, "{name}: once");
    }
    let before = log.events().len();
    store(&primary.confirmed_url()).check().await.unwrap();
    let warned = log.events()[before..].iter().any(|event| event.text.contains("unconfirmed"));
    assert!(!warned, "with all rights");
    drop(replica);
}

/// Schedule 22, its second half. Broken: `WAIT` is not sent; a primary without replicas is trusted
/// at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_confirmed_is_lost_in_a_planned_failover() {
    let old = copying().start().await;
    let new = replica_of(&old).await;
    written(&old, &new).await;
    let long = Duration::from_secs(10);
    // The default times.
    let config = RedisConfig::new(old.confirmed_url()).command_timeout(long).connect_timeout(long);
    let store = RedisStore::new(config).unwrap();
    let mut ids = Vec::new();
    for number in 0..2_500 {
        ids.push(signed_in(&store, &format!("user{number}")).await);
    }
    let (next, acknowledged) = (AtomicUsize::new(0), std::sync::Mutex::new(Vec::new()));
    let is_over = AtomicBool::new(false);
    // 500 a second.
    let worker = async || {
        let mut turns = tokio::time::interval(Duration::from_millis(16));
        turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !is_over.load(Ordering::Relaxed) {
            let _ = turns.tick().await;
            let Some(id) = ids.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
            if store.delete(id).await.is_ok() {
                acknowledged.lock().unwrap().push(*id);
            }
        }
    };
    let workers = futures_util::future::join_all((0..8).map(|_| worker()));
    // As Sentinel does it: the replica becomes a primary, and the old one learns it much later.
    let failover = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        new.become_primary().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        old.become_replica_of(&new).await;
        is_over.store(true, Ordering::Relaxed);
    };
    let _ = tokio::join!(failover, workers);
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(acknowledged.len() > 100, "{}", acknowledged.len());
    let direct = RedisStore::new(RedisConfig::new(new.confirmed_url())).unwrap();
    let mut lost = 0;
    for id in &acknowledged {
        lost += usize::from(is_alive(&direct, id).await);
    }
    println!("{} acknowledged of {}, {lost} lost", acknowledged.len(), next.into_inner());
    assert_eq!(lost, 0, "of {} acknowledged ones", acknowledged.len());
    let after = signed_in(&direct, "after").await;
    eventually("an end at the new primary", async || direct.delete(&after).await.is_ok()).await;
}
