//! Availability of a store without another one behind it, as its requests notice: one log line and
//! one event for each change, however many requests fail.
//!
//! A store is unavailable after three failures in a row, or at once if no connection can be opened
//! or a check fails; it is available at the next reply. It rejects writes from the first error
//! reply to a write on; it accepts them at a write after half a minute without one, since a full
//! store still accepts some.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    error::{Causes, Error, ErrorKind},
    sync::circuit_breaker::{CircuitBreaker, Policy, Retry},
    telemetry::{event::Event, events::Events, health::Serving},
};

/// There are no probes, and a failed readiness check would stop requests, which alone can find out
/// that the store has recovered.
const POLICY: Policy = Policy { threshold: 3, retry: Retry::After(Duration::from_secs(5)) };
/// A request that was dropped counts as a failure if it had waited so long, and no other one
/// received a reply in that time.
const PATIENCE: Duration = Duration::from_millis(250);
/// Time without a rejected write after which an accepted one shows that the store accepts writes.
const REJECTING: Duration = Duration::from_secs(30);

/// Availability of one store. A reply costs two atomic operations while nothing has failed.
#[derive(Debug)]
pub(crate) struct Availability {
    store: Serving,
    /// The address of the node, where the store has several.
    node: Option<String>,
    /// None if its changes concern no request with a session.
    events: Option<Events>,
    /// Number of replies.
    replies: AtomicU64,
    /// Whether something has failed or was rejected lately: a reply then takes the lock.
    troubled: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    breaker: CircuitBreaker<Instant>,
    last_cause: Option<Error>,
    /// Time of the last rejected write.
    rejected: Option<Instant>,
    /// Whether it serves nothing, so that its failures affect no request.
    is_retired: bool,
}

/// A change of state for operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Unavailable,
    /// After that time.
    Available(Duration),
    /// Others serve in its place, after that time.
    #[cfg_attr(not(feature = "redis"), allow(dead_code, reason = "a node of a cluster"))]
    Replaced(Duration),
    Rejects,
    Accepts,
}

impl Availability {
    pub(crate) fn new(store: Serving, events: impl Into<Option<Events>>) -> Self {
        let breaker = CircuitBreaker::new(POLICY);
        let state = State { breaker, last_cause: None, rejected: None, is_retired: false };
        Self {
            store,
            node: None,
            events: events.into(),
            replies: AtomicU64::new(0),
            troubled: AtomicBool::new(false),
            state: Mutex::new(state),
        }
    }

    /// Of one node of the store.
    #[cfg(feature = "redis")]
    pub(crate) fn of_node(self, address: String) -> Self {
        Self { node: Some(address), ..self }
    }

    /// It serves nothing from now on, or does so again.
    #[cfg(feature = "redis")]
    pub(crate) fn retire(&self, retired: bool) {
        let mut state = self.state();
        if std::mem::replace(&mut state.is_retired, retired) || !retired {
            return;
        }
        let replaced = state.breaker.close(Instant::now()).map(Change::Replaced);
        (state.last_cause, state.rejected) = (None, None);
        self.troubled.store(false, Ordering::Release);
        drop(state);
        self.announce(replaced, None);
    }

