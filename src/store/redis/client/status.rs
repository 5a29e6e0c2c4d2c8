//! Health of the pool: what its users last saw, and failures.

use std::time::{Duration, Instant};

use crate::{
    clock::compared::Whose,
    error::Error,
    store::{
        availability::Availability,
        redis::client::pool::{Connections, Shared},
    },
    telemetry::health::BackendHealth,
};

impl Connections {
    /// Number of open connections, and the cause of the last failed attempt.
    pub(in crate::store::redis) fn status(&self) -> BackendHealth {
        let now = Instant::now();
        let (connections, late) = (self.0.alive(), self.0.waits().are_late(now));
        let of = self.0.availability.as_deref();
        BackendHealth {
            answers: (connections > 0 || !late) && of.is_none_or(|of| of.answers(now)),
            unavailable_for: of.and_then(|of| of.unavailable_for(now)),
            rejects_writes: of.is_some_and(Availability::rejects_writes),
            last_cause: of
                .and_then(Availability::last_cause)
                .or_else(|| self.0.attempts.last_cause()),
            connections,
            pool_size: self.0.connector.limits.pool_size,
            clock_ahead: self.0.connector.compared.ahead(Whose::Redis),
            primary: self.primary(),
            switched_ago: self.switched_ago(),
        }
    }

    /// The start-up check has ended.
    pub(in crate::store::redis) fn checked(&self, checked: &Result<(), Error>) {
        if let Some(availability) = &self.0.availability {
            availability.checked(checked);
        }
    }

    /// Address of the primary that sentinels name.
    pub(in crate::store::redis) fn primary(&self) -> Option<String> {
        self.0.connector.sentinels()?.primary()
    }

    /// Time since sentinels named another one.
    pub(in crate::store::redis) fn switched_ago(&self) -> Option<Duration> {
        self.0.connector.sentinels()?.switched_ago()
    }

    /// Number of open connections, and its maximum.
    #[cfg(feature = "_database")]
    pub(in crate::store::redis) fn size(&self) -> (u32, u32) {
        (self.0.alive(), self.0.connector.limits.pool_size)
    }
}

impl Shared {
    /// An attempt to connect has failed. Without a connection that is open, that is an outage.
    pub(super) fn cannot_connect(&self, cause: &Error) {
        self.attempts.failed(cause.clone());
        if let Some(availability) = self.availability.as_ref().filter(|_| self.alive() == 0) {
            availability.trip(cause);
        }
    }
}
