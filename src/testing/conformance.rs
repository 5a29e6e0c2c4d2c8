//! Conformance suite: checks an implementation of [`UserStore`], or of [`Store`] alone, against its
//! contract.
//!
//! For authors of stores: call [`conformance`] in a test, on a store that is empty or shared only
//! with processes that delete nothing. It uses random ids of its own, and leaves records behind
//! that expire within an hour. A store that violates its contract fails the test with a message
//! that quotes the violated sentence of [`Store`] or [`UserStore`] and the observation. A store of
//! records alone is checked as a layer uses it: `conformance(WithoutUsers::new(store))`.
//!
//! [`Store`]: crate::store::Store
//!
//! ```
//! use tower_redis_session::{MemoryStore, testing::conformance};
//!
//! # fn main() {
//! # #[cfg(any())]
//! #[tokio::test(flavor = "multi_thread")]
//! async fn the_store_keeps_its_contract() {
//!     conformance(MemoryStore::new()).await;
//! }
//! # tokio::runtime::Runtime::new().unwrap().block_on(conformance(MemoryStore::new()));
//! # }
//! ```
//!
//! Use a multi-threaded runtime, so that concurrent operations run in parallel.
//!
//! Not checked, since it takes faults, another process or a long wait: that a failing store returns
//! the right one of `Err` and `Unknown`, that every future completes, and that records are deleted
//! after their end.

// | file | checks |
// |---|---|
// | `save` | save, load, several at once |
// | `delete` | delete, delete at a version |
// | `touch` | activity without a new version |
// | `renew` | the steps of a renewal |
// | `users` | sign-in, session limit, revocation of all |
// | `list` | the list of a user's sessions |
// | `race` | concurrent operations |
// | `ids` | ids for the sessions of the suite |
// | `without_users` | sign-in where no list of sessions is kept |
// | `dropped` | futures dropped at any await |
// | `close` | a store that is shared by layers, one of which shuts down |

#![allow(clippy::panic, reason = "a failed check has to fail the test of the store's author")]

use std::{fmt, future::Future, pin::pin, sync::Arc, task::Poll, time::Duration};

use bytes::Bytes;

use crate::{
    Error, SessionExpiry, SessionId, Timestamp,
    session::{device::Device, expiry::Deadlines, values::Values},
    store::{Expected, Record, SaveOutcome, Touch, UserStore},
};

mod close;
mod delete;
mod dropped;
mod ids;
mod list;
mod race;
mod renew;
mod save;
mod touch;
mod users;
mod without_users;

const FENCED: &str = "a save, a renewal, a `delete_version` and a touch change a record only at \
    the version they expect";
const FINAL: &str = "after `delete` has returned, nothing is created under that id";
const KEPT: &str = "a record is loaded as it was saved, every field and every byte";
const HALF: &str = "a dropped future may have happened or not, and leaves nothing half-written";
const FORGETFUL: &str = "a record may vanish at any time after its end, and only then";
const IN_ORDER: &str = "several records at once, in the order of `ids`, each error in its place";
const ABSENT: &str = "`Absent`: the record is created, never adopted or overwritten";
const RENEW: &str = "a renewal stores under `new` and ends `old`, and no reader sees both";
const MOVED: &str = "for a minute after a renewal `load` returns under the old id what the session \
    was, as moved to the new one, and `delete` ends the session under the id that it has now";
const AGAIN: &str = "to repeat `finish_renew` is safe";
const TOUCH: &str = "`touch` records activity without a new version, never an earlier end";
const BY_USER: &str = "after `revoke_all` no session of that user is alive, and a login leaves no \
    more than it allows";
const LISTED: &str = "`sessions_of` returns every session of that user, and of no other user";
const DELETE: &str = "`delete` removes whatever is there, and answers whether anything was; \
    removing nothing is a success";

/// Checks `store` against every sentence of the contracts of [`Store`](crate::store::Store) and
/// [`UserStore`]; in [`WithoutUsers`](crate::store::WithoutUsers), of `Store` alone.
///
/// ```
/// # use tower_redis_session::{MemoryStore, testing::conformance};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// conformance(MemoryStore::new()).await;
/// # }
/// ```
///
/// # Panics
///
/// If `store` violates the contract, or cannot be reached.
pub async fn conformance(store: impl UserStore) {
    let subject = Subject(Arc::new(store));
    save::check(&subject).await;
    delete::check(&subject).await;
    renew::check(&subject).await;
    touch::check(&subject).await;
    race::check(&subject).await;
    dropped::check(&subject).await;
    if subject.0.lists_sessions() {
        users::check(&subject).await;
        list::check(&subject).await;
    } else {
        without_users::check(&subject).await;
    }
    close::check(&subject).await;
}

const USER: &str = "a user \u{1f980}";

/// The store under test.
#[derive(Clone)]
struct Subject(Arc<dyn UserStore>);

impl Subject {
    /// A record that starts now and has every field, with `text` as a value.
    fn record(&self, text: &str) -> Record {
        let now = self.now();
        let expiry = SessionExpiry::new(Duration::from_secs(1_800));
        let expiry = expiry.absolute(Duration::from_secs(3_600));
        Record {
            version: 1,
            writer: mark(),
            created: now,
            last_activity: now,
            deadlines: Deadlines::start(expiry, now, Duration::from_secs(60)),
            authenticated: Some(now),
            user: Some(USER.into()),
            device: Device::stored(
                Some("2001:db8::1".into()),
                Some("a user agent".into()),
                Some("a label \u{1f980}".into()),
            ),
            platform: Some("a platform".into()),
            values: values(text.as_bytes()),
            sealed: None,
            moved: None,
        }
    }

