//! Sessions of another library are taken over at the first request with their cookie: once, by
//! whichever requests come first, and never again.
//!
//! To see these fail: in `request/take_over/steps.rs` keep the nonce of an abandoned claim, send the
//! token without the `Done` of step 6, read the bar before the epoch, leave the grace or the time of
//! an abandoned claim out; in `take_over.rs` let the two cookies of a request count in the other
//! order, do not carry the work, do not close at a logout; write the epoch before the bar.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use test_support::{
    COOKIE as NEW,
    faulty_store::{Fault, FaultyStore, Gate},
    take_over::{ALICE, Answer, KEY, OLD, ask, importer, logout, old, user},
};
use tower_redis_session::{
    CookieConfig, Error, ErrorKind, RedisSessionLayer, RedisSessionLayerBuilder, SessionContext,
    clock::ManualClock,
    import::{OldSession, OldSessions, StoredSession, TakeOver},
    store::{StoreFuture, UserStore},
};

/// Each way in which two cookies, a logout, a revocation or a failure meet a take-over.
mod both_cookies;
mod endings;
mod failures;
mod interleavings;
mod settings;

const GRACE: Duration = Duration::from_secs(60);

/// The old store, in memory.
#[derive(Clone, Default)]
struct Shelf(Arc<Inner>);

#[derive(Default)]
struct Inner {
    sessions: Mutex<HashMap<String, String>>,
    reads: Mutex<u32>,
    /// The next read fails.
    fails: AtomicBool,
    /// It deletes nothing.
    keeps: AtomicBool,
}

impl Shelf {
    /// With alice's session.
    fn new() -> Self {
        let shelf = Self::default();
        shelf.put(OLD, ALICE);
        shelf
    }

    fn put(&self, id: &str, value: &str) {
        let key = format!("old:{id}");
        let _ = self.0.sessions.lock().unwrap().insert(key, value.to_owned());
    }

    fn is_empty(&self) -> bool {
        self.0.sessions.lock().unwrap().is_empty()
    }

    fn reads(&self) -> u32 {
        *self.0.reads.lock().unwrap()
    }

    fn fails(&self, fails: bool) {
        self.0.fails.store(fails, Ordering::SeqCst);
    }

    fn keeps(&self, keeps: bool) {
        self.0.keeps.store(keeps, Ordering::SeqCst);
    }
}

impl OldSessions for Shelf {
    fn load<'a>(&'a self, old: &'a OldSession) -> StoreFuture<'a, Option<StoredSession>> {
        Box::pin(async move {
            *self.0.reads.lock().unwrap() += 1;
            if self.0.fails.load(Ordering::SeqCst) {
                return Err(Error::unavailable("as the test says"));
            }
            let found = self.0.sessions.lock().unwrap().get(old.key()).cloned();
            Ok(found.map(StoredSession::new))
        })
    }

    fn delete<'a>(&'a self, old: &'a OldSession) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            if self.0.keeps.load(Ordering::SeqCst) {
                return Err(Error::unavailable("as the test says"));
            }
            let _ = self.0.sessions.lock().unwrap().remove(old.key());
            Ok(())
        })
    }
}

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
