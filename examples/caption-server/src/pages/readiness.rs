//! What load balancers and operators ask: whether sessions are served, by whom, and why not by
//! another. It costs the stores nothing.

use http::StatusCode;
use tower_redis_session::RedisSessionLayer;

use crate::web::reply::{self, Answer};

/// 200 while sessions are served at all, else 503; the same JSON with both.
pub(crate) fn answer(sessions: &RedisSessionLayer) -> Answer {
    let report = sessions.admin().report();
    let ready = report.health().is_ready();
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    reply::json_text(code, report.to_json())
}
