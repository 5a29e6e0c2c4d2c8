//! Comparison of this process' clock with the database's, for a store without Redis.
//!
//! Requests start a check and wait for the first one, for a moment: a check without a reply is no
//! reason to reject requests that the database serves.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use tokio::{runtime::Handle, sync::watch, time::timeout};

use crate::{
    clock::{
        Clock,
        compared::{Compared, Whose},
    },
    error::Error,
    session::record::Record,
    store::{
        database::{access::Database, failure::late},
        outcome::{clocks_differ, dated_well},
    },
};

/// Interval between checks, in milliseconds; shorter until the first reply.
const INTERVAL: i64 = 10_000;
const INTERVAL_UNKNOWN: i64 = 2_500;
/// A check that takes longer is discarded.
const LIMIT: Duration = Duration::from_secs(2);
/// Maximum time that a request waits for the first check.
const WAIT: Duration = Duration::from_millis(250);

/// Knowledge about the database's clock; none if it is this machine's, as with a file.
#[derive(Default)]
pub(super) struct ClockCheck(Arc<Inner>);

#[derive(Default)]
struct Inner {
    compared: Compared,
    /// In milliseconds since boot.
    due: AtomicI64,
    /// Whether a check has ended, with or without a reply: no caller waits for another one.
    looked: watch::Sender<bool>,
}

impl ClockCheck {
    /// The clock by which sessions expire.
    pub(super) fn correct(&self, clock: Clock) -> Clock {
        clock.beside(&self.0.compared)
    }

    /// Runs the work, whose result is judged by a compared clock.
    pub(super) async fn beside<T>(
        &self,
        database: &Database,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        if self.is_known(database) {
            return work.await;
        }
        // If one fails, the other is not waited for.
        let look = async {
            self.wait().await;
            Ok(())
        };
        let (done, ()) = Box::pin(async { tokio::try_join!(work, look) }).await?;
        Ok(done)
    }

    /// Rejects a session dated by a clock that turns out to be wrong.
    pub(super) async fn dates(&self, record: &Record, database: &Database) -> Result<(), Error> {
        if !applies(database) {
            return Ok(());
        }
        if !self.is_known(database) {
            Box::pin(self.wait()).await;
        }
        dated_well(record, &self.0.compared)
    }

    /// Compares now, and fails if the clocks are too far apart.
    pub(super) async fn check(&self, database: &Database) -> Result<(), Error> {
        if applies(database) {
            self.0.look(database).await?;
        }
        let beyond = self.0.compared.beyond_check();
        beyond.map_or(Ok(()), |(whose, seconds)| Err(clocks_differ(whose, seconds)))
    }

    /// How many milliseconds the database's clock is ahead of this process'.
    pub(super) fn ahead(&self) -> Option<i64> {
        self.0.compared.ahead(Whose::Database)
    }

    /// Whether there is nothing to wait for. Starts a check that is due.
    fn is_known(&self, database: &Database) -> bool {
        if !applies(database) {
            return true;
        }
        let is_known = !self.0.compared.is_unknown();
        let (now, due) = (self.0.compared.uptime(), self.0.due.load(Ordering::Relaxed));
        if now >= due {
            let next = now.saturating_add(if is_known { INTERVAL } else { INTERVAL_UNKNOWN });
            let ours = self.0.due.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed);
            if let (Ok(_), Ok(runtime)) = (ours, Handle::try_current()) {
                let (inner, database) = (Arc::clone(&self.0), database.clone());
                drop(runtime.spawn(async move {
                    let _ = inner.look(&database).await;
                    let _ = inner.looked.send_replace(true);
                }));
            }
        }
        is_known
    }

    /// Waits for the first check.
    async fn wait(&self) {
        let mut looked = self.0.looked.subscribe();
        let _ = timeout(WAIT, looked.wait_for(|looked| *looked)).await;
    }
}

impl Inner {
    async fn look(&self, database: &Database) -> Result<(), Error> {
        let asked = self.compared.uptime();
        let polled = timeout(LIMIT, database.poll(0)).await.unwrap_or_else(|_| Err(late()))?;
        self.compared.note(Whose::Database, polled.now, asked);
        Ok(())
    }
}

/// Whether there are two clocks.
fn applies(database: &Database) -> bool {
    database.has_a_clock() && database.clock().is_real()
}
