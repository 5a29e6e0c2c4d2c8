//! Two requests of one session at the same time, in every order that matters, and writes whose
//! answer is lost: no change of one undoes the other, nothing is counted twice.

use std::{future::Future, pin::Pin, time::Duration};

use tower_redis_session::{
    Error, ErrorKind, RedisSessionLayer, SessionContext, clock::ManualClock,
};

use test_support::faulty_store::{Answered, Fault, FaultyStore, Gate, Op, Visitor};

pub(crate) type Handled = Pin<Box<dyn Future<Output = Result<String, Error>> + Send>>;
pub(crate) type Handler = fn(SessionContext) -> Handled;

fn layer_on(store: &FaultyStore) -> RedisSessionLayer {
    RedisSessionLayer::builder(store.clone()).build().unwrap()
}

/// The same store from another process: no lock in common, no faults.
fn elsewhere(visitor: &Visitor, store: &FaultyStore) -> Visitor {
    Visitor { layer: layer_on(&store.sound()), cookie: visitor.cookie.clone() }
}

pub(crate) async fn visitor_with(store: &FaultyStore, handler: Handler) -> Visitor {
    let mut visitor = Visitor::new(&layer_on(store));
    assert_eq!(visitor.ask(handler).await.status(), 200);
    store.calls();
    visitor
}

/// `n`, all names, and the user.
pub(crate) async fn look(session: SessionContext) -> Result<String, Error> {
    let n = session.get::<u32>("n").await?.map_or("-".into(), |n| n.to_string());
    let keys = session.keys().await?.join("+");
    let user = session.user_id().await?.unwrap_or("-".into());
    Ok(format!("{n} {keys} {user}"))
}

pub(crate) const START: Handler =
    |s| Box::pin(async move { s.insert("n", &1).await.map(|()| "".into()) });
const ALICE: Handler = |s| {
    Box::pin(async move {
        s.insert("n", &1).await?;
        s.login("alice").await?;
        Ok(String::new())
    })
};
const INSERT_A: Handler =
    |s| Box::pin(async move { s.insert("a", &1).await.map(|()| "inserted".into()) });
const INSERT_B: Handler =
    |s| Box::pin(async move { s.insert("b", &1).await.map(|()| "inserted".into()) });
const INSERT_N2: Handler =
    |s| Box::pin(async move { s.insert("n", &2).await.map(|()| "inserted".into()) });
const INSERT_N3: Handler =
    |s| Box::pin(async move { s.insert("n", &3).await.map(|()| "inserted".into()) });
const COUNT: Handler = |s| {
    Box::pin(async move {
        let n = s.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).await?;
        Ok(n.to_string())
    })
};
const REMOVE_N: Handler = |s| Box::pin(async move { Ok(s.remove("n").await?.to_string()) });
const CLEAR: Handler = |s| Box::pin(async move { s.clear().await.map(|()| "cleared".into()) });
const RENEW: Handler = |s| Box::pin(async move { s.renew().await.map(|()| "renewed".into()) });
pub(crate) const LOGIN: Handler =
    |s| Box::pin(async move { s.login("alice").await.map(|()| "in".into()) });
const LOGIN_BOB: Handler = |s| Box::pin(async move { s.login("bob").await.map(|()| "in".into()) });
pub(crate) const LOGOUT: Handler =
    |s| Box::pin(async move { s.logout().await.map(|()| "out".into()) });
const PLATFORM: Handler =
    |s| Box::pin(async move { s.set_platform("p").await.map(|()| "set".into()) });

/// The first request loads and waits; the second runs whole, in the same process or in another;
/// the first does its work and ends.
async fn overlapped(
    store: &FaultyStore,
    visitor: &mut Visitor,
    first: Handler,
    second: Handler,
    other_process: bool,
) -> (Answered, Answered) {
    let mut other = if other_process { elsewhere(visitor, store) } else { visitor.clone() };
    let gate = Gate::new();
    let held = gate.clone();
    let first_done = visitor.ask(move |s| async move {
        let _ = s.keys().await?;
        held.pass().await;
        first(s).await
    });
    let second_done = async {
        gate.arrived().await;
        let answered = other.ask(second).await;
        gate.open();
        answered
    };
    let (one, two) = tokio::join!(first_done, second_done);
    // The browser has one jar: the answer that comes last counts, if it says anything.
    if one.set_cookie().is_none() {
        visitor.keep(&two);
    }
    (one, two)
}

