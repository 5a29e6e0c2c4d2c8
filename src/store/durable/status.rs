//! Health of both stores and of the copies, as last seen by requests.

use crate::{
    clock::{compared::Whose, moment::Moment},
    error::Causes,
    store::durable::{breaker::Breaker, engine::Engine},
    telemetry::health::{BackendHealth, CacheHealth, Health, Serving},
};

impl Engine {
    pub(super) fn health(&self) -> Health {
        let now = self.now();
        let ahead = |whose| self.compared.ahead(whose).filter(|_| self.clock().is_real());
        let mut redis =
            store_status(&self.stores.redis(), now, self.cache.size(), ahead(Whose::Redis));
        (redis.primary, redis.switched_ago) = self.cache.primary();
        let pool = (self.database().pool().0, self.database().pool_size());
        let database = store_status(&self.stores.database(), now, pool, ahead(Whose::Database));
        let trust = self.authority.trust();
        let (set_aside, journal) = trust.counts();
        let copies = CacheHealth {
            trusted: trust.holds(now),
            verified_ago: trust.age(now),
            generation: trust.epoch().map(|epoch| format!("{:016x}", epoch.generation)),
            incarnation: trust.epoch().map(|epoch| epoch.incarnation.to_string()),
            bypassed: set_aside,
            pending: journal,
        };
        let alone = !database.answers && trust.outlasts(now, self.parameters.stretch);
        let serving = match (redis.answers && (copies.trusted || alone), database.answers) {
            (true, _) => Serving::Redis,
            (false, true) => Serving::Database,
            (false, false) => Serving::None,
        };
        Health { serving, redis: Some(redis), database: Some(database), copies: Some(copies) }
    }
}

fn store_status(
    breaker: &Breaker,
    now: Moment,
    (connections, pool_size): (u32, u32),
    clock_ahead: Option<i64>,
) -> BackendHealth {
    let last_cause = breaker.last_cause().map(|error| Causes(error).to_string());
    let answers = breaker.is_closed();
    BackendHealth {
        answers,
        unavailable_for: breaker.open_for(now),
        rejects_writes: breaker.refuses(),
        last_cause,
        connections,
        pool_size,
        clock_ahead,
        primary: None,
        switched_ago: None,
    }
}