    /// A request is about to be sent.
    pub(crate) fn request(&self) -> Request<'_> {
        let replies = self.replies.load(Ordering::Relaxed);
        Request { of: Some(self), sent: Instant::now(), replies }
    }

    /// No connection can be opened, or a check failed.
    pub(crate) fn trip(&self, cause: &Error) {
        self.failed(cause, true);
    }

    /// A check has ended.
    pub(crate) fn checked<T>(&self, checked: &Result<T, Error>) {
        match checked {
            Ok(_) => self.heard(false),
            Err(error) => self.trip(error),
        }
    }

    /// Whether requests should be sent, for a readiness probe.
    pub(crate) fn answers(&self, now: Instant) -> bool {
        !self.troubled.load(Ordering::Acquire) || self.state().breaker.allows(now)
    }

    /// How long it has been unavailable.
    pub(crate) fn unavailable_for(&self, now: Instant) -> Option<Duration> {
        self.state().breaker.open_for(now)
    }

    pub(crate) fn rejects_writes(&self) -> bool {
        self.state().rejected.is_some()
    }

    pub(crate) fn last_cause(&self) -> Option<String> {
        self.state().last_cause.as_ref().map(|cause| Causes(cause).to_string())
    }

    fn heard(&self, written: bool) {
        let _ = self.replies.fetch_add(1, Ordering::Relaxed);
        if !self.troubled.load(Ordering::Acquire) {
            return;
        }
        let now = Instant::now();
        let mut state = self.state();
        let available = state.breaker.close(now).map(Change::Available);
        let accepts = state.accept(written, now);
        self.troubled.store(state.rejected.is_some(), Ordering::Release);
        drop(state);
        self.announce(available, None);
        self.announce(accepts, None);
    }

    fn failed(&self, cause: &Error, at_once: bool) {
        let now = Instant::now();
        let mut state = self.state();
        if state.is_retired {
            return;
        }
        let breaker = &mut state.breaker;
        let opened = if at_once { breaker.trip(now) } else { breaker.fail(now) };
        state.last_cause = Some(cause.clone());
        self.troubled.store(true, Ordering::Release);
        drop(state);
        self.announce(opened.then_some(Change::Unavailable), Some(cause));
    }

    fn rejected(&self, cause: &Error) {
        let mut state = self.state();
        if state.is_retired {
            return;
        }
        let rejects = state.reject(cause, Instant::now());
        self.troubled.store(true, Ordering::Release);
        drop(state);
        self.announce(rejects, Some(cause));
    }

    fn announce(&self, change: Option<Change>, cause: Option<&Error>) {
        let Some(events) = &self.events else { return };
        let (store, node) = (self.store, self.node.as_deref());
        let cause = cause.map(|cause| tracing::field::display(Causes(cause)));
        match change {
            Some(Change::Unavailable) => {
                tracing::warn!(
                    node,
                    cause,
                    "{store} unavailable: requests with a session are rejected"
                );
                events.emit(Event::StoreDown { store });
            }
            Some(Change::Available(after)) => {
                tracing::info!(node, ?after, "{store} available");
                events.emit(Event::StoreUp { store });
            }
            Some(Change::Replaced(after)) => {
                tracing::info!(node, ?after, "{store} node replaced: other nodes serve its slots");
                events.emit(Event::StoreUp { store });
            }
            Some(Change::Rejects) => {
                tracing::warn!(
                    node,
                    cause,
                    "{store} rejects writes: sessions are read, not changed"
                );
            }
            Some(Change::Accepts) => tracing::info!(node, "{store} accepts writes"),
            None => {}
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn reject(&mut self, cause: &Error, now: Instant) -> Option<Change> {
        self.last_cause = Some(cause.clone());
        // While it is unavailable, that is the state.
        let is_closed = self.breaker.is_closed();
        (is_closed && self.rejected.replace(now).is_none()).then_some(Change::Rejects)
    }

    fn accept(&mut self, written: bool, now: Instant) -> Option<Change> {
        let quiet = |last| now.saturating_duration_since(last) >= REJECTING;
        let ended = self.rejected.take_if(|last| written && quiet(*last));
        ended.map(|_| Change::Accepts)
    }
}

/// A request that waits for its reply.
#[derive(Debug)]
#[must_use]
pub(crate) struct Request<'a> {
    of: Option<&'a Availability>,
    sent: Instant,
    /// Number of replies when it was sent.
    replies: u64,
}

impl Request<'_> {
    /// Of a store whose availability is judged elsewhere.
    #[cfg(feature = "redis")]
    pub(crate) fn unwatched() -> Self {
        Self { of: None, sent: Instant::now(), replies: 0 }
    }

    /// It succeeded or failed. An error about one record is a reply.
    pub(crate) fn ended(mut self, error: Option<&Error>) {
        let Some(of) = self.of.take() else { return };
        match error.filter(|error| is_of_the_store(error)) {
            None => of.heard(false),
            Some(error) => self.failed(of, error),
        }
    }

    /// A write succeeded.
    pub(crate) fn accepted(mut self) {
        if let Some(of) = self.of.take() {
            of.heard(true);
        }
    }

    /// An error reply to a write: nothing was stored.
    pub(crate) fn rejected(mut self, error: &Error) {
        let Some(of) = self.of.take() else { return };
        if is_of_the_store(error) {
            of.rejected(error);
        } else {
            of.heard(false);
        }
    }

    /// If another request received a reply since, this one waited in a queue: the store is
    /// overloaded, not unavailable.
    fn failed(&self, of: &Availability, error: &Error) {
        if of.replies.load(Ordering::Relaxed) == self.replies {
            of.failed(error, false);
        }
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        if let Some(of) = self.of.take()
            && self.sent.elapsed() >= PATIENCE
        {
            self.failed(of, &Error::unavailable("no reply in time"));
        }
    }
}

