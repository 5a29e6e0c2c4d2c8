//! Two first requests in every order, by gates: the rows of the table in `docs/import.md`.

use test_support::{eventually, faulty_store::Op};

use super::*;

/// Where a first request is held: before or after one of its calls.
fn places() -> [(&'static str, Op, Held); 7] {
    [
        ("before it reads the claim", Op::Load, Fault::Before),
        ("before it claims", Op::Create, Fault::Before),
        ("after it has claimed", Op::Create, Fault::After),
        ("before it creates the session", Op::Login, Fault::Before),
        ("after it has created the session", Op::Login, Fault::After),
        ("before it confirms", Op::Save, Fault::Before),
        ("after it has confirmed", Op::Save, Fault::After),
    ]
}

/// Rows 1 to 3 and 13.
#[tokio::test]
async fn a_second_first_request_is_served_with_the_same_session_wherever_the_first_is() {
    for (place, op, held) in places() {
        let (store, shelf) = (FaultyStore::new(), Shelf::new());
        let [one, other] = [(); 2].map(|()| instance(store.clone(), &shelf));
        let gate = Gate::new();
        store.fault(op, held(gate.clone()));
        let first = spawn(&one, &old());
        gate.arrived().await;
        let _ = store.calls();
        let second = spawn(&other, &old());
        eventually("the second reads the claim", async || store.calls().contains(&Op::Load)).await;
        if place.contains("before it claims") || place.contains("reads the claim") {
            eventually("the second is first", async || second.is_finished()).await;
        }
        gate.open();
        let (first, second) = (first.await.unwrap(), second.await.unwrap());
        assert_eq!(first.clone().taken_over(), second.taken_over(), "{place}");
        assert_eq!(sessions(&one).await, 1, "{place}");
        assert_eq!(ask(&other, &first.new.unwrap(), user).await.text, "alice", "{place}");
    }
}

#[tokio::test]
async fn an_old_session_that_another_request_has_deleted_is_found_by_its_claim() {
    let (store, shelf) = (FaultyStore::new(), Shelf::new());
    let [one, other] = [instance(store.clone(), &shelf), instance(store.sound(), &shelf)];
    // It has read twice that there is no claim, the second time in its turn.
    let (open, gate) = (Gate::new(), Gate::new());
    open.open();
    store.fault(Op::Load, Fault::Before(open));
    store.fault(Op::Load, Fault::After(gate.clone()));
    let late = spawn(&one, &old());
    gate.arrived().await;
    let new = ask(&other, &old(), user).await.taken_over();
    other.shutdown().await;
    assert!(shelf.is_empty());
    gate.open();
    assert_eq!(late.await.unwrap().taken_over(), new);
}

/// Rows 6 to 9: the first is slow, or its process has ended, while it holds the claim.
#[tokio::test]
async fn an_abandoned_claim_is_taken_over_under_another_token_and_the_first_comes_too_late() {
    for (place, op, held) in places().into_iter().skip(2).take(4) {
        for goes_on in [true, false] {
            let clock = ManualClock::new();
            let (store, shelf) = (FaultyStore::with_clock(&clock), Shelf::new());
            let one = instance(store.clone(), &shelf);
            let second = Duration::from_secs(1);
            let other = configured(store.sound(), &shelf, |builder| builder.budget(second));
            let gate = Gate::new();
            store.fault(op, held(gate.clone()));
            let first = spawn(&one, &old());
            gate.arrived().await;
            // In the first seconds it is unknown whether the first will finish.
            let impatient = configured(store.sound(), &shelf, |builder| {
                builder.budget(Duration::from_millis(20))
            });
            let answer = ask(&impatient, &old(), user).await;
            assert!(answer.is_failure(), "{place}: {answer:?}");
            impatient.shutdown().await;

            clock.advance(2 * second);
            let new = ask(&other, &old(), user).await.taken_over();
            if goes_on {
                gate.open();
                assert_eq!(first.await.unwrap().taken_over(), new, "{place}");
                assert_eq!(sessions(&one).await, 1, "{place}: the first deletes what it created");
            }
            assert_eq!(ask(&other, &new, user).await.text, "alice", "{place}");
        }
    }
}

/// Row 5, and a client that hangs up: what its request has begun is completed.
#[tokio::test]
async fn a_client_that_hangs_up_delays_no_other_request() {
    for (place, op, held) in places() {
        let (store, shelf) = (FaultyStore::new(), Shelf::new());
        let [one, other] = [(); 2].map(|()| instance(store.clone(), &shelf));
        let gate = Gate::new();
        store.fault(op, held(gate.clone()));
        let first = spawn(&one, &old());
        gate.arrived().await;
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        gate.open();
        let started = tokio::time::Instant::now();
        let new = ask(&other, &old(), user).await.taken_over();
        assert!(started.elapsed() < Duration::from_secs(5), "{place}: {:?}", started.elapsed());
        assert_eq!(ask(&one, &old(), user).await.taken_over(), new, "{place}");
        one.shutdown().await;
        assert_eq!(sessions(&other).await, 1, "{place}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_first_requests_on_two_instances_are_one_session() {
    let (store, shelf) = (FaultyStore::new(), Shelf::new());
    store.yields(true);
    let instances = [(); 2].map(|()| instance(store.clone(), &shelf));
    let all: Vec<_> = (0..100).map(|at| spawn(&instances[at % 2], &old())).collect();
    let mut cookies = std::collections::BTreeSet::new();
    for one in all {
        let _ = cookies.insert(one.await.unwrap().taken_over());
    }
    assert_eq!((cookies.len(), sessions(&instances[0]).await), (1, 1));
    assert!(shelf.reads() <= 2, "one request of each instance reads the old session");
}

/// Row 23.
#[tokio::test]
async fn a_key_is_changed_during_a_deployment_without_a_sign_out() {
    let keys = |keys: &[[u8; 32]]| {
        let keys = keys.to_vec();
        move |store: &FaultyStore, shelf: &Shelf| {
            let import = TakeOver::new(importer(), shelf.clone());
            let import = keys.iter().fold(import, |import, key| import.take_over_key(key));
            RedisSessionLayer::builder(store.clone()).import(import).build().unwrap()
        }
    };
    let (store, shelf) = (FaultyStore::new(), Shelf::new());
    let [before, during, after] =
        [keys(&[KEY]), keys(&[[8; 32], KEY]), keys(&[[8; 32]])].map(|new| new(&store, &shelf));
    let new = ask(&before, &old(), user).await.taken_over();
    assert_eq!(ask(&during, &old(), user).await.taken_over(), new);
    let answer = ask(&after, &old(), user).await;
    assert!(answer.is_failure(), "{answer:?}");
    assert_eq!(ask(&after, &new, user).await.text, "alice", "the session does not depend on it");
}
