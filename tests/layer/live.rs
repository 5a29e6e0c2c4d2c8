//! A session in a connection that outlives its request: what it reads and writes, and how it hears
//! of its end.
//!
//! To see these fail: keep the handle of the request; leave the events out of the task that asks;
//! take a store that is away for an end; leave the known end out; count reads as activity; keep
//! what is watched when its last holder is gone; keep an end that was only assumed; ask for each
//! session by a command of its own.

use std::time::Duration;

use test_support::{
    eventually,
    faulty_store::{Fault, FaultyStore, Op, Visitor},
};
use tower_redis_session::{
    ErrorKind, RedisSessionLayer, SessionId,
    clock::ManualClock,
    context::{EndReason, LiveSession, SessionEnd},
    store::Store,
    telemetry::{Event, Events},
};

const MINUTE: Duration = Duration::from_secs(60);
/// Longer than any of these tests: what is heard meanwhile was heard by an event.
const NEVER: Duration = Duration::from_secs(3_600);

fn layer_on(store: &FaultyStore, interval: Duration) -> RedisSessionLayer {
    let builder = RedisSessionLayer::builder(store.clone()).watch_interval(interval);
    builder.idle_timeout(10 * MINUTE).touch_interval(Duration::ZERO).build().unwrap()
}

/// The session of a signed-in visitor, as its connection has it.
async fn live(visitor: &mut Visitor) -> LiveSession {
    let mut kept = None;
    let keep = &mut kept;
    let answered = visitor.ask(async |session| {
        *keep = Some(session.live().await?);
        Ok(String::new())
    });
    assert_eq!(answered.await.status(), 200);
    kept.unwrap()
}

async fn signed_in(layer: &RedisSessionLayer) -> (Visitor, LiveSession) {
    let mut visitor = Visitor::new(layer);
    let login = async |session: tower_redis_session::SessionContext| {
        session.login("alice").await?;
        session.insert("n", &1).await.map(|()| String::new())
    };
    assert_eq!(visitor.ask(login).await.status(), 200);
    let live = live(&mut visitor).await;
    (visitor, live)
}

/// Waits for the end in a task of its own.
fn heard(live: &LiveSession) -> tokio::task::JoinHandle<SessionEnd> {
    let live = live.clone();
    tokio::spawn(async move { live.ended().await })
}

/// The same, once the poll at its start is over: what is heard later is heard by an event.
async fn heard_by_event(
    live: &LiveSession,
    store: &FaultyStore,
) -> tokio::task::JoinHandle<SessionEnd> {
    let waiting = heard(live);
    eventually("the first poll", async || asked(store) > 0).await;
    waiting
}

/// How often the store was asked for watched sessions since this was last called.
fn asked(store: &FaultyStore) -> usize {
    store.calls().iter().filter(|call| **call == Op::LoadEach).count()
}

#[tokio::test]
async fn it_reads_and_writes_long_after_the_response() {
    let store = FaultyStore::new();
    let layer = layer_on(&store, NEVER);
    let (mut visitor, live) = signed_in(&layer).await;
    assert_eq!(live.get::<u32>("n").await.unwrap(), Some(1));
    assert_eq!(live.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).await.unwrap(), 2);
    // Each sees what the other has stored.
    let answered = visitor.ask(async |session| {
        session.insert("theme", "dark").await?;
        Ok(format!("{:?}", session.get::<u32>("n").await?))
    });
    assert_eq!(answered.await.text(), "Some(2)");
    assert_eq!(live.get::<String>("theme").await.unwrap().as_deref(), Some("dark"));
    let late = live
        .request(async |session: tower_redis_session::SessionContext| {
            session.insert("theme", "light").await?;
            session.remove("n").await?;
            Ok(session)
        })
        .await
        .unwrap();
    assert_eq!(live.get::<String>("theme").await.unwrap().as_deref(), Some("light"));
    assert_eq!(live.get::<u32>("n").await.unwrap(), None);
    // The handle of a turn is dead after it.
    assert_eq!(late.insert("n", &3).await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(live.user_id(), Some("alice"));
}