    fn now(&self) -> Timestamp {
        self.0.clock().now()
    }

    /// A record in the store, and its id.
    async fn stored(&self, text: &str) -> (SessionId, Record) {
        let (id, record) = (self.fresh_id(), self.record(text));
        self.create(id, &record).await;
        (id, record)
    }

    async fn create(&self, id: SessionId, record: &Record) {
        let outcome = self.save(&id, Expected::Absent, record).await;
        let saved = matches!(outcome, SaveOutcome::Saved);
        demand(saved, ABSENT, || format!("to create a record under a fresh id: {outcome:?}"));
    }

    /// The live session under `id`.
    async fn load(&self, id: &SessionId) -> Option<Record> {
        self.find(id).await.filter(|record| record.moved.is_none())
    }

    /// The same, or the record from before a move.
    async fn find(&self, id: &SessionId) -> Option<Record> {
        healthy("load", self.0.load(id).await)
    }

    async fn save(&self, id: &SessionId, expected: Expected, record: &Record) -> SaveOutcome {
        known(healthy("save", self.0.save(id, expected, record).await))
    }

    /// A renewal as the layer does it: both steps in sequence.
    async fn renew(
        &self,
        old: &SessionId,
        expected: u64,
        new: &SessionId,
        record: &Record,
    ) -> SaveOutcome {
        match self.begin(old, expected, new, record).await {
            SaveOutcome::Saved => self.finish(old, expected, new).await,
            outcome => outcome,
        }
    }

    async fn begin(
        &self,
        old: &SessionId,
        expected: u64,
        new: &SessionId,
        record: &Record,
    ) -> SaveOutcome {
        known(healthy("begin_renew", self.0.begin_renew(old, expected, new, record).await))
    }

    async fn finish(&self, old: &SessionId, expected: u64, new: &SessionId) -> SaveOutcome {
        known(healthy("finish_renew", self.0.finish_renew(old, expected, new).await))
    }

    async fn touch(&self, id: &SessionId, version: u64, activity: Touch) -> bool {
        healthy("touch", self.0.touch(id, version, activity).await)
    }

    async fn delete_version(&self, id: &SessionId, expected: u64) -> SaveOutcome {
        known(healthy("delete_version", self.0.delete_version(id, expected).await))
    }

    async fn delete(&self, id: &SessionId) -> bool {
        healthy("delete", self.0.delete(id).await)
    }

    /// Demands that the store holds exactly this.
    async fn holds(&self, id: &SessionId, record: Option<&Record>, rule: &str, after: &str) {
        let found = self.load(id).await;
        demand(found.as_ref() == record, rule, || {
            format!("after {after} the store has {}, not {}", show(&found), show(&record))
        });
    }
}

/// The next version of `record`.
fn next(record: &Record, text: &str) -> Record {
    let version = record.version + 1;
    Record { version, writer: mark(), values: values(text.as_bytes()), ..record.clone() }
}

/// `record` after a renewal.
fn renewed(record: &Record) -> Record {
    Record { version: 1, ..next(record, "renewed") }
}

/// The same record with activity `later`.
fn active(record: &Record, later: Duration) -> Touch {
    let last_activity = record.last_activity.saturating_add(later);
    let mut deadlines = record.deadlines;
    deadlines.idle_deadline = deadlines.idle_deadline.saturating_add(later);
    let end = deadlines.end();
    Touch { last_activity, idle_deadline: deadlines.idle_deadline, end }
}

fn values(text: &[u8]) -> Values {
    let value = |text: &[u8]| Some(Bytes::copy_from_slice(text));
    let edits = [("a value".into(), value(text)), ("another".into(), value(b"null"))];
    Values::default().edited(&edits.into())
}

fn mark() -> [u8; 16] {
    let mut mark = [0; 16];
    for (place, byte) in mark.iter_mut().zip(ids::random_id().as_bytes()) {
        *place = *byte;
    }
    mark
}

/// Polls `work` at most `polls` times, lets the runtime work in between, and drops it.
async fn poll_and_drop<T>(polls: usize, work: impl Future<Output = T>) {
    let mut work = pin!(work);
    for _ in 0..polls {
        let done =
            std::future::poll_fn(|context| Poll::Ready(work.as_mut().poll(context).is_ready()));
        if done.await {
            return;
        }
        tokio::task::yield_now().await;
    }
}

fn demand(kept: bool, rule: &str, seen: impl FnOnce() -> String) {
    if !kept {
        panic!("the store violates its contract: {rule}: {}", seen());
    }
}

fn healthy<T>(what: &str, result: Result<T, Error>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("the store must not fail while it is checked: {what}: {error:?}"),
    }
}

fn known(outcome: SaveOutcome) -> SaveOutcome {
    match outcome {
        SaveOutcome::Unknown(error) => healthy("a write", Err(error)),
        outcome => outcome,
    }
}

fn show(record: &impl fmt::Debug) -> String {
    format!("{record:?}")
}
