//! The fallback drill: this process loses its view of Redis, and nothing else changes. The database
//! serves its sessions, and afterwards no copy from before is read.

use std::time::Duration;

use crate::{
    cli::validate::{
        expectation::{Done, Failed, Fault, expect, gone, note},
        interrupt::Interrupt,
        own::Sessions,
    },
    session::{record::Record, token::SessionId},
    store::{Expected, SaveOutcome, UserStore, audit::Copies},
};

/// For polls, probes and copies that are filled in the background: several poll intervals.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

pub(super) struct Drill<'a> {
    pub(super) store: &'a dyn UserStore,
    pub(super) copies: &'a dyn Copies,
    pub(super) sessions: &'a Sessions<'a>,
    pub(super) interrupt: &'a Interrupt,
}

/// Lets connections be opened again, however the drill ends.
struct Cut<'a>(&'a dyn Copies);

impl Drop for Cut<'_> {
    fn drop(&mut self) {
        self.0.cut(false);
    }
}

impl Drill<'_> {
    /// Adds to `done` what was done.
    pub(super) async fn all(&self, done: &mut Vec<&'static str>) -> Result<(), Failed> {
        let id = self.sessions.id(0);
        let record = note(done, "copy", self.copy(&id).await)?;
        let cut = Cut(self.copies);
        self.copies.cut(true);
        let newer = note(done, "without_redis", self.without_redis(&id, &record).await)?;
        drop(cut);
        note(done, "with_redis_again", self.with_redis_again(&id, &newer).await)?;
        note(done, "end", self.ends(&id, "the session did not end").await)
    }

    /// A session with a copy in Redis.
    async fn copy(&self, id: &SessionId) -> Result<Record, Fault> {
        let record = self.sessions.signed_in(Duration::ZERO)?;
        accepted(self.store.save(id, Expected::Absent, &record).await?)?;
        self.eventually("the copies in redis are not trusted", async || {
            Ok(self.copies.are_trusted())
        })
        .await?;
        self.eventually("no copy is created by reads", async || {
            let _ = self.store.load(id).await?;
            Ok(self.copies.version(id).await? == Some(1))
        })
        .await?;
        Ok(record)
    }

    /// Writes and reads go to the database.
    async fn without_redis(&self, id: &SessionId, record: &Record) -> Result<Record, Fault> {
        self.reads(id, record).await?;
        let newer = self.sessions.next(record)?;
        accepted(self.store.save(id, Expected::Version(1), &newer).await?)?;
        self.reads(id, &newer).await?;
        expect(!self.copies.are_trusted(), "redis is still in use")?;
        let other = self.sessions.id(1);
        let second = self.sessions.signed_in(Duration::from_secs(1))?;
        accepted(self.store.save(&other, Expected::Absent, &second).await?)?;
        self.ends(&other, "a session did not end").await?;
        Ok(newer)
    }

    /// The copy of the former version is never read, from the first request on, and is replaced.
    async fn with_redis_again(&self, id: &SessionId, newer: &Record) -> Done {
        self.eventually("redis is not used again", async || {
            self.is_newest(id, newer).await?;
            Ok(self.copies.are_trusted())
        })
        .await?;
        self.eventually("the copy of the former version is not replaced", async || {
            self.is_newest(id, newer).await?;
            Ok(self.copies.version(id).await?.is_none_or(|found| found == newer.version()))
        })
        .await?;
        self.reads(id, newer).await
    }

    async fn ends(&self, id: &SessionId, fault: &'static str) -> Done {
        let ended = self.store.delete(id).await?;
        let found = self.store.load(id).await?;
        expect(ended && found.is_none(), fault)
    }

    async fn is_newest(&self, id: &SessionId, newer: &Record) -> Done {
        match self.store.load(id).await? {
            Some(found) => {
                expect(found.version() == newer.version(), "a copy from before was read")
            }
            None => Err(gone()),
        }
    }

    async fn reads(&self, id: &SessionId, record: &Record) -> Done {
        self.interrupt.check()?;
        self.is_newest(id, record).await
    }

    /// Until `condition` holds; at once if it fails.
    async fn eventually(
        &self,
        fault: &'static str,
        condition: impl AsyncFn() -> Result<bool, Fault>,
    ) -> Done {
        let started = tokio::time::Instant::now();
        while !condition().await? {
            expect(started.elapsed() <= PATIENCE, fault)?;
            self.interrupt.pause(PAUSE).await?;
        }
        Ok(())
    }
}

fn accepted(outcome: SaveOutcome) -> Done {
    match outcome {
        SaveOutcome::Unknown(error) => Err(error.into()),
        outcome => expect(matches!(outcome, SaveOutcome::Saved), "a write was not accepted"),
    }
}
