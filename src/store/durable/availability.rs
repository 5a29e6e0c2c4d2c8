//! Availability of both stores: the log line and the event when it changes.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{
    error::{Causes, Error},
    store::durable::breaker::{Breaker, Transition},
    telemetry::{event::Event, events::Events, health::Serving},
};

/// The breakers of both stores.
#[derive(Debug, Default)]
pub(super) struct Stores {
    redis: Mutex<Breaker>,
    database: Mutex<Breaker>,
    pub(super) events: Events,
}

impl Stores {
    pub(super) fn redis(&self) -> MutexGuard<'_, Breaker> {
        self.redis.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn database(&self) -> MutexGuard<'_, Breaker> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stores {
    /// Reports to operators that another store serves sessions from now on.
    pub(super) fn announce(
        &self,
        away: Serving,
        transition: Option<Transition>,
        cause: Option<&Error>,
    ) {
        let (name, serving) = match away {
            Serving::Redis => ("redis", "the database"),
            _ => ("database", "redis"),
        };
        let cause = cause.map(|error| tracing::field::display(Causes(error)));
        match transition {
            Some(Transition::Opened) => {
                tracing::warn!(cause, "{name} unavailable: sessions are served by {serving}");
                self.events.emit(Event::StoreDown { store: away });
            }
            Some(Transition::Refuses) => {
                tracing::warn!(
                    cause,
                    "{name} rejects writes: changed sessions are served by {serving}"
                );
                self.events.emit(Event::StoreDown { store: away });
            }
            Some(Transition::Obeys) => {
                tracing::info!("{name} accepts writes");
                self.events.emit(Event::StoreUp { store: away });
            }
            Some(Transition::Closed(after)) => {
                tracing::info!(?after, "{name} available");
                self.events.emit(Event::StoreUp { store: away });
            }
            None => {}
        }
    }
}
