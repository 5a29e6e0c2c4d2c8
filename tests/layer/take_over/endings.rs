//! What has ended stays ended, whichever cookie comes back.

use test_support::faulty_store::Op;

use super::*;

/// Rows 11, 12 and 13.
#[tokio::test]
async fn after_a_logout_the_old_cookie_opens_nothing_also_within_the_grace() {
    let (store, shelf) = (FaultyStore::new(), Shelf::new());
    let layer = instance(store.clone(), &shelf);
    let new = ask(&layer, &old(), user).await.taken_over();
    assert_eq!(ask(&layer, &new, logout).await.text, "bye");
    shelf.put(OLD, ALICE);
    assert!(ask(&layer, &old(), user).await.is_rejected());
    assert_eq!(sessions(&layer).await, 0);
}

#[tokio::test]
async fn a_request_with_the_old_cookie_that_is_slower_than_the_logout_opens_nothing() {
    // The loads of a first request: twice the claim, then the bar; of a second one the claim, then
    // the session.
    for (first_is_done, loads) in [(false, 1), (false, 2), (false, 3), (true, 1), (true, 2)] {
        let (store, shelf) = (FaultyStore::new(), Shelf::new());
        let [slow, other] = [instance(store.clone(), &shelf), instance(store.sound(), &shelf)];
        let earlier = match first_is_done {
            true => Some(ask(&other, &old(), user).await.taken_over()),
            false => None,
        };
        let gate = Gate::new();
        for load in 1..=loads {
            // An open gate, to count.
            let passed = if load == loads { gate.clone() } else { Gate::new() };
            if load < loads {
                passed.open();
            }
            store.fault(Op::Load, Fault::After(passed));
        }
        let late = spawn(&slow, &old());
        gate.arrived().await;
        let new = match earlier {
            Some(new) => new,
            None => ask(&other, &old(), user).await.taken_over(),
        };
        assert_eq!(ask(&other, &new, logout).await.text, "bye");
        shelf.put(OLD, ALICE);
        gate.open();
        let answer = late.await.unwrap();
        // What was loaded before the logout is what any request has read that was faster.
        let read_before = first_is_done && loads == 2;
        assert!(answer.is_rejected() || read_before, "load {loads}: {answer:?}");
        assert_eq!(sessions(&other).await, 0, "load {loads}");
    }
}

/// A logout in the first request itself, with and without a look at the session before.
#[tokio::test]
async fn a_logout_with_the_old_cookie_alone_ends_the_old_session() {
    let looks_first = async |s: SessionContext| {
        assert_eq!(s.user_id().await?.as_deref(), Some("alice"));
        logout(s).await
    };
    for looks in [true, false] {
        let (store, shelf) = (FaultyStore::new(), Shelf::new());
        let layer = instance(store.clone(), &shelf);
        let answer = match looks {
            true => ask(&layer, &old(), looks_first).await,
            false => ask(&layer, &old(), logout).await,
        };
        assert!(answer.text == "bye" && answer.removes_old && answer.new.is_none(), "{answer:?}");
        shelf.put(OLD, ALICE);
        assert!(ask(&layer, &old(), user).await.is_rejected(), "looks first: {looks}");
        assert_eq!(sessions(&layer).await, 0);
    }
}

/// Rows 14 to 16: at each place of a first request.
#[tokio::test]
async fn after_revoke_all_no_old_session_of_the_user_opens_one() {
    let places: [(&str, Option<(Op, Held)>); 7] = [
        ("before the request", None),
        ("after it has read the epoch", Some((Op::Load, Fault::After))),
        ("before it claims", Some((Op::Create, Fault::Before))),
        ("before it creates the session", Some((Op::Login, Fault::Before))),
        ("after it has created the session", Some((Op::Login, Fault::After))),
        ("before it confirms", Some((Op::Save, Fault::Before))),
        ("after it has confirmed", Some((Op::Save, Fault::After))),
    ];
    for (place, held) in places {
        let (store, shelf) = (FaultyStore::new(), Shelf::new());
        let [one, other] = [instance(store.clone(), &shelf), instance(store.sound(), &shelf)];
        let gate = Gate::new();
        if let Some((op, fault)) = held {
            if op == Op::Load {
                // The first two load the claim, the third the bar.
                for _ in 0..2 {
                    let open = Gate::new();
                    open.open();
                    store.fault(op, Fault::Before(open));
                }
            }
            store.fault(op, fault(gate.clone()));
            let first = spawn(&one, &old());
            gate.arrived().await;
            let _ = other.admin().revoke_all("alice").await.unwrap();
            gate.open();
            let answer = first.await.unwrap();
            if let Some(new) = &answer.new {
                assert_eq!(ask(&one, new, user).await.text, "-", "{place}");
            }
        } else {
            let _ = other.admin().revoke_all("alice").await.unwrap();
        }
        shelf.put(OLD, ALICE);
        let answer = ask(&one, &old(), user).await;
        assert!(answer.is_rejected(), "{place}: {answer:?}");
        assert_eq!(sessions(&one).await, 0, "{place}");
        // Other users are not affected.
        shelf.put(&"b".repeat(43), r#"{"user_id": "bob"}"#);
        let bob = ask(&one, &format!("session={}", "b".repeat(43)), user).await;
        assert_eq!(bob.text, "bob", "{place}");
    }
}

/// The revocation is held before it has written the bar: had it raised the epoch first, a request
/// in between would read the new epoch, and no bar.
#[tokio::test]
async fn a_request_between_the_steps_of_a_revocation_is_revoked() {
    let (store, shelf) = (FaultyStore::new(), Shelf::new());
    let [revokes, other] = [instance(store.clone(), &shelf), instance(store.sound(), &shelf)];
    let gate = store.hold(Op::Create);
    let revocation = tokio::spawn(async move { revokes.admin().revoke_all("alice").await });
    gate.arrived().await;
    let answer = ask(&other, &old(), user).await;
    gate.open();
    let _ = revocation.await.unwrap().unwrap();
    for cookie in answer.new.into_iter().chain([old()]) {
        assert_eq!(ask(&other, &cookie, user).await.text, "-");
    }
    assert_eq!(sessions(&other).await, 0);
}

#[tokio::test]
async fn a_user_who_ends_the_other_sessions_bars_the_old_ones_of_other_devices() {
    let (store, shelf) = (FaultyStore::new(), Shelf::new());
    let layer = instance(store, &shelf);
    let phone = "p".repeat(43);
    shelf.put(&phone, ALICE);
    let new = ask(&layer, &old(), user).await.taken_over();
    let others = async |s: SessionContext| Ok(s.revoke_others().await?.to_string());
    assert_eq!(ask(&layer, &new, others).await.text, "0");
    assert!(ask(&layer, &format!("session={phone}"), user).await.is_rejected());
    assert_eq!(ask(&layer, &new, user).await.text, "alice");
}
