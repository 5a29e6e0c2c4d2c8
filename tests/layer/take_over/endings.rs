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

/// An old session may be older than any claim: 90 days are usual.
#[tokio::test]
async fn a_user_stays_barred_for_longer_than_claims_are_kept() {
    let clock = ManualClock::new();
    let (store, shelf) = (FaultyStore::with_clock(&clock), Shelf::new());
    let layer = instance(store, &shelf);
    let _ = layer.admin().revoke_all("alice").await.unwrap();
    for days in [61, 400] {
        clock.advance(Duration::from_secs(days * 86_400));
        // The memory store forgets what is over at every 1,024th write.
        for other in 0..1_024 {
            let _ = layer.admin().revoke_all(&format!("user {other}")).await.unwrap();
        }
        assert!(ask(&layer, &old(), user).await.is_rejected(), "{days}");
    }
}

/// Clients invent ids of a plain cookie.
#[tokio::test]
async fn a_logout_and_a_sign_in_with_an_invented_old_cookie_store_no_claim() {
    let login = async |s: SessionContext| s.login("eve").await.map(|()| String::new());
    let (store, shelf) = (FaultyStore::new(), Shelf::new());
    let layer = instance(store.clone(), &shelf);
    let invented = format!("session={}", "i".repeat(43));
    assert!(ask(&layer, &invented, logout).await.removes_old);
    assert_eq!(store.len(), 0);
    assert!(ask(&layer, &invented, login).await.removes_old);
    assert_eq!(store.len(), 1, "the session");
    // One that may be there.
    shelf.fails(true);
    assert_eq!(ask(&layer, &old(), logout).await.text, "bye");
    assert_eq!(store.len(), 2);
    shelf.fails(false);
    assert!(ask(&layer, &old(), user).await.is_rejected());
}

/// The take-over is held at each place while the handler's other half logs out.
#[tokio::test]
async fn a_logout_beside_an_update_ends_what_the_update_takes_over() {
    let places: [(Op, Held); 4] = [
        (Op::Create, Fault::Before),
        (Op::Login, Fault::Before),
        (Op::Login, Fault::After),
        (Op::Save, Fault::After),
    ];
    for (op, held) in places {
        let (store, shelf) = (FaultyStore::new(), Shelf::new());
        let [layer, other] = [instance(store.clone(), &shelf), instance(store.sound(), &shelf)];
        let gate = Gate::new();
        store.fault(op, held(gate.clone()));
        let both = async |s: SessionContext| {
            let update = s.update("visits", |visits: Option<u32>| visits.unwrap_or(0) + 1);
            let end = async {
                gate.arrived().await;
                // The logout begins before the take-over goes on.
                let (ended, ()) = tokio::join!(s.logout(), async { gate.open() });
                ended
            };
            let (_, ended) = tokio::join!(update, end);
            ended.map(|()| "bye".into())
        };
        let answer = ask(&layer, &old(), both).await;
        assert!(answer.text == "bye" && answer.new.is_none(), "{op:?}: {answer:?}");
        assert_eq!(sessions(&other).await, 0, "{op:?}");
        shelf.put(OLD, ALICE);
        assert!(ask(&other, &old(), user).await.is_rejected(), "{op:?}");
    }
}

#[tokio::test]
async fn a_logout_that_failed_ends_the_new_session_when_it_is_repeated() {
    let (store, shelf) = (FaultyStore::new(), Shelf::new());
    let layer = instance(store.clone(), &shelf);
    let new = ask(&layer, &old(), user).await.taken_over();
    store.fault(Op::Delete, Fault::Fails);
    let twice = async |s: SessionContext| {
        assert!(s.logout().await.is_err());
        logout(s).await
    };
    assert_eq!(ask(&layer, &old(), twice).await.text, "bye");
    assert_eq!((ask(&layer, &new, user).await.text.as_str(), sessions(&layer).await), ("-", 0));
}

#[tokio::test]
async fn an_update_after_a_logout_that_failed_is_stored() {
    let (store, shelf) = (FaultyStore::new(), Shelf::new());
    let layer = instance(store.clone(), &shelf);
    store.fault(Op::Load, Fault::Fails);
    let update = async |s: SessionContext| {
        assert!(s.logout().await.is_err());
        let visits = s.update("visits", |visits: Option<u32>| visits.unwrap_or(0) + 1).await?;
        Ok(visits.to_string())
    };
    let answer = ask(&layer, &old(), update).await;
    assert!(answer.text == "1" && answer.removes_old, "{answer:?}");
    let visits = async |s: SessionContext| Ok(format!("{:?}", s.get::<u32>("visits").await?));
    assert_eq!(ask(&layer, &answer.new.unwrap(), visits).await.text, "Some(1)");
}
