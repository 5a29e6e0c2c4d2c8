//! One primary in the place of another: chosen by its epoch, noticed within a second.

use std::time::{Duration, Instant};

use test_support::{
    LogCapture, RedisServer, copying, eventually, replica_of,
    take_over::{ALICE, KEY, OLD, ask, importer, old, user},
};
use tower_redis_session::{
    ErrorKind, RedisSessionLayer,
    directory::CachedDirectory,
    import::{OldRedis, TakeOver},
    store::Store as _,
    testing::Accounts,
};

use super::scripted::{Says, Scripted, primary};
use super::{address, by, clients, cut, id, primary_of, store, uses};

/// Interval of the questions to sentinels.
const INTERVAL: Duration = Duration::from_secs(1);

/// Two primaries, of which no other server knows.
async fn two() -> (RedisServer, RedisServer) {
    (RedisServer::start().await, RedisServer::start().await)
}

/// Part of schedule 22.
#[tokio::test]
async fn of_sentinels_that_disagree_the_highest_epoch_wins_and_a_replica_is_passed_over() {
    let (old, new) = two().await;
    let stale = [Scripted::start(primary(&old, 3)).await, Scripted::start(primary(&old, 3)).await];
    let fresh = Scripted::start(primary(&new, 4)).await;
    for order in [[&stale[0], &stale[1], &fresh], [&fresh, &stale[0], &stale[1]]] {
        let store = store(&order);
        store.load(&id()).await.unwrap();
        assert_eq!(primary_of(&store), address(&new));
        assert_eq!((clients(&old).await.len(), clients(&new).await.len()), (0, 1));
        drop(store);
        eventually("it is closed", async || clients(&new).await.is_empty()).await;
    }
    // One that is no primary, whatever its epoch.
    let replica = replica_of(&new).await;
    let wrong = Scripted::start(primary(&replica, 5)).await;
    let store = store(&[&wrong, &fresh, &stale[0]]);
    store.load(&id()).await.unwrap();
    assert_eq!(primary_of(&store), address(&new));
    assert!(clients(&old).await.is_empty());
    // During a failover a sentinel has the new epoch, and both addresses.
    fresh.says(Says::Promotes(old.port(), new.port(), 7));
    let store = super::store(&[&stale[0], &fresh, &stale[1]]);
    store.load(&id()).await.unwrap();
    assert_eq!(primary_of(&store), address(&new));
}

#[tokio::test]
async fn a_switch_is_noticed_at_once_when_it_is_announced() {
    let (old, new) = two().await;
    let sentinels = [
        Scripted::start(primary(&old, 3)).await,
        Scripted::start(primary(&old, 3)).await,
        Scripted::start(primary(&old, 3)).await,
    ];
    let (captured, _guard) = LogCapture::on_this_thread();
    let store = store(&[&sentinels[0], &sentinels[1], &sentinels[2]]);
    store.load(&id()).await.unwrap();
    let subscribed = async || sentinels.iter().any(|one| one.count("SUBSCRIBE") > 0);
    eventually("a subscription", subscribed).await;
    // The next question is an interval away.
    let asked = || sentinels.iter().map(|one| one.count("MASTER")).sum::<usize>();
    let before = asked();
    eventually("a question", async || asked() > before + 3).await;
    for sentinel in &sentinels {
        sentinel.says(primary(&new, 4));
        sentinel.announce();
    }
    let took = uses(&store, &new).await;
    println!("announced: the other primary is used after {took:?}");
    assert!(took < INTERVAL * 3 / 4, "{took:?}");
    old.reset_stats().await;
    store.load(&id()).await.unwrap();
    assert!(!old.command_counts().await.contains_key("get"));
    let health = store.health().redis.unwrap();
    assert!(health.switched_ago.is_some_and(|ago| ago < INTERVAL * 20), "{health:?}");
    let lines = captured.events();
    let told = lines.iter().filter(|line| line.text.starts_with("redis primary replaced"));
    assert_eq!(told.count(), 1, "{lines:#?}");
}

