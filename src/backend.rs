//! What all requests of one layer share: the store, its clock, the rules, and the commits that
//! are under way.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use tokio::sync::{Mutex, MutexGuard};
use tokio_util::task::TaskTracker;

use crate::{
    changes::Policy, clock::Clock, cookie::CookieConfig, error::Error, store::Store,
    token::SessionId,
};

/// How many locks the sessions of a process share.
const STRIPES: usize = 64;

pub(crate) struct Backend {
    pub(crate) store: Box<dyn Store>,
    pub(crate) clock: Clock,
    pub(crate) cookie: CookieConfig,
    pub(crate) policy: Policy,
    pub(crate) budget: Duration,
    pub(crate) keep_on_server_error: bool,
    /// Commits and touches that have started; `shutdown` waits for them.
    pub(crate) tracker: TaskTracker,
    hot: Vec<Mutex<()>>,
}

impl Backend {
    pub(crate) fn new(
        store: Box<dyn Store>,
        cookie: CookieConfig,
        policy: Policy,
        budget: Duration,
        keep_on_server_error: bool,
    ) -> Arc<Self> {
        let clock = store.clock();
        let hot = (0..STRIPES).map(|_| Mutex::new(())).collect();
        let tracker = TaskTracker::new();
        Arc::new(Self { store, clock, cookie, policy, budget, keep_on_server_error, tracker, hot })
    }

    /// Lines up the writers of one session in this process, so that they meet no conflict but
    /// with other processes. Sessions may share a lock; nothing is asked under it but the store.
    pub(crate) async fn line_up(&self, id: &SessionId) -> Option<MutexGuard<'_, ()>> {
        let stripe = id.as_bytes().first().map_or(0, |byte| usize::from(*byte) % STRIPES);
        match self.hot.get(stripe) {
            Some(lock) => Some(lock.lock().await),
            None => None,
        }
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
