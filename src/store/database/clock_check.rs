//! This process' clock beside the database's, for a store that has no other.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use tokio::{runtime::Handle, sync::OnceCell, time::timeout};

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

/// From one look to the next, in milliseconds: asked for by requests, so that nothing runs where
/// nothing happens.
const INTERVAL: i64 = 10_000;
/// A look that takes longer says nothing.
const LIMIT: Duration = Duration::from_secs(2);

/// What is known of the database's clock; nothing of one that is this machine's, as a file's is.
#[derive(Default)]
pub(super) struct ClockCheck {
    compared: Compared,
    looked: OnceCell<()>,
    /// In milliseconds since boot.
    due: AtomicI64,
}

impl ClockCheck {
    /// The clock to judge sessions by.
    pub(super) fn correct(&self, clock: Clock) -> Clock {
        clock.beside(&self.compared)
    }

    /// Does the work, whose result is judged by a clock that was looked at.
    pub(super) async fn beside<T>(
        &self,
        database: &Database,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        if self.is_known(database) {
            self.look_when_due(database);
            return work.await;
        }
        // Whoever gets no answer does not wait for the other one.
        let look = async {
            let _ = self.first_look(database).await;
            Ok(())
        };
        let (done, ()) = Box::pin(async { tokio::try_join!(work, look) }).await?;
        Ok(done)
    }

    /// Refuses a session that was dated by a clock that turns out to be wrong.
    pub(super) async fn dates(&self, record: &Record, database: &Database) -> Result<(), Error> {
        if !applies(database) {
            return Ok(());
        }
        if self.is_known(database) {
            self.look_when_due(database);
        } else {
            Box::pin(self.first_look(database)).await?;
        }
        dated_well(record, &self.compared)
    }

    /// Looks now, and fails if the clocks are too far apart.
    pub(super) async fn check(&self, database: &Database) -> Result<(), Error> {
        if applies(database) {
            look(&self.compared, database).await?;
        }
        let beyond = self.compared.beyond_check();
        beyond.map_or(Ok(()), |(whose, seconds)| Err(clocks_differ(whose, seconds)))
    }

    /// How many milliseconds the database's clock is ahead of this process'.
    pub(super) fn ahead(&self) -> Option<i64> {
        self.compared.ahead(Whose::Database)
    }

    fn is_known(&self, database: &Database) -> bool {
        !applies(database) || !self.compared.is_unknown()
    }

    /// One look for all who wait for it.
    async fn first_look(&self, database: &Database) -> Result<(), Error> {
        let look = || look(&self.compared, database);
        self.looked.get_or_try_init(look).await.map(|()| ())
    }

    fn look_when_due(&self, database: &Database) {
        if !applies(database) {
            return;
        }
        let (now, due) = (self.compared.uptime(), self.due.load(Ordering::Relaxed));
        let next = now.saturating_add(INTERVAL);
        let exchange =
            || self.due.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed);
        if now >= due
            && exchange().is_ok()
            && let Ok(runtime) = Handle::try_current()
        {
            let (compared, database) = (self.compared.clone(), database.clone());
            drop(runtime.spawn(async move { look(&compared, &database).await }));
        }
    }
}

/// Whether there are two clocks.
fn applies(database: &Database) -> bool {
    database.has_a_clock() && database.clock().is_real()
}

async fn look(compared: &Compared, database: &Database) -> Result<(), Error> {
    let asked = compared.uptime();
    let polled = timeout(LIMIT, database.poll(0)).await.unwrap_or_else(|_| Err(late()))?;
    compared.note(Whose::Database, polled.now, asked);
    Ok(())
}