#[tokio::test]
async fn a_switch_that_is_not_announced_is_noticed_within_a_second() {
    let (old, new) = two().await;
    let sentinels =
        [Scripted::start(primary(&old, 3)).await, Scripted::start(primary(&old, 3)).await];
    let (captured, _guard) = LogCapture::on_this_thread();
    sentinels.iter().for_each(Scripted::reject_subscriptions);
    let store = store(&[&sentinels[0], &sentinels[1]]);
    store.load(&id()).await.unwrap();
    sentinels[0].is_asked(1).await;
    // One is enough, and it is asked every other time.
    sentinels[1].says(primary(&new, 4));
    let took = uses(&store, &new).await;
    println!("not announced: the other primary is used after {took:?}");
    assert!(took < INTERVAL * 3, "{took:?}");
    eventually("both were asked for announcements", async || {
        sentinels.iter().all(|one| one.count("SUBSCRIBE") > 0)
    })
    .await;
    let warned = captured.events().into_iter().filter(|line| line.text.contains("subscription"));
    assert_eq!(warned.count(), 1);
}

#[tokio::test]
async fn a_write_that_the_old_primary_rejects_is_done_by_the_new_one() {
    let (old, new) = (copying().start().await, copying().start().await);
    let sentinel = Scripted::start(primary(&old, 3)).await;
    let site = test_support::Site::on(by(&[&sentinel]), |builder| builder).await;
    let mut browser = test_support::signed_in(&site).await;
    new.become_replica_of(&old).await;
    new.has_all_of(&old).await;
    new.become_primary().await;
    eventually("a subscription", async || sentinel.count("SUBSCRIBE") > 0).await;
    // A moment ago the sentinel still named the old one.
    sentinel.announce();
    sentinel.is_asked(1).await;
    sentinel.says(primary(&new, 4));
    old.become_replica_of(&new).await;
    // READONLY: the command did not run, and is sent to the server that is the primary now.
    browser.get("/insert:cart:milk").await.expect(200);
    assert_eq!(browser.get("/user,get:cart").await.expect(200).text(), "alice,milk");
    let health = site.layer.admin().health().redis.unwrap();
    assert_eq!(health.primary, Some(address(&new)));
}

#[tokio::test]
async fn one_server_by_two_names_is_no_switch() {
    let (server, other) = two().await;
    let by_address = Scripted::start(Says::Gone).await;
    let by_name =
        Scripted::start(Says::Primary("localhost".into(), server.port(), "master", 3)).await;
    let store = store(&[&by_address, &by_name]);
    store.load(&id()).await.unwrap();
    let first = clients(&server).await;
    by_address.says(primary(&server, 3));
    for sentinel in [&by_address, &by_name] {
        sentinel.announce();
        sentinel.is_asked(2).await;
    }
    store.load(&id()).await.unwrap();
    assert_eq!(clients(&server).await, first);
    assert!(store.health().redis.unwrap().switched_ago.is_none());
    // An address that is a name works, and so does the next switch.
    by_address.says(Says::Gone);
    by_name.says(Says::Primary("localhost".into(), other.port(), "master", 4));
    uses_by_name(&store, other.port()).await;
}

async fn uses_by_name(store: &tower_redis_session::RedisStore, port: u16) {
    eventually("the other primary", async || {
        let loaded = store.load(&id()).await;
        loaded.is_ok() && primary_of(store) == format!("localhost:{port}")
    })
    .await;
}

