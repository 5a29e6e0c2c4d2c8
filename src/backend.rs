//! What all requests of one layer share: the store, its clock, the rules, and the commits that
//! are under way.

use std::{fmt, future::Future, num::NonZeroU32, sync::Arc, time::Duration};

use tokio_util::task::TaskTracker;

use crate::{
    changes::Policy, clock::Clock, cookie::CookieConfig, error::Error, line::Lines, mark::Marks,
    store::Store,
};

pub(crate) struct Backend {
    pub(crate) store: Box<dyn Store>,
    pub(crate) clock: Clock,
    pub(crate) cookie: CookieConfig,
    pub(crate) policy: Policy,
    pub(crate) budget: Duration,
    /// How much longer a write may take that is only waiting to be acknowledged.
    pub(crate) acknowledgement: Duration,
    pub(crate) keep_on_server_error: bool,
    pub(crate) sessions_per_user: Option<NonZeroU32>,
    /// Commits and touches that have started; `shutdown` waits for them.
    pub(crate) tracker: TaskTracker,
    pub(crate) lines: Lines,
    pub(crate) marks: Marks,
}

impl Backend {
    pub(crate) fn new(
        store: Box<dyn Store>,
        cookie: CookieConfig,
        policy: Policy,
        budget: Duration,
        keep_on_server_error: bool,
        sessions_per_user: Option<NonZeroU32>,
    ) -> Arc<Self> {
        let (clock, acknowledgement) = (store.clock(), store.acknowledgement());
        let tracker = TaskTracker::new();
        Arc::new(Self {
            store,
            clock,
            cookie,
            policy,
            budget,
            acknowledgement,
            keep_on_server_error,
            sessions_per_user,
            tracker,
            lines: Lines::default(),
            marks: Marks::default(),
        })
    }

    /// Waits for what the store does within `budget`.
    ///
    /// Cancellation safety: past the budget the work is dropped, and may have happened or not.
    pub(crate) async fn within<T>(
        &self,
        budget: Duration,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        match tokio::time::timeout(budget, work).await {
            Ok(result) => result,
            Err(_) => Err(Error::unavailable(format!("no answer within {budget:?}"))),
        }
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend")
            .field("cookie", &self.cookie)
            .field("policy", &self.policy)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}
