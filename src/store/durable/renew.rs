//! Moving a session to a new id: the steps of [`renewal`], and the end of the old one pushed to
//! Redis.
//!
//! Specified in `docs/protocol.md`, sections 3.6 and 3.7.

use crate::{
    error::Error,
    session::token::SessionId,
    store::{
        SaveOutcome,
        database::{
            Write, WriteFault, Written,
            renewal::{self, Steps},
        },
        durable::{engine::Engine, journal::Order, write::Doubt},
    },
};

impl Engine {
    /// The first step of a renewal, or a sign-in without one.
    pub(super) async fn login(&self, login: Write, limited: bool) -> Result<SaveOutcome, Error> {
        let (begun, lost) = renewal::begin(login, self).await?;
        if lost && limited {
            // Some sessions may have ended, and only the journal knows which.
            self.authority.trust().stop_believing(self.now());
            self.acknowledge(self.now(), false).await;
        }
        self.pass("after-begin").await;
        Ok(begun)
    }

    pub(super) async fn finish_renew(
        &self,
        old: &SessionId,
        expected: Option<u64>,
        new: &SessionId,
    ) -> Result<SaveOutcome, Error> {
        renewal::finish(old, expected, new, self).await
    }

    pub(super) async fn abandon_renew(
        &self,
        old: &SessionId,
        new: &SessionId,
    ) -> Result<(), Error> {
        renewal::abandon(old, new, self).await
    }
}

impl Steps for Engine {
    /// One step in the database, and its effect on the old id pushed to Redis.
    async fn step(&self, write: Write) -> Result<Written, WriteFault> {
        let Write::Finish { old, expected, .. } = write else {
            return self.first_step(write).await;
        };
        let doubt = Doubt::about(self, old);
        let done = match self.commit(write).await {
            Ok(done) => done,
            Err(fault) => return Err(doubt.unless_refused(fault)),
        };
        match done.written {
            Written::Done { version, .. } => {
                let pushed = self.tell_of(doubt, &Order::Kill, version, &done).await;
                // A read that finishes another request's renewal acknowledges nothing.
                if expected.is_some() {
                    self.acknowledge(done.at, pushed).await;
                }
            }
            // The instance that ended it may not have updated Redis.
            Written::Gone => doubt.dispel_if(self.kill_copy(&old, &done).await),
            _ => doubt.dispel(),
        }
        Ok(done.written)
    }
}

impl Engine {
    /// Nothing can be cached about the new id, and the old one continues; but the oldest sessions
    /// over the limit may have ended.
    async fn first_step(&self, write: Write) -> Result<Written, WriteFault> {
        let old = if let Write::Begin { old, .. } = &write { Some(*old) } else { None };
        let done = self.commit(write).await?;
        match (&done.written, old) {
            // The instance that ended it may not have updated Redis.
            (Written::Gone, Some(old)) => {
                let _ = self.kill_copy(&old, &done).await;
            }
            (Written::Done { ended, .. }, _) if !ended.is_empty() => {
                let pushed = self.push_ends(&done).await;
                self.acknowledge(done.at, pushed).await;
            }
            _ => {}
        }
        Ok(done.written)
    }

    /// Ends all sessions of a user except `keep`, and updates Redis for each; returns how many were
    /// alive.
    pub(super) async fn revoke_all(
        &self,
        user: String,
        keep: Option<SessionId>,
    ) -> Result<u64, Error> {
        let disbelief = Disbelief(Some(self));
        let done = match self.commit(Write::Revoke { user, keep }).await {
            Ok(done) => done,
            Err(fault) => return Err(disbelief.unless_refused(fault).into_error()),
        };
        let pushed = self.push_ends(&done).await;
        disbelief.dispel();
        self.acknowledge(done.at, pushed).await;
        match done.written {
            Written::Done { version: killed, .. } => Ok(killed),
            _ => Ok(0),
        }
    }
}

/// If it is dropped, by a cancelled caller or with an unknown outcome, a change of unknown sessions
/// may be in progress: Redis is not trusted about any session until the next poll of the journal.
struct Disbelief<'a>(Option<&'a Engine>);

impl Disbelief<'_> {
    fn dispel(mut self) {
        self.0 = None;
    }

    /// A rejected write changed nothing.
    fn unless_refused(self, fault: WriteFault) -> WriteFault {
        if matches!(fault, WriteFault::Refused(_)) {
            self.dispel();
        }
        fault
    }
}

impl Drop for Disbelief<'_> {
    fn drop(&mut self) {
        if let Some(engine) = self.0 {
            engine.authority.trust().stop_believing(engine.now());
        }
    }
}
