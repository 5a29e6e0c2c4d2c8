//! What load balancers and operators ask: whether sessions are served, by whom, and why not by
//! another. It costs the stores nothing.

use http::StatusCode;
use serde::Serialize;
use tower_redis_session::{CopyStatus, RedisSessionLayer, StoreStatus};

use crate::reply::{self, Answer};

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    serving: String,
    redis: Option<Store>,
    database: Option<Store>,
    copies: Option<Copies>,
}

#[derive(Serialize)]
struct Store {
    answers: bool,
    last_cause: Option<String>,
    connections: u32,
    pool_size: u32,
}

#[derive(Serialize)]
struct Copies {
    believed: bool,
    asked_ms_ago: Option<u128>,
    generation: Option<String>,
    incarnation: Option<String>,
    set_aside: usize,
    journal: usize,
}

/// 200 while sessions are served at all, else 503; the same JSON with both.
pub(crate) fn answer(sessions: &RedisSessionLayer) -> Answer {
    let status = sessions.status();
    let readiness = Readiness {
        ready: status.is_ready(),
        serving: status.serving.to_string(),
        redis: status.redis.map(Store::from),
        database: status.database.map(Store::from),
        copies: status.copies.map(Copies::from),
    };
    let code = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    reply::json(code, &readiness)
}

impl From<StoreStatus> for Store {
    fn from(store: StoreStatus) -> Self {
        let StoreStatus { answers, last_cause, connections, pool_size, .. } = store;
        Self { answers, last_cause, connections, pool_size }
    }
}

impl From<CopyStatus> for Copies {
    fn from(copies: CopyStatus) -> Self {
        Self {
            believed: copies.believed,
            asked_ms_ago: copies.asked.map(|age| age.as_millis()),
            generation: copies.generation,
            incarnation: copies.incarnation,
            set_aside: copies.set_aside,
            journal: copies.journal,
        }
    }
}