fn is_of_the_store(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Misconfigured)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crate::store::availability::*;

    fn redis() -> Availability {
        Availability::new(Serving::Redis, Events::default())
    }

    fn down() -> Error {
        Error::unavailable("down")
    }

    /// How often it became unavailable and available.
    fn changes(availability: &Availability) -> (u64, u64) {
        let counts = availability.events.as_ref().unwrap().counts();
        let count = |name| counts.iter().find(|(other, _)| *other == name).unwrap().1;
        (count("store_down"), count("store_up"))
    }

    #[test]
    fn three_failures_in_a_row_and_no_bad_record_make_it_unavailable_once() {
        let redis = redis();
        let corrupt = Error::new(ErrorKind::Corrupt, "not a record");
        for error in [down(), down(), corrupt, down(), down()] {
            redis.request().ended(Some(&error));
            assert!(
                redis.answers(Instant::now()) && redis.unavailable_for(Instant::now()).is_none()
            );
        }
        for _ in 0..5 {
            redis.request().ended(Some(&down()));
            assert!(!redis.answers(Instant::now()) && redis.last_cause().is_some());
        }
        assert_eq!(changes(&redis), (1, 0));
        for _ in 0..5 {
            redis.request().ended(None);
            assert!(
                redis.answers(Instant::now()) && redis.unavailable_for(Instant::now()).is_none()
            );
        }
        assert_eq!(changes(&redis), (1, 1));
    }

    #[test]
    fn no_connection_is_enough_and_requests_have_to_find_out_that_it_recovered() {
        let redis = redis();
        redis.trip(&down());
        let now = Instant::now();
        assert!(!redis.answers(now + Duration::from_secs(4)));
        let later = now + Duration::from_secs(5);
        assert!(redis.answers(later), "a readiness probe lets requests try");
        assert!(redis.unavailable_for(later).is_some(), "which is no recovery");
        assert_eq!(changes(&redis), (1, 0));
    }

    #[cfg(feature = "redis")]
    #[test]
    fn a_node_that_serves_nothing_has_no_outage_and_its_replacement_ends_one() {
        let redis = redis().of_node("node:1".into());
        redis.retire(true);
        redis.trip(&down());
        redis.request().rejected(&down());
        assert_eq!((changes(&redis), redis.rejects_writes()), ((0, 0), false));
        redis.retire(false);
        redis.trip(&down());
        assert_eq!((changes(&redis), redis.last_cause().is_some()), ((1, 0), true));
        for _ in 0..2 {
            redis.retire(true);
            redis.trip(&down());
            assert_eq!((changes(&redis), redis.last_cause()), ((1, 1), None));
        }
        assert!(redis.answers(Instant::now()));
    }

    #[test]
    fn what_waited_while_others_got_replies_says_nothing() {
        let redis = redis();
        let waiting: Vec<_> = (0..5).map(|_| redis.request()).collect();
        redis.request().ended(None);
        for request in waiting {
            request.ended(Some(&down()));
        }
        assert!(redis.answers(Instant::now()));
    }

    #[test]
    fn a_request_dropped_soon_says_nothing_and_one_that_waited_counts_as_a_failure() {
        let redis = redis();
        for _ in 0..5 {
            drop(redis.request());
        }
        assert!(redis.answers(Instant::now()));
        for _ in 0..3 {
            let request = redis.request();
            drop(Request { sent: Instant::now() - PATIENCE, ..request });
        }
        assert_eq!(changes(&redis), (1, 0));
    }

    #[test]
    fn a_rejected_write_is_a_state_of_its_own_that_an_accepted_one_ends_later() {
        let (redis, full, now) = (redis(), down(), Instant::now());
        redis.request().rejected(&full);
        redis.request().accepted();
        assert!(redis.rejects_writes(), "it may accept small ones");
        assert_eq!(changes(&redis), (0, 0));
        let mut state = redis.state();
        assert_eq!(state.reject(&full, now), None, "once");
        assert_eq!(state.accept(true, now + REJECTING / 2), None);
        assert_eq!(state.accept(false, now + REJECTING), None, "a read");
        assert_eq!(state.accept(true, now + REJECTING), Some(Change::Accepts));
        assert_eq!(state.reject(&full, now), Some(Change::Rejects));
    }
}
