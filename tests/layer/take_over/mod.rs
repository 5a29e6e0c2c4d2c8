//! Sessions of another library are taken over at the first request with their cookie: once, by
//! whichever requests come first, and never again.
//!
//! To see these fail: in `request/take_over/steps.rs` keep the nonce of an abandoned claim, send the
//! token without the `Done` of step 6, read the bar before the epoch, leave the grace or the time of
//! an abandoned claim out; in `take_over.rs` let the two cookies of a request count in the other
//! order, do not carry the work, do not close at a logout; write the epoch before the bar, or keep
//! the bar for as long as a claim; in `create.rs` leave the stamp out;
//! in `forget_old` log each failure alike.

use std::time::Duration;

use test_support::{
    COOKIE as NEW,
    faulty_store::{Fault, FaultyStore, Gate},
    take_over::{ALICE, Answer, KEY, OLD, Shelf, ask, importer, logout, old, user},
};
use tower_redis_session::{
    CookieConfig, Error, RedisSessionLayer, RedisSessionLayerBuilder, SessionContext,
    clock::ManualClock, import::TakeOver, store::UserStore,
};

/// Each way in which two cookies, a logout, a revocation or a failure meet a take-over.
mod both_cookies;
mod endings;
mod failures;
mod interleavings;
mod settings;
mod stamp;

const GRACE: Duration = Duration::from_secs(60);

/// How a call is held: before or after its work.
type Held = fn(Gate) -> Fault;

fn import(shelf: &Shelf) -> TakeOver {
    TakeOver::new(importer(), shelf.clone()).take_over_key(KEY)
}

/// An instance of the service.
fn instance(store: impl UserStore, shelf: &Shelf) -> RedisSessionLayer {
    configured(store, shelf, |builder| builder)
}

fn configured(
    store: impl UserStore,
    shelf: &Shelf,
    change: impl FnOnce(RedisSessionLayerBuilder) -> RedisSessionLayerBuilder,
) -> RedisSessionLayer {
    let builder = RedisSessionLayer::builder(store).import(import(shelf));
    change(builder.budget(Duration::from_secs(15))).build().unwrap()
}

/// A request in a task of its own.
fn spawn(layer: &RedisSessionLayer, cookie: &str) -> tokio::task::JoinHandle<Answer> {
    let (layer, cookie) = (layer.clone(), cookie.to_owned());
    tokio::spawn(async move { ask(&layer, &cookie, user).await })
}

async fn sessions(layer: &RedisSessionLayer) -> usize {
    layer.admin().sessions_of("alice").await.unwrap().len()
}

#[tokio::test]
async fn an_old_session_becomes_one_of_ours_and_its_cookie_opens_nothing_more() {
    let clock = ManualClock::new();
    let (store, shelf) = (FaultyStore::with_clock(&clock), Shelf::new());
    let layer = instance(store.clone(), &shelf);
    let mut events = layer.admin().events();
    let new = ask(&layer, &old(), user).await.taken_over();
    let imported = serde_json::to_value(events.next().await.unwrap()).unwrap();
    assert_eq!((&imported["event"], &imported["user"]), (&"imported".into(), &"alice".into()));
    assert_eq!(imported["format"], "flask_session");

    let _ = store.calls();
    let reads = shelf.reads();
    let visits = async |s: SessionContext| {
        assert_eq!(s.authenticated_at().await?, None, "when the user signed in is unknown");
        Ok(s.get::<u32>("visits").await?.unwrap().to_string())
    };
    let answer = ask(&layer, &new, visits).await;
    assert!(answer.text == "3" && answer.new.is_none() && !answer.removes_old, "{answer:?}");
    assert_eq!((store.calls().len(), shelf.reads()), (1, reads), "a cookie of ours costs no more");

    // A response that was lost: the same cookie, for as long as the grace is.
    clock.advance(GRACE - Duration::from_secs(1));
    assert_eq!(ask(&layer, &old(), user).await.taken_over(), new);
    // An old instance writes the key again.
    layer.shutdown().await;
    assert!(shelf.is_empty(), "the old session is deleted");
    shelf.put(OLD, ALICE);
    clock.advance(Duration::from_secs(1));
    for layer in [&layer, &instance(store.clone(), &shelf)] {
        assert!(ask(layer, &old(), user).await.is_rejected());
    }
    assert_eq!(ask(&layer, &new, user).await.text, "alice");
    assert_eq!((sessions(&layer).await, layer.admin().report().count("imported")), (1, Some(1)));
}

#[tokio::test]
async fn a_request_that_does_not_ask_for_its_session_changes_nothing() {
    let (store, shelf) = (FaultyStore::new(), Shelf::new());
    let layer = instance(store.clone(), &shelf);
    let answer = ask(&layer, &old(), async |_| Ok("page".into())).await;
    assert!(answer.new.is_none() && !answer.removes_old);
    assert_eq!((store.calls().len(), shelf.reads()), (0, 0));
    // Nor does a cookie of that name that is none of the library's.
    let answer = ask(&layer, "session=x", user).await;
    assert!(answer.text == "-" && !answer.removes_old && shelf.reads() == 0, "{answer:?}");
}
