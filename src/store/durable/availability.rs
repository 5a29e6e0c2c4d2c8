//! Whether each of both stores is there, and the log and event when that changes.

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
    /// Reports to operators that another store serves sessions than before.
    pub(super) fn announce(
        &self,
        away: Serving,
        transition: Option<Transition>,
        cause: Option<&Error>,
    ) {
        let (name, serving) = match away {
            Serving::Redis => ("redis", "the database"),
            _ => ("the database", "redis"),
        };
        let cause = cause.map(|error| tracing::field::display(Causes(error)));
        match transition {
            Some(Transition::Opened) => {
                tracing::warn!(cause, "{name} is away, sessions are served by {serving}");
                self.events.emit(Event::StoreDown { store: away });
            }
            Some(Transition::Refuses) => {
                tracing::warn!(cause, "{name} refuses, changed sessions are served by {serving}");
                self.events.emit(Event::StoreDown { store: away });
            }
            Some(Transition::Obeys) => {
                tracing::info!("{name} takes changes again");
                self.events.emit(Event::StoreUp { store: away });
            }
            Some(Transition::Closed(after)) => {
                tracing::info!(?after, "{name} is back");
                self.events.emit(Event::StoreUp { store: away });
            }
            None => {}
        }
    }
}
