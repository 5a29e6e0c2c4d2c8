//! A sign-in whose password is being checked.

use std::{fmt, sync::Arc};

use crate::{
    error::Causes,
    limiter::counting::Inner,
    store::attempts::{Action, AttemptWrite, PAIR},
    telemetry::Event,
};

/// An attempt that has been counted, from [`SignInLimiter::begin`](crate::limiter::SignInLimiter).
/// The password may be checked now. Dropped without [`succeeded`](Self::succeeded) it has failed.
#[must_use = "a dropped attempt has failed"]
pub struct Attempt {
    limiter: Arc<Inner>,
    write: AttemptWrite,
    account: String,
    network: String,
    succeeded: bool,
}

impl Attempt {
    pub(super) const fn new(
        limiter: Arc<Inner>,
        write: AttemptWrite,
        account: String,
        network: String,
    ) -> Self {
        Self { limiter, write, account, network, succeeded: false }
    }

    /// The credentials were right: the account's failures from this network are forgotten, and the
    /// network is known for the account. Call it when the sign-in is complete, with a second factor
    /// after that.
    ///
    /// If the store cannot be reached, a warning is logged and the attempt stays counted: that is
    /// no reason to reject the sign-in.
    ///
    /// Cancellation safety: dropped before it returns, it may stay counted.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use tower_redis_session::{MemoryStore, limiter::SignInLimiter};
    /// let limiter = SignInLimiter::builder(MemoryStore::new()).build()?;
    /// for _ in 0..10 {
    ///     limiter.begin("alice", "192.0.2.1".parse()?).await?.succeeded().await;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn succeeded(mut self) {
        self.succeeded = true;
        self.write.action = Action::Succeed;
        if let Err(error) = self.limiter.write(&self.write).await {
            tracing::warn!(error = %Causes(&error), "sign-in counted as failed: not settled");
        }
        if let Some(pair) = self.write.counters.get(PAIR) {
            self.limiter.refusals.forget(&pair.key);
        }
    }

    /// The credentials were wrong. The same as to drop it: it has been counted already.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use tower_redis_session::{MemoryStore, limiter::SignInLimiter};
    /// let limiter = SignInLimiter::builder(MemoryStore::new()).build()?;
    /// limiter.begin("alice", "192.0.2.1".parse()?).await?.failed();
    /// # Ok(())
    /// # }
    /// ```
    pub fn failed(self) {
        drop(self);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.succeeded {
            let account = std::mem::take(&mut self.account);
            let network = std::mem::take(&mut self.network);
            self.limiter.events.emit(Event::SignInFailed { account, network });
        }
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").field("network", &self.network).finish_non_exhaustive()
    }
}