#[tokio::test]
async fn without_sentinels_connections_go_on_and_new_ones_lead_to_the_same_server() {
    let (old, server) = two().await;
    let sentinels =
        [Scripted::start(primary(&server, 4)).await, Scripted::start(primary(&server, 4)).await];
    let (captured, _guard) = LogCapture::on_this_thread();
    let store = store(&[&sentinels[0], &sentinels[1]]);
    store.load(&id()).await.unwrap();
    let first = clients(&server).await;
    sentinels.iter().for_each(|sentinel| sentinel.says(Says::Gone));
    let told =
        |text: &str| captured.events().iter().filter(|line| line.text.starts_with(text)).count();
    eventually("it is told", async || told("redis sentinels unavailable") == 1).await;
    store.load(&id()).await.unwrap();
    assert_eq!(clients(&server).await, first);
    cut(&server).await;
    eventually("another connection", async || store.load(&id()).await.is_ok()).await;
    assert_ne!(clients(&server).await, first);
    // A sentinel that comes back with an older view changes nothing.
    sentinels[0].says(primary(&old, 3));
    eventually("it is told again", async || told("redis sentinels available") == 1).await;
    sentinels[0].is_asked(2).await;
    cut(&server).await;
    eventually("another connection", async || store.load(&id()).await.is_ok()).await;
    assert!(clients(&old).await.is_empty());
    assert_eq!((told("redis sentinels unavailable"), told("redis primary replaced")), (1, 0));
    // A new store without any sentinel has no server to go to.
    sentinels.iter().for_each(|sentinel| sentinel.says(Says::Gone));
    let other = super::store(&[&sentinels[0], &sentinels[1]]);
    assert_eq!(other.load(&id()).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_primary_is_left_when_its_successor_is_not_usable_yet() {
    let (old, new) = two().await;
    let sentinel = Scripted::start(primary(&old, 3)).await;
    let store = store(&[&sentinel]);
    store.load(&id()).await.unwrap();
    sentinel.says(Says::Primary("127.0.0.1".into(), new.port(), "s_down,master", 4));
    sentinel.announce();
    let mut refused = None;
    eventually("the old one is left", async || {
        refused = store.load(&id()).await.err();
        refused.is_some()
    })
    .await;
    let refused = refused.unwrap();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(refused.to_string().contains("primary is down"), "{refused}");
    sentinel.says(primary(&new, 4));
    uses(&store, &new).await;
}

#[tokio::test]
async fn the_cache_of_a_directory_and_an_import_find_the_primary_too() {
    let server = RedisServer::builder()
        .arg("--user", "old on >old ~old:* +get +del +time +info")
        .start()
        .await;
    let sentinel = Scripted::start(primary(&server, 3)).await;
    let cache = CachedDirectory::builder(Accounts, by(&[&sentinel])).build().unwrap();
    cache.check().await.unwrap();
    let mut set = redis::cmd("SET");
    set.arg(format!("old:{OLD}")).arg(ALICE).arg("EX").arg(3_600);
    let () = set.query_async(&mut server.connection().await).await.unwrap();
    let from = OldRedis::new(by(&[&sentinel]).username("old").password("old")).unwrap();
    let import = TakeOver::new(importer(), from).take_over_key(KEY);
    let layer = RedisSessionLayer::builder(store(&[&sentinel])).import(import).build().unwrap();
    let new = ask(&layer, &old(), user).await.taken_over();
    assert_eq!(ask(&layer, &new, user).await.text, "alice");
}

#[tokio::test]
async fn the_watch_ends_with_its_store() {
    let server = RedisServer::start().await;
    let sentinels =
        [Scripted::start(primary(&server, 3)).await, Scripted::start(primary(&server, 3)).await];
    let store = store(&[&sentinels[0], &sentinels[1]]);
    let open = || sentinels.iter().map(Scripted::connections).sum::<usize>();
    store.load(&id()).await.unwrap();
    // One connection each, and a subscription.
    eventually("it watches", async || open() == 3).await;
    drop(store);
    let start = Instant::now();
    eventually("it has ended", async || open() == 0).await;
    assert!(start.elapsed() < INTERVAL, "with the store, and not at the next question");
}
