//! Status of both stores and of the copies, as last seen by requests.

use crate::{
    clock::compared::Whose,
    error::Causes,
    store::durable::{breaker::Breaker, engine::Engine},
    telemetry::status::{CopyStatus, Serving, Status, StoreStatus},
};

impl Engine {
    pub(super) fn status(&self) -> Status {
        let now = self.now();
        let ahead = |whose| self.compared.ahead(whose).filter(|_| self.clock().is_real());
        let redis = store_status(&self.stores.redis(), self.cache.size(), ahead(Whose::Redis));
        let pool = (self.database().pool().0, self.database().pool_size());
        let database = store_status(&self.stores.database(), pool, ahead(Whose::Database));
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

fn store_status(
    breaker: &Breaker,
    (connections, pool_size): (u32, u32),
    clock_ahead: Option<i64>,
) -> StoreStatus {
    let last_cause = breaker.last_cause().map(|error| Causes(error).to_string());
    let answers = breaker.is_closed();
    StoreStatus { answers, last_cause, connections, pool_size, clock_ahead }
}