#[tokio::test]
async fn overlapping_requests_keep_what_both_did() {
    // What the first answers, and what a visitor sees afterwards. Where the second moved or ended
    // the session, the first lost it, and its answer leaves the cookie as the second made it.
    for (name, start, first, second, status, after, sessions) in [
        ("two names", START, INSERT_A, INSERT_B, 200, "1 a+b+n -", 1),
        ("one name", START, INSERT_N2, INSERT_N3, 200, "2 n -", 1),
        ("the same value", START, INSERT_N2, INSERT_N2, 200, "2 n -", 1),
        ("two counts", START, COUNT, COUNT, 200, "3 n -", 1),
        ("count and insert", START, COUNT, INSERT_A, 200, "2 a+n -", 1),
        ("insert and count", START, INSERT_A, COUNT, 200, "2 a+n -", 1),
        ("insert over a count", START, INSERT_N3, COUNT, 200, "3 n -", 1),
        ("removal and insert", START, REMOVE_N, INSERT_A, 200, "- a -", 1),
        ("removal and the same insert", START, REMOVE_N, INSERT_N2, 200, "-  -", 0),
        ("clear and insert", START, CLEAR, INSERT_A, 200, "-  -", 0),
        ("clear of a user and insert", ALICE, CLEAR, INSERT_A, 200, "-  alice", 1),
        ("insert and removal of the rest", START, INSERT_A, REMOVE_N, 200, "-  -", 0),
        ("platform and insert", ALICE, PLATFORM, INSERT_A, 200, "1 a+n alice", 1),
        ("login and insert", START, LOGIN, INSERT_A, 200, "1 a+n alice", 1),
        ("login and count", START, LOGIN, COUNT, 200, "2 n alice", 1),
        ("login over another and insert", ALICE, LOGIN_BOB, INSERT_A, 200, "-  bob", 1),
        ("renewal and insert", START, RENEW, INSERT_A, 200, "1 a+n -", 1),
        ("insert and logout", ALICE, INSERT_A, LOGOUT, 200, "-  -", 0),
        ("count and logout", ALICE, COUNT, LOGOUT, 401, "-  -", 0),
        ("logout and insert", ALICE, LOGOUT, INSERT_A, 200, "-  -", 0),
        ("logout twice", ALICE, LOGOUT, LOGOUT, 200, "-  -", 0),
        ("clear and logout", ALICE, CLEAR, LOGOUT, 200, "-  -", 0),
        ("renewal and logout", ALICE, RENEW, LOGOUT, 200, "-  -", 0),
        ("login and logout", ALICE, LOGIN, LOGOUT, 200, "-  alice", 1),
        ("insert and renewal", START, INSERT_A, RENEW, 200, "1 n -", 1),
        ("insert and login", START, INSERT_A, LOGIN, 200, "1 n alice", 1),
        ("count and renewal", START, COUNT, RENEW, 409, "1 n -", 1),
        ("two renewals", START, RENEW, RENEW, 200, "1 n -", 1),
        // Each got in by the password: both have a session, with what there was.
        ("two logins", START, LOGIN, LOGIN, 200, "1 n alice", 2),
        ("logins of two", START, LOGIN_BOB, LOGIN, 200, "1 n bob", 2),
        ("logins of two over one", ALICE, LOGIN_BOB, LOGIN, 200, "-  bob", 2),
    ] {
        for other_process in [false, true] {
            let at = format!("{name}, another process: {other_process}");
            let clock = ManualClock::new();
            let store = FaultyStore::with_clock(&clock);
            let mut visitor = visitor_with(&store, start).await;
            let old = visitor.clone();
            let user = old.clone().ask(look).await.text().to_owned();
            let user = user.rsplit(' ').next().unwrap().to_owned();
            let (one, two) = overlapped(&store, &mut visitor, first, second, other_process).await;
            assert_eq!(two.status(), 200, "{at}");
            assert_eq!(one.status(), status, "{at}");
            assert_eq!(visitor.ask(look).await.text(), after, "{at}");
            assert_eq!(store.len(), sessions, "{at}: sessions");
            let mut old = old;
            let moved = visitor.cookie != old.cookie;
            if moved {
                // For a while it reads what was before the move, if the session lives on.
                let seen = old.ask(look).await.text().to_owned();
                let before = sessions > 0 && seen.ends_with(&user);
                assert!(before || seen == "-  -", "{at}: the old cookie reads {seen}");
                clock.advance(Duration::from_secs(10));
                assert_eq!(old.ask(look).await.text(), "-  -", "{at}: the old cookie, later");
            }
        }
    }
}

