//! The time that a request may wait for the store.

use std::{future::Future, time::Duration};

use tokio::time::Instant;

use crate::{
    error::Error,
    request::{RequestSession, state::Stage},
    telemetry::instruments::budget_exceeded,
};

impl RequestSession {
    /// Waits for the store within the rest of this request's budget, and for as long as its
    /// acknowledgement may take. The load and failing calls consume budget; successful calls of the
    /// handler do not.
    pub(crate) async fn within_budget<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let (result, start) = self.timed(self.backend.acknowledgement, work).await;
        if result.is_err() {
            self.state().spent += start.elapsed();
        }
        result
    }

    /// The same, with its start time.
    ///
    /// Cancellation safety: past the budget the work is dropped, and may or may not have happened.
    pub(super) async fn timed<T>(
        &self,
        more: Duration,
        work: impl Future<Output = Result<T, Error>>,
    ) -> (Result<T, Error>, Instant) {
        let start = Instant::now();
        let spent = {
            let state = self.state();
            // A stream may last long: each of its waits has its own budget.
            if state.stage == Stage::Open { state.spent } else { Duration::ZERO }
        };
        let left = self.backend.rules.budget.saturating_sub(spent);
        if left.is_zero() {
            budget_exceeded(self.backend.store_name);
            // Starts no work that cannot be waited for.
            return (Err(Error::unavailable("the request's store budget is spent")), start);
        }
        let result = tokio::time::timeout_at(start + left + more, work).await;
        let late = |_| {
            budget_exceeded(self.backend.store_name);
            Err(Error::unavailable("no reply in time"))
        };
        (result.unwrap_or_else(late), start)
    }
}
