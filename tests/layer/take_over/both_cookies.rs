//! Cookies of both libraries in one request, and several of the old one.

use tower_redis_session::{
    Timestamp,
    import::{OldSession, OldSessions, StoredSession},
    store::StoreFuture,
};

use super::*;

/// A session of bob, by our own sign-in.
async fn bob(layer: &RedisSessionLayer) -> String {
    let login = async |s: SessionContext| s.login("bob").await.map(|()| String::new());
    ask(layer, "", login).await.new.unwrap()
}

/// Row 25.
#[tokio::test]
async fn a_session_of_ours_counts_and_the_old_cookie_is_removed() {
    let (store, shelf) = (FaultyStore::new(), Shelf::new());
    let layer = instance(store, &shelf);
    let both = format!("{}; {}", old(), bob(&layer).await);
    let answer = ask(&layer, &both, user).await;
    assert!(answer.text == "bob" && answer.removes_old && answer.new.is_none(), "{answer:?}");
    assert_eq!(shelf.reads(), 0);
}

/// After a return to the old service and back.
#[tokio::test]
async fn where_our_cookie_opens_no_session_the_old_one_is_taken_over() {
    let clock = ManualClock::new();
    let (store, shelf) = (FaultyStore::with_clock(&clock), Shelf::new());
    let layer = instance(store, &shelf);
    let expired = bob(&layer).await;
    clock.advance(Duration::from_secs(2 * 86_400));
    for ours in [expired, format!("{NEW}={}", "A".repeat(43))] {
        shelf.put(OLD, ALICE);
        let new = ask(&layer, &format!("{ours}; {}", old()), user).await.taken_over();
        assert_ne!(new, ours);
    }
}

/// Row 26.
#[tokio::test]
async fn a_sign_in_and_a_logout_close_the_old_session_too() {
    let login = async |s: SessionContext| s.login("eve").await.map(|()| String::new());
    for signs_in in [true, false] {
        let (store, shelf) = (FaultyStore::new(), Shelf::new());
        let layer = instance(store, &shelf);
        let both = format!("{}; {}", bob(&layer).await, old());
        let answer = match signs_in {
            true => ask(&layer, &both, login).await,
            false => ask(&layer, &both, logout).await,
        };
        assert!(answer.removes_old && answer.new.is_some() == signs_in, "{answer:?}");
        layer.shutdown().await;
        assert!(shelf.is_empty());
        shelf.put(OLD, ALICE);
        assert!(ask(&layer, &old(), user).await.is_rejected(), "sign-in: {signs_in}");
    }
}

/// Row 24.
#[tokio::test]
async fn of_several_old_sessions_none_is_taken_over_and_of_several_cookies_the_one_that_opens() {
    let (store, shelf) = (FaultyStore::new(), Shelf::new());
    let layer = instance(store, &shelf);
    let second = "s".repeat(43);
    let both = format!("session={second}; {}", old());
    // The other cookie opens nothing.
    assert_eq!(ask(&layer, &both, user).await.text, "alice");

    let (store, shelf) = (FaultyStore::new(), Shelf::new());
    let layer = instance(store, &shelf);
    shelf.put(&second, r#"{"user_id": "bob"}"#);
    let answer = ask(&layer, &both, user).await;
    assert!(answer.text == "-" && answer.new.is_none() && !answer.removes_old, "{answer:?}");
    assert_eq!(layer.admin().report().count("ambiguous"), Some(1));
    // A logout ends both.
    assert!(ask(&layer, &both, logout).await.removes_old);
    for cookie in [old(), format!("session={second}")] {
        assert!(ask(&layer, &cookie, user).await.is_rejected());
    }
}

/// The sessions of a shelf, of which all but alice's have expired.
struct Expired(Shelf);

impl OldSessions for Expired {
    fn load<'a>(&'a self, old: &'a OldSession) -> StoreFuture<'a, Option<StoredSession>> {
        Box::pin(async move {
            let found = self.0.load(old).await?;
            let past = Timestamp::from_millis(1);
            Ok(found.map(|found| if old.id() == OLD { found } else { found.expires(past) }))
        })
    }

    fn delete<'a>(&'a self, old: &'a OldSession) -> StoreFuture<'a, ()> {
        self.0.delete(old)
    }
}

#[tokio::test]
async fn an_expired_second_old_session_does_not_count() {
    let (shelf, second) = (Shelf::new(), "s".repeat(43));
    shelf.put(&second, r#"{"user_id": "bob"}"#);
    let import = TakeOver::new(importer(), Expired(shelf)).take_over_key(KEY);
    let layer = RedisSessionLayer::builder(FaultyStore::new()).import(import).build().unwrap();
    ask(&layer, &format!("session={second}; {}", old()), user).await.taken_over();
}
