//! The state that a limiter and its attempts share, and their calls to the store.

use std::{net::IpAddr, sync::Arc, time::Duration};

use crate::{
    clock::Clock,
    error::{Error, ErrorKind},
    limiter::{
        error::{AttemptError, Throttled},
        names::{Named, Names, network_of},
        refusals::Refusals,
    },
    request::{client::DeviceConfig, shared::Backend},
    store::{
        AttemptOutcome, Store,
        attempts::{Action, AttemptKey, AttemptWrite, Counter, NETWORK, PAIR, Rule, SITE, Verdict},
    },
    telemetry::{Event, ThrottledBy, events::Events},
};

pub(super) struct Inner {
    pub(super) source: Source,
    pub(super) names: Names,
    pub(super) limits: Limits,
    pub(super) devices: DeviceConfig,
    pub(super) clock: Clock,
    pub(super) refusals: Refusals,
    pub(super) events: Events,
}

/// The settings, validated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) site: Rule,
    pub(super) network: Rule,
    pub(super) pair: Rule,
    pub(super) account: Rule,
    pub(super) known_for: Duration,
    pub(super) ways: u32,
    pub(super) timeout: Duration,
}

/// Where the store is.
pub(super) enum Source {
    Store(Arc<dyn Store>),
    Layer(Arc<Backend>),
}

impl Source {
    pub(super) fn store(&self) -> &dyn Store {
        match self {
            Self::Store(store) => &**store,
            Self::Layer(backend) => &*backend.store,
        }
    }
}

impl Inner {
    /// A call to the store, within the timeout.
    pub(super) async fn write(&self, write: &AttemptWrite) -> Result<AttemptOutcome, Error> {
        let Some(store) = self.source.store().attempts() else {
            return Err(Error::new(ErrorKind::Misconfigured, "the store does not count attempts"));
        };
        // Cancellation safety: past the timeout it may or may not be counted.
        match tokio::time::timeout(self.limits.timeout, store.write(write)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::unavailable(format!("no reply within {:?}", self.limits.timeout))),
        }
    }

    /// Counts an attempt, unless a remembered name or the store throttles it.
    pub(super) async fn count(
        &self,
        write: &AttemptWrite,
        address: IpAddr,
    ) -> Result<(), AttemptError> {
        let key = |place: usize| write.counters.get(place).map(|counter| &counter.key);
        let mut keys = [NETWORK, SITE, PAIR].into_iter().filter_map(key);
        let remembered = keys.find_map(|key| self.refusals.find(key, self.clock.now()));
        let (by, wait) = match remembered {
            Some(remembered) => remembered,
            None => match self.write(write).await?.0 {
                Verdict::Done => return Ok(()),
                Verdict::Throttled { place, wait } => {
                    // By the pair also where the account waits: another pair may not have to.
                    let (by, place) = match place {
                        SITE | NETWORK => (ThrottledBy::Network, place),
                        _ => (ThrottledBy::Account, PAIR),
                    };
                    if let Some(key) = key(place) {
                        self.refusals.remember(key, by, wait, self.clock.now());
                    }
                    (by, wait)
                }
            },
        };
        let network = network_of(address).to_string();
        self.events.emit(Event::SignInThrottled { by, network });
        Err(AttemptError::Throttled(Throttled::new(by, wait)))
    }

    /// Also the write that settles the attempt, with another action.
    pub(super) fn for_account(&self, named: &Named) -> AttemptWrite {
        let mut counters = self.for_network(named.site, named.network);
        counters.push(Counter { key: named.pair, rule: self.limits.pair });
        counters.push(Counter { key: named.account, rule: self.limits.account });
        self.write_of(Action::Begin, counters, Some(named.known))
    }

    pub(super) fn for_network(&self, site: AttemptKey, network: AttemptKey) -> Vec<Counter> {
        let Limits { site: of_site, network: of_network, .. } = self.limits;
        let mut counters = Vec::with_capacity(4);
        counters.push(Counter { key: site, rule: of_site });
        counters.push(Counter { key: network, rule: of_network });
        counters
    }

    pub(super) fn write_of(
        &self,
        action: Action,
        counters: Vec<Counter>,
        known: Option<AttemptKey>,
    ) -> AttemptWrite {
        let Limits { known_for, ways, .. } = self.limits;
        AttemptWrite { action, counters, known, known_for, ways }
    }
}
