//! How both stores do, and what operators are told of it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{
    error::{Causes, Error},
    store::durable::{
        breaker::{Breaker, Turn},
        engine::Inner,
    },
    telemetry::{
        event::Event,
        events::Events,
        status::{CopyStatus, Serving, Status, StoreStatus},
    },
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
    /// Tells operators that sessions are served by another store than before.
    pub(super) fn announce(&self, away: Serving, turn: Option<Turn>, cause: Option<&Error>) {
        let (name, serving) = match away {
            Serving::Redis => ("redis", "the database"),
            _ => ("the database", "redis"),
        };
        let cause = cause.map(|error| tracing::field::display(Causes(error)));
        match turn {
            Some(Turn::Opened) => {
                tracing::warn!(cause, "{name} is away, sessions are served by {serving}");
                self.events.emit(Event::FallbackIn { away });
            }
            Some(Turn::Refuses) => {
                tracing::warn!(cause, "{name} refuses, changed sessions are served by {serving}");
                self.events.emit(Event::FallbackIn { away });
            }
            Some(Turn::Obeys) => {
                tracing::info!("{name} takes changes again");
                self.events.emit(Event::FallbackOut { back: away });
            }
            Some(Turn::Closed(after)) => {
                tracing::info!(?after, "{name} is back");
                self.events.emit(Event::FallbackOut { back: away });
            }
            None => {}
        }
    }
}

impl Inner {
    pub(super) fn status(&self) -> Status {
        let now = self.now();
        let redis = store_status(&self.stores.redis(), self.cache.size());
        let pool = (self.database().pool().0, self.database().pool_size());
        let database = store_status(&self.stores.database(), pool);
        let trust = self.authority.trust();
        let (set_aside, journal) = trust.counts();
        let copies = CopyStatus {
            believed: trust.holds(now),
            asked: trust.age(now),
            generation: trust.epoch().map(|epoch| format!("{:016x}", epoch.generation)),
            incarnation: trust.epoch().map(|epoch| epoch.incarnation.to_string()),
            set_aside,
            journal,
        };
        let alone = !database.answers && trust.outlasts(now, self.parameters.stretch);
        let serving = match (redis.answers && (copies.believed || alone), database.answers) {
            (true, _) => Serving::Redis,
            (false, true) => Serving::Database,
            (false, false) => Serving::Nothing,
        };
        Status { serving, redis: Some(redis), database: Some(database), copies: Some(copies) }
    }
}

fn store_status(breaker: &Breaker, (connections, pool_size): (u32, u32)) -> StoreStatus {
    let last_cause = breaker.last_cause().map(|error| Causes(error).to_string());
    StoreStatus { answers: breaker.is_closed(), last_cause, connections, pool_size }
}