#[tokio::test]
async fn emptying_a_session_loses_nothing_that_another_request_stored() {
    for other_process in [false, true] {
        let store = FaultyStore::new();
        let mut visitor = visitor_with(&store, START).await;
        let (one, two) = overlapped(&store, &mut visitor, REMOVE_N, INSERT_A, other_process).await;
        assert_eq!((one.text(), two.text()), ("true", "inserted"));
        assert_eq!(one.set_cookie(), None, "the session goes on");
        assert_eq!(visitor.ask(look).await.text(), "- a -");
    }
}

#[tokio::test]
async fn many_counts_at_once_are_all_counted() {
    const PROCESSES: usize = 4;
    const EACH: usize = 16;
    let store = FaultyStore::new();
    store.yields(true);
    let visitor = visitor_with(&store, START).await;
    let layers: Vec<_> = (0..PROCESSES).map(|_| layer_on(&store)).collect();
    let requests = layers.iter().flat_map(|layer| {
        let visitor = Visitor { layer: layer.clone(), cookie: visitor.cookie.clone() };
        std::iter::repeat_n(visitor, EACH)
    });
    let answers = futures_util::future::join_all(requests.map(|mut visitor| async move {
        let answered = visitor.ask(COUNT).await;
        assert_eq!(answered.status(), 200);
        answered.text().parse::<u32>().unwrap()
    }));
    let mut seen = answers.await;
    seen.sort_unstable();
    let all: Vec<u32> = (2..=1 + (PROCESSES * EACH) as u32).collect();
    assert_eq!(seen, all, "every one saw a number of its own");
}

#[tokio::test]
async fn many_inserts_at_once_are_all_kept() {
    let store = FaultyStore::new();
    store.yields(true);
    let visitor = visitor_with(&store, START).await;
    let layers = [layer_on(&store), layer_on(&store)];
    let requests = (0..32).map(|number| {
        let layer = layers[number % 2].clone();
        let mut visitor = Visitor { layer, cookie: visitor.cookie.clone() };
        async move {
            let name = format!("name-{number:02}");
            let insert =
                visitor.ask(|s| async move { s.insert(&name, &number).await.map(|()| "".into()) });
            assert_eq!(insert.await.status(), 200);
        }
    });
    futures_util::future::join_all(requests).await;
    let mut visitor = visitor;
    let names = visitor.ask(|s| async move { Ok(s.keys().await?.len().to_string()) }).await;
    assert_eq!(names.text(), "33");
}

#[tokio::test]
async fn a_request_that_overlaps_a_logout_is_told_at_its_next_question() {
    let store = FaultyStore::new();
    let mut visitor = visitor_with(&store, ALICE).await;
    let asks: Handler = |s| {
        Box::pin(async move {
            assert_eq!(s.user_id().await?.as_deref(), Some("alice"), "as it was loaded");
            let error = s.validate().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Absent);
            Ok(s.user_id().await?.unwrap_or("-".into()))
        })
    };
    let (one, _) = overlapped(&store, &mut visitor, asks, LOGOUT, true).await;
    assert_eq!(one.text(), "-");
}