#[tokio::test]
async fn a_turn_that_fails_stores_nothing() {
    let layer = layer_on(&FaultyStore::new(), NEVER);
    let (_, live) = signed_in(&layer).await;
    let failed = live.request(async |session: tower_redis_session::SessionContext| {
        session.insert("n", &7).await?;
        Err::<(), _>(tower_redis_session::Error::new(ErrorKind::Invalid, "no"))
    });
    assert_eq!(failed.await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(live.get::<u32>("n").await.unwrap(), Some(1));
}

#[tokio::test]
async fn without_a_response_there_is_no_new_id() {
    let layer = layer_on(&FaultyStore::new(), NEVER);
    let (mut visitor, live) = signed_in(&layer).await;
    for renews in [false, true] {
        let refused =
            live.request(
                async |session: tower_redis_session::SessionContext| {
                    if renews { session.renew().await } else { session.login("bob").await }
                },
            );
        assert_eq!(refused.await.unwrap_err().kind(), ErrorKind::Closed, "{renews}");
    }
    let user = visitor.ask(async |session| Ok(format!("{:?}", session.user_id().await?)));
    assert_eq!(user.await.text(), r#"Some("alice")"#);
}

#[tokio::test]
async fn every_end_is_heard_at_once_in_its_own_process() {
    type Act = fn(tower_redis_session::SessionContext) -> Done;
    type Done =
        std::pin::Pin<Box<dyn Future<Output = Result<String, tower_redis_session::Error>> + Send>>;
    let ends: [(&str, Act, EndReason); 5] = [
        (
            "logout",
            |s| Box::pin(async move { s.logout().await.map(|()| "".into()) }),
            EndReason::Ended,
        ),
        (
            "everywhere",
            |s| Box::pin(async move { s.logout_everywhere().await.map(|_| "".into()) }),
            EndReason::Ended,
        ),
        (
            "renew",
            |s| Box::pin(async move { s.renew().await.map(|()| "".into()) }),
            EndReason::Moved,
        ),
        (
            "login",
            |s| Box::pin(async move { s.login("bob").await.map(|()| "".into()) }),
            EndReason::Moved,
        ),
        (
            "emptied",
            |s| Box::pin(async move { s.destroy().await.map(|()| "".into()) }),
            EndReason::Ended,
        ),
    ];
    for (name, act, reason) in ends {
        let store = FaultyStore::new();
        let layer = layer_on(&store, NEVER);
        let (mut visitor, live) = signed_in(&layer).await;
        let waiting = heard_by_event(&live, &store).await;
        assert_eq!(visitor.ask(act).await.status(), 200, "{name}");
        let end = test_support::bounded(name, waiting).await.unwrap();
        assert_eq!((end.reason, end.user_id.as_deref()), (reason, Some("alice")), "{name}");
        assert_eq!(end.id, live.id());
        let kind = live.validate().await.unwrap_err().kind();
        let moved = reason == EndReason::Moved;
        assert_eq!(kind, if moved { ErrorKind::Moved } else { ErrorKind::Absent }, "{name}");
    }
}

#[tokio::test]
async fn another_device_ends_it_at_once_by_the_list_and_by_the_administrator() {
    let store = FaultyStore::new();
    let layer = layer_on(&store, NEVER);
    let (_, by_user) = signed_in(&layer).await;
    let (mut other, by_admin) = signed_in(&layer).await;
    let (first, second) = (heard(&by_user), heard_by_event(&by_admin, &store).await);
    let id: SessionId = by_user.id();
    let revoked = other.ask(async |session| Ok(session.revoke(&id).await?.to_string()));
    assert_eq!(revoked.await.text(), "true");
    assert_eq!(test_support::bounded("by the user", first).await.unwrap().reason, EndReason::Ended);
    assert_eq!(layer.admin().revoke_all("alice").await.unwrap(), 1);
    assert_eq!(
        test_support::bounded("by an admin", second).await.unwrap().reason,
        EndReason::Ended
    );
}

#[tokio::test(start_paused = true)]
async fn what_ends_elsewhere_is_heard_within_one_interval() {
    let store = FaultyStore::new();
    let (a, b) = (layer_on(&store, 2 * MINUTE), layer_on(&store.sound(), NEVER));
    let (_, live) = signed_in(&a).await;
    let start = tokio::time::Instant::now();
    let waiting = heard(&live);
    tokio::task::yield_now().await;
    assert!(b.admin().revoke("alice", &live.id()).await.unwrap());
    assert_eq!(waiting.await.unwrap().reason, EndReason::Ended);
    let after = start.elapsed();
    assert!(after <= 2 * MINUTE + Duration::from_secs(1), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn reads_are_no_activity_and_a_touch_is() {
    let clock = ManualClock::new();
    let store = FaultyStore::with_clock(&clock);
    let layer = layer_on(&store, MINUTE);
    for touches in [false, true] {
        let (_, live) = signed_in(&layer).await;
        for _ in 0..3 {
            clock.advance(4 * MINUTE);
            let there = live.get::<u32>("n").await;
            assert!(there.is_ok() || !touches, "{there:?}");
            if touches {
                live.touch().await.unwrap();
            }
        }
        assert_eq!(live.validate().await.is_ok(), touches);
        if !touches {
            assert_eq!(live.ended().await.reason, EndReason::Expired);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_ends_nothing_before_the_known_end() {
    let clock = ManualClock::new();
    let store = FaultyStore::with_clock(&clock);
    let layer = layer_on(&store, MINUTE);
    let (_, live) = signed_in(&layer).await;
    for _ in 0..40 {
        store.fault(Op::LoadEach, Fault::Fails);
    }
    let waiting = heard(&live);
    tokio::time::sleep(20 * MINUTE).await;
    assert!(!waiting.is_finished(), "the store did not say so");
    clock.advance(11 * MINUTE);
    let end = tokio::time::timeout(2 * MINUTE, waiting).await;
    assert_eq!(end.expect("at the next question").unwrap().reason, EndReason::Expired);
}

/// An end that was only assumed, since the store was away, is none for who connects afterwards.
#[tokio::test(start_paused = true)]
async fn a_session_that_outlived_its_known_end_is_watched_again() {
    let clock = ManualClock::new();
    let store = FaultyStore::with_clock(&clock);
    let layer = layer_on(&store, MINUTE);
    let (mut visitor, first) = signed_in(&layer).await;
    for _ in 0..4 {
        store.fault(Op::LoadEach, Fault::Fails);
    }
    let waiting = heard(&first);
    clock.advance(8 * MINUTE);
    let touched = visitor.ask(async |session| Ok(session.touch().await?.to_string()));
    assert_eq!(touched.await.text(), "true");
    clock.advance(8 * MINUTE);
    assert_eq!(waiting.await.unwrap().reason, EndReason::Expired);
    let again = heard(&live(&mut visitor).await);
    tokio::time::sleep(10 * MINUTE).await;
    assert!(!again.is_finished());
    assert_eq!(layer.admin().revoke_all("alice").await.unwrap(), 1);
    assert_eq!(again.await.unwrap().reason, EndReason::Ended);
}

#[tokio::test(start_paused = true)]
async fn the_end_is_that_of_the_last_answer() {
    let clock = ManualClock::new();
    let store = FaultyStore::with_clock(&clock);
    let layer = layer_on(&store, MINUTE);
    let (mut visitor, live) = signed_in(&layer).await;
    let waiting = heard(&live);
    // Active elsewhere, which the task that asks has seen.
    clock.advance(8 * MINUTE);
    let n = visitor.ask(async |session| Ok(session.touch().await?.to_string()));
    assert_eq!(n.await.text(), "true");
    tokio::time::sleep(2 * MINUTE).await;
    for _ in 0..40 {
        store.fault(Op::LoadEach, Fault::Fails);
    }
    clock.advance(8 * MINUTE);
    tokio::time::sleep(2 * MINUTE).await;
    assert!(!waiting.is_finished(), "10 minutes after the touch, not after the sign-in");
    clock.advance(4 * MINUTE);
    let end = tokio::time::timeout(2 * MINUTE, waiting).await;
    assert_eq!(end.expect("at the next question").unwrap().reason, EndReason::Expired);
}

#[tokio::test(start_paused = true)]
async fn all_that_is_watched_is_asked_for_in_few_commands() {
    let store = FaultyStore::new();
    let layer = layer_on(&store, MINUTE);
    let mut lives = Vec::new();
    for _ in 0..300 {
        lives.push(signed_in(&layer).await.1);
    }
    // Ten connections of one session are one.
    let more: Vec<_> = (0..10).map(|_| lives[0].clone()).collect();
    let waiting: Vec<_> = lives.iter().chain(&more).map(heard).collect();
    asked(&store);
    tokio::time::sleep(5 * MINUTE + Duration::from_secs(30)).await;
    assert_eq!(asked(&store), 6 * 3, "128 at a time, at once and each minute");
    assert_eq!(layer.admin().revoke_all("alice").await.unwrap(), 300);
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap().reason, EndReason::Ended);
    }
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_that_came_and_went_leave_nothing() {
    let store = FaultyStore::new();
    let layer = layer_on(&store, NEVER);
    let (mut visitor, first) = signed_in(&layer).await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let mut waiting = Vec::new();
    for _ in 0..10_000 {
        let live = live(&mut visitor).await;
        waiting.push(tokio::spawn(async move { drop(live.ended().await) }));
    }
    tokio::task::yield_now().await;
    assert_eq!(tasks(), before + 10_001, "and the one that asks");
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    drop((waiting, first));
    eventually("they are gone", async || tasks() <= before).await;
    asked(&store);
    tokio::time::sleep(3 * NEVER).await;
    assert_eq!(asked(&store), 0, "nobody asks for nobody");
    // Another one is watched as the first was.
    let again = live(&mut visitor).await;
    let waiting = tokio::spawn(async move { again.ended().await.reason });
    tokio::task::yield_now().await;
    let _ = layer.admin().revoke_all("alice").await.unwrap();
    assert_eq!(waiting.await.unwrap(), EndReason::Ended);
}

#[tokio::test]
async fn what_ends_before_the_first_wait_is_noticed_at_once() {
    for by_list in [false, true] {
        let layer = layer_on(&FaultyStore::new(), NEVER);
        let (_, live) = signed_in(&layer).await;
        match by_list {
            true => assert!(layer.admin().revoke("alice", &live.id()).await.unwrap()),
            false => assert_eq!(layer.admin().revoke_all("alice").await.unwrap(), 1),
        }
        let end = test_support::bounded("the end", live.ended()).await;
        assert_eq!(end.reason, EndReason::Ended, "{by_list}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_events_is_no_flood_of_polls() {
    let store = FaultyStore::new();
    let events = Events::default();
    let layer = layer_on(&store.with_events(&events), NEVER);
    let (_, live) = signed_in(&layer).await;
    let waiting = heard(&live);
    tokio::time::sleep(Duration::from_millis(10)).await;
    asked(&store);
    for _ in 0..20 {
        // Without a turn for the task that polls, which then has missed some.
        (0..1_500).for_each(|_| events.emit(Event::Ambiguous));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // At most one a second.
    assert!((1..=2).contains(&asked(&store)), "one poll for a second of missed events");
    assert!(!waiting.is_finished());
}

#[tokio::test]
async fn layers_on_one_store_hear_of_each_other_at_once() {
    let store = FaultyStore::new().with_events(&Events::default());
    let (pages, api) = (layer_on(&store, NEVER), layer_on(&store, NEVER));
    let (_, first) = signed_in(&pages).await;
    let (_, second) = signed_in(&pages).await;
    let waiting = [heard(&first), heard_by_event(&second, &store).await];
    assert!(api.admin().revoke("alice", &first.id()).await.unwrap());
    let [first, second] = waiting;
    assert_eq!(test_support::bounded("one", first).await.unwrap().reason, EndReason::Ended);
    assert!(!second.is_finished());
    assert_eq!(api.admin().revoke_all("alice").await.unwrap(), 1);
    assert_eq!(test_support::bounded("all", second).await.unwrap().reason, EndReason::Ended);
}

#[tokio::test]
async fn live_sessions_are_ended_before_the_server_stops_and_requests_are_served_on() {
    let layer = layer_on(&FaultyStore::new(), NEVER);
    let (mut visitor, live) = signed_in(&layer).await;
    let waiting = heard(&live);
    tokio::task::yield_now().await;
    layer.end_live_sessions();
    assert_eq!(test_support::bounded("a wait", waiting).await.unwrap().reason, EndReason::Shutdown);
    let answered =
        visitor.ask(async |session| session.insert("n", &2).await.map(|()| String::new()));
    assert_eq!(answered.await.status(), 200);
    assert_eq!(live.get::<u32>("n").await.unwrap(), Some(2));
    // One that begins while the server drains ends at once.
    let late = self::live(&mut visitor).await;
    assert_eq!(late.ended().await.reason, EndReason::Shutdown);
}

#[tokio::test]
async fn a_shutdown_ends_every_wait() {
    let layer = layer_on(&FaultyStore::new(), NEVER);
    let (_, live) = signed_in(&layer).await;
    let waiting = tokio::spawn(async move { live.ended().await.reason });
    tokio::task::yield_now().await;
    layer.shutdown().await;
    assert_eq!(test_support::bounded("a wait", waiting).await.unwrap(), EndReason::Shutdown);
}

#[test]
fn the_end_of_a_runtime_ends_no_watch_of_another() {
    let store = FaultyStore::new();
    let layer = layer_on(&store, Duration::from_millis(20));
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().build().unwrap()
    };
    let (first, second) = (runtime(), runtime());
    let (_, one) = first.block_on(signed_in(&layer));
    let (_, two) = second.block_on(signed_in(&layer));
    // The task that asks runs on the first.
    drop(first.spawn(async move { one.ended().await }));
    first.block_on(eventually("somebody asks", async || asked(&store) > 0));
    let waiting = second.spawn(async move { two.ended().await.reason });
    drop(first);
    let sound = RedisSessionLayer::builder(store.sound()).build().unwrap();
    second.block_on(async {
        let _ = sound.admin().revoke_all("alice").await.unwrap();
        let ended = test_support::bounded("the end", waiting).await.unwrap();
        assert_eq!(ended, EndReason::Ended);
    });
}

#[tokio::test]
async fn without_a_session_there_is_nothing_to_keep() {
    let store = FaultyStore::new();
    let layer = layer_on(&store, NEVER);
    let mut visitor = Visitor::new(&layer);
    let kind = visitor.ask(async |session| {
        Ok(format!("{:?}", session.live().await.map(drop).unwrap_err().kind()))
    });
    assert_eq!(kind.await.text(), "Absent");
    // One that this request begins is stored first.
    let live = signed_in(&layer).await.1;
    assert!(store.load(&live.id()).await.unwrap().is_some());
}
