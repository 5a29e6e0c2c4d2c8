//! The primary in use, and the switch to another one.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::store::redis::client::{
    health::ConnectionHealth,
    sentinel::choice::{Choice, Primary, Report, is_forgotten},
};

/// How long a primary counts that no sentinel names any more: sentinels learn of a failover from
/// each other within seconds.
const LONGEST_UNNAMED: Duration = Duration::from_secs(10);

/// What sentinels have named so far.
#[derive(Debug)]
pub(super) struct Known {
    state: Mutex<State>,
    /// Of the connections to servers: see [`ConnectionHealth`].
    generation: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct State {
    primary: Option<Primary>,
    /// When a sentinel last named it.
    named: Option<Instant>,
    /// When it replaced another one.
    switched: Option<Instant>,
}

impl Known {
    pub(super) fn new(generation: Arc<AtomicU64>) -> Self {
        Self { state: Mutex::default(), generation }
    }

    /// Chooses among the replies of `all` sentinels.
    pub(super) fn choose(&self, reports: &[Report], all: usize) -> Choice {
        let state = self.state();
        let forgotten = is_forgotten(state.is_named_lately(), reports.len(), all);
        Choice::of(reports, state.primary.as_ref().filter(|_| !forgotten))
    }

    /// Takes `primary` as the one in use, closing all connections to another one. Returns the
    /// health for a connection to it, or `None` if a later one became known in the meantime.
    ///
    /// `is_named`: by a sentinel, now.
    pub(super) fn settle(&self, primary: &Primary, is_named: bool) -> Option<ConnectionHealth> {
        // Under the lock: a connection that has this health leads to the primary in use, or is
        // broken.
        let mut state = self.state();
        let is_later = |known: &Primary| primary.epoch >= known.epoch || !state.is_named_lately();
        let (is_same, is_later) = match &state.primary {
            Some(known) => (known.server == primary.server, is_later(known)),
            None => (false, true),
        };
        if !is_same && !is_later {
            return None;
        }
        if is_named || !is_same {
            state.named = Some(Instant::now());
        }
        if is_later
            && let Some(known) = state.primary.replace(primary.clone())
            && !is_same
        {
            let (from, to, epoch) = (&known.server, &primary.server, primary.epoch);
            tracing::warn!(%from, %to, epoch, "redis primary replaced: connections closed");
            state.switched = Some(Instant::now());
            let _ = self.generation.fetch_add(1, Ordering::AcqRel);
        }
        Some(ConnectionHealth::new(&self.generation))
    }

    /// Whether a sentinel names the primary in use.
    pub(super) fn is_confirmed_by(&self, report: &Report) -> bool {
        let mut state = self.state();
        let confirmed = state.primary.as_mut().is_some_and(|known| {
            let same = known.server == report.primary.server;
            let confirmed = same && report.primary.epoch >= known.epoch;
            if confirmed {
                known.epoch = report.primary.epoch;
            }
            confirmed
        });
        if confirmed {
            state.named = Some(Instant::now());
        }
        confirmed
    }

    /// Address of the primary in use.
    pub(super) fn address(&self) -> Option<String> {
        self.state().primary.as_ref().map(|primary| primary.server.to_string())
    }

    /// Time since the last switch.
    pub(super) fn switched_ago(&self) -> Option<Duration> {
        self.state().switched.map(|switched| switched.elapsed())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_named_lately(&self) -> bool {
        self.named.is_some_and(|named| named.elapsed() < LONGEST_UNNAMED)
    }
}

#[cfg(test)]
mod tests {
    use crate::store::redis::client::sentinel::{
        choice::{Seen, Server},
        known::*,
    };

    fn primary(host: &str, epoch: u64) -> Primary {
        Primary { server: Server { host: host.to_owned(), port: 1 }, epoch }
    }

    #[test]
    fn a_switch_breaks_every_connection_that_was_opened_or_begun_before_it() {
        let known = Known::new(Arc::default());
        let first = known.settle(&primary("a", 3), true).unwrap();
        let same = known.settle(&primary("a", 4), true).unwrap();
        assert!(!first.is_broken() && !same.is_broken() && known.switched_ago().is_none());
        let next = known.settle(&primary("b", 5), true).unwrap();
        assert!(first.is_broken() && same.is_broken() && !next.is_broken());
        assert!(known.switched_ago().is_some());
        // One that began with an older view.
        assert!(known.settle(&primary("a", 4), true).is_none());
        assert!(!next.is_broken());
        assert_eq!(known.address().as_deref(), Some("b:1"));
    }

    #[test]
    fn one_sentinel_confirms_the_primary_in_use_and_no_other_one_or_earlier_epoch() {
        let known = Known::new(Arc::default());
        let report = |host: &str, epoch| Report { primary: primary(host, epoch), seen: Seen::Down };
        assert!(!known.is_confirmed_by(&report("a", 3)), "none is in use");
        let _ = known.settle(&primary("a", 3), true);
        for (host, epoch, confirmed) in
            [("a", 3, true), ("a", 2, false), ("b", 4, false), ("a", 6, true), ("a", 5, false)]
        {
            assert_eq!(known.is_confirmed_by(&report(host, epoch)), confirmed, "{host}@{epoch}");
        }
    }
}