/// What may happen to one write, until it is known.
const LOST: &[(&str, &[Fault])] = &[
    ("it happened", &[Fault::UnknownAfter]),
    ("it did not", &[Fault::Unknown]),
    ("it happens before it is repeated", &[Fault::UnknownLate, Fault::LandsFirst]),
    ("it happens after it was repeated", &[Fault::UnknownLate]),
    ("it happened, and the repetition fails", &[Fault::UnknownAfter, Fault::Fails]),
    ("it did not, and the repetition fails", &[Fault::Unknown, Fault::Fails]),
    ("two are lost and both are late", &[Fault::UnknownLate, Fault::UnknownLate]),
];

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_is_lost_is_done_once() {
    // The call that each makes, what a visitor sees when it was done, and how many sessions live.
    for (name, start, op, handler, after, sessions) in [
        ("insert", START, Op::Save, INSERT_A, "1 a+n -", 1),
        ("count", START, Op::Save, COUNT, "2 n -", 1),
        ("login", START, Op::Renew, LOGIN, "1 n alice", 1),
        ("renewal", START, Op::Renew, RENEW, "1 n -", 1),
        ("clear", START, Op::DeleteIf, CLEAR, "-  -", 0),
    ] {
        for (fault, faults) in LOST {
            let at = format!("{name}: {fault}");
            let store = FaultyStore::new();
            let mut visitor = visitor_with(&store, start).await;
            for fault in *faults {
                store.fault(op, fault.clone());
            }
            assert_eq!(visitor.ask(handler).await.status(), 200, "{at}");
            assert_eq!(visitor.ask(look).await.text(), after, "{at}");
            assert_eq!(store.len(), sessions, "{at}");
            store.land().await;
            assert_eq!(visitor.ask(look).await.text(), after, "{at}, late writes landed");
            assert_eq!(store.len(), sessions, "{at}, late writes landed");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_write_whose_answer_is_lost_gets_a_fresh_id() {
    for (fault, faults, tries) in [
        ("it happened", vec![Fault::UnknownAfter], 2),
        ("it did not", vec![Fault::Unknown], 2),
        ("it happens later", vec![Fault::UnknownLate], 2),
        ("twice", vec![Fault::UnknownLate, Fault::UnknownAfter], 3),
    ] {
        let store = FaultyStore::new();
        for fault in faults {
            store.fault(Op::Create, fault);
        }
        let visitor = visitor_after_create(&store, tries, fault).await;
        store.land().await;
        let mut visitor = visitor;
        assert_eq!(visitor.ask(look).await.text(), "1 n -", "{fault}");
    }
}

async fn visitor_after_create(store: &FaultyStore, tries: usize, at: &str) -> Visitor {
    let mut visitor = Visitor::new(&layer_on(store));
    assert_eq!(visitor.ask(START).await.status(), 200, "{at}");
    let creates = store.calls().iter().filter(|op| **op == Op::Create).count();
    assert_eq!(creates, tries, "{at}");
    visitor
}

#[tokio::test(start_paused = true)]
async fn a_first_write_that_is_never_confirmed_is_503_without_a_cookie() {
    let store = FaultyStore::new();
    for _ in 0..20 {
        store.fault(Op::Create, Fault::UnknownLate);
    }
    let mut visitor = Visitor::new(&layer_on(&store));
    let answered = visitor.ask(START).await;
    assert_eq!(answered.status(), 503);
    assert_eq!(answered.head.headers["retry-after"], "1");
    assert_eq!(answered.set_cookie(), None);
    assert!(store.faults_left() > 0, "tries are bounded");
}

/// The store answers Unknown for as long as the layer asks. Then it is 503, and what is stored is
/// the old or the new, never more.
#[tokio::test(start_paused = true)]
async fn a_write_that_is_never_confirmed_is_503_and_counted_at_most_once() {
    for (name, fault, lands, after) in [
        ("never happens", Fault::Unknown, false, "1 n -"),
        ("happens late", Fault::UnknownLate, true, "2 n -"),
    ] {
        let store = FaultyStore::new();
        let mut visitor = visitor_with(&store, START).await;
        for _ in 0..50 {
            store.fault(Op::Save, fault.clone());
        }
        let answered = visitor.ask(COUNT).await;
        assert_eq!((answered.status(), answered.set_cookie()), (503, None), "{name}");
        assert!(store.faults_left() > 0, "{name}: tries are bounded");
        if lands {
            store.land().await;
        }
        let mut other = elsewhere(&visitor, &store);
        assert_eq!(other.ask(look).await.text(), after, "{name}");
    }
}

/// While an answer is lost somebody else writes over what may have been stored. Nobody can tell
/// then, so it is 503; and both counts are there at most once each.
#[tokio::test(start_paused = true)]
async fn a_lost_answer_under_another_writer_is_not_guessed() {
    for (name, fault, status, after) in [
        ("it happened", Fault::UnknownAfter, 503, "3 n -"),
        ("it did not", Fault::Unknown, 503, "2 n -"),
    ] {
        let store = FaultyStore::new();
        let mut visitor = visitor_with(&store, START).await;
        let mut other = elsewhere(&visitor, &store);
        visitor.ask(look).await;
        store.fault(Op::Save, fault);
        // The load of the request itself comes first; the second asks what became of the write.
        store.fault(Op::Load, Fault::LandsFirst);
        let gate = store.hold(Op::Load);
        let counted = visitor.ask(COUNT);
        let meanwhile = async {
            gate.arrived().await;
            assert_eq!(other.ask(COUNT).await.status(), 200, "{name}");
            gate.open();
        };
        let (counted, ()) = tokio::join!(counted, meanwhile);
        assert_eq!(counted.status(), status, "{name}");
        assert_eq!(visitor.ask(look).await.text(), after, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_logout_whose_answer_is_lost_is_repeated_until_it_is_known() {
    for (name, faults, status, sessions) in [
        ("it happened", vec![Fault::FailsAfter], 200, 0),
        ("it did not", vec![Fault::Fails], 200, 0),
        ("never confirmed", vec![Fault::Fails; 50], 503, 1),
        ("happened, never confirmed", vec![Fault::FailsAfter; 50], 503, 0),
    ] {
        let store = FaultyStore::new();
        let mut visitor = visitor_with(&store, ALICE).await;
        for fault in faults {
            store.fault(Op::Delete, fault);
        }
        let goes_on: Handler = |s| {
            Box::pin(async move {
                let _ = s.logout().await;
                Ok("out".into())
            })
        };
        let answered = visitor.ask(goes_on).await;
        assert_eq!(answered.status(), status, "{name}");
        assert_eq!(answered.set_cookie().is_some(), status == 200, "{name}");
        assert_eq!(store.len(), sessions, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_503_and_takes_no_cookie() {
    /// Of the layer, and not of the handler.
    const REPLACED: &str = "Service Unavailable\n";
    for (name, op, handler, text) in [
        ("load", Op::Load, INSERT_A, "Unavailable"),
        ("save", Op::Save, INSERT_A, REPLACED),
        ("update", Op::Save, COUNT, "Unavailable"),
        ("renewal", Op::Renew, LOGIN, REPLACED),
        ("delete", Op::DeleteIf, CLEAR, REPLACED),
    ] {
        let store = FaultyStore::new();
        let mut visitor = visitor_with(&store, START).await;
        store.fault(op, Fault::Fails);
        let answered = visitor.ask(handler).await;
        assert_eq!((answered.status(), answered.text()), (503, text), "{name}");
        assert_eq!(answered.head.headers["retry-after"], "1", "{name}");
        assert_eq!(answered.set_cookie(), None, "{name}");
        assert_eq!(visitor.ask(look).await.text(), "1 n -", "{name}");
    }
}
