//! The fallback drill: this process loses its view of Redis, and nothing else changes. The database
//! serves its sessions, and afterwards no copy from before is read.

use std::time::Duration;

use crate::{
    cli::validate::{functions::Failed, interrupt::Interrupt, own::Sessions},
    error::{Error, ErrorKind},
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
    pub(super) done: Vec<&'static str>,
}

/// Lets connections be opened again, however the drill ends.
struct Cut<'a>(&'a dyn Copies);

impl Drop for Cut<'_> {
    fn drop(&mut self) {
        self.0.cut(false);
    }
}

impl Drill<'_> {
    pub(super) async fn all(&mut self) -> Result<(), Failed> {
        let id = self.sessions.id(0);
        let record = self.sessions.signed_in(Duration::ZERO).map_err(failed("copy"))?;
        let saved = self.store.save(&id, Expected::Absent, &record).await;
        accepted("copy", saved)?;
        self.copy_is_filled(&id).await?;
        self.done.push("copy");
        let cut = Cut(self.copies);
        self.copies.cut(true);
        let newer = self.without_redis(&id, &record).await?;
        self.done.push("without_redis");
        drop(cut);
        self.with_redis_again(&id, &newer).await?;
        self.done.push("with_redis_again");
        self.ends(&id).await?;
        self.done.push("end");
        Ok(())
    }

    async fn copy_is_filled(&self, id: &SessionId) -> Result<(), Failed> {
        self.eventually("copy", "the copies in redis are not trusted", async || {
            Ok(self.copies.are_trusted())
        })
        .await?;
        self.eventually("copy", "no copy is created by reads", async || {
            let _ = self.store.load(id).await?;
            Ok(self.copies.version(id).await? == Some(1))
        })
        .await
    }

    /// Writes and reads go to the database.
    async fn without_redis(&self, id: &SessionId, record: &Record) -> Result<Record, Failed> {
        let step = "without_redis";
        self.reads(step, id, record).await?;
        let newer = self.sessions.next(record).map_err(failed(step))?;
        accepted(step, self.store.save(id, Expected::Version(1), &newer).await)?;
        self.reads(step, id, &newer).await?;
        if self.copies.are_trusted() {
            return Err(Failed::Function(step, "redis is still in use".to_owned()));
        }
        let other = self.sessions.id(1);
        let second = self.sessions.signed_in(Duration::from_secs(1)).map_err(failed(step))?;
        accepted(step, self.store.save(&other, Expected::Absent, &second).await)?;
        let ended = self.store.delete(&other).await.map_err(failed(step))?;
        let found = self.store.load(&other).await.map_err(failed(step))?;
        if !ended || found.is_some() {
            return Err(Failed::Function(step, "a session did not end".to_owned()));
        }
        Ok(newer)
    }

    /// The copy of the former version is never read, from the first request on, and is replaced.
    async fn with_redis_again(&self, id: &SessionId, newer: &Record) -> Result<(), Failed> {
        let step = "with_redis_again";
        self.eventually(step, "redis is not used again", async || {
            self.is_newest(id, newer).await?;
            Ok(self.copies.are_trusted())
        })
        .await?;
        self.eventually(step, "the copy of the former version is not replaced", async || {
            self.is_newest(id, newer).await?;
            Ok(self.copies.version(id).await?.is_none_or(|found| found == newer.version()))
        })
        .await?;
        self.reads(step, id, newer).await
    }

    async fn ends(&self, id: &SessionId) -> Result<(), Failed> {
        let ended = self.store.delete(id).await.map_err(failed("end"))?;
        let found = self.store.load(id).await.map_err(failed("end"))?;
        match ended && found.is_none() {
            true => Ok(()),
            false => Err(Failed::Function("end", "the session did not end".to_owned())),
        }
    }

    async fn is_newest(&self, id: &SessionId, newer: &Record) -> Result<(), Error> {
        match self.store.load(id).await? {
            Some(found) if found.version() == newer.version() => Ok(()),
            Some(_) => Err(Error::new(ErrorKind::Corrupt, "a copy from before was read")),
            None => Err(Error::new(ErrorKind::Corrupt, "the session is gone")),
        }
    }

    async fn reads(
        &self,
        step: &'static str,
        id: &SessionId,
        record: &Record,
    ) -> Result<(), Failed> {
        self.interrupt.check()?;
        self.is_newest(id, record).await.map_err(failed(step))
    }

    /// Until `condition` holds; at once if it fails.
    async fn eventually(
        &self,
        step: &'static str,
        fault: &'static str,
        condition: impl AsyncFn() -> Result<bool, Error>,
    ) -> Result<(), Failed> {
        let started = tokio::time::Instant::now();
        while !condition().await.map_err(failed(step))? {
            if started.elapsed() > PATIENCE {
                return Err(Failed::Function(step, fault.to_owned()));
            }
            self.interrupt.pause(PAUSE).await?;
        }
        Ok(())
    }
}

fn accepted(step: &'static str, outcome: Result<SaveOutcome, Error>) -> Result<(), Failed> {
    match outcome.map_err(failed(step))? {
        SaveOutcome::Saved => Ok(()),
        SaveOutcome::Unknown(error) => Err(failed(step)(error)),
        _ => Err(Failed::Function(step, "a write was not accepted".to_owned())),
    }
}

fn failed(step: &'static str) -> impl Fn(Error) -> Failed {
    move |error| Failed::Store(step, error)
}
