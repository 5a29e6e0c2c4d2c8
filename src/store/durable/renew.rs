//! Moving a session to a new id: the steps of [`renewal`], and Redis told of the end of the old one.

use super::{inner::Inner, journal::Order, write::Doubt};
use crate::{
    error::Error,
    record::Record,
    store::{
        SaveOutcome,
        database::{
            Write, WriteFault, Written,
            renewal::{self, Steps},
        },
    },
    token::SessionId,
};

impl Inner {
    /// Both steps at once, for a caller that tells nobody between them.
    pub(super) async fn renew(
        &self,
        old: &SessionId,
        expected: u64,
        new: &SessionId,
        record: &Record,
    ) -> Result<SaveOutcome, Error> {
        let doubt = Doubt::about(self, *old);
        // Before the commit: who sees the new one never finds a copy of the old one after that.
        self.authority.trust().set_aside(*old, self.now());
        let write = Write::Move { old: *old, expected, new: *new, record: record.clone() };
        let done = match self.commit(write).await {
            Ok(done) => done,
            Err(fault) => return doubt.unless_refused(fault).into_outcome(),
        };
        match done.written {
            Written::Done { .. } => {
                let killed = expected.saturating_add(1);
                self.told(doubt, &Order::Kill, killed, &done).await;
                Ok(SaveOutcome::Saved)
            }
            Written::Gone => {
                doubt.dispel_if(self.kill_copy(old, &done).await);
                Ok(SaveOutcome::Gone)
            }
            Written::Conflict(current) => Ok(SaveOutcome::Conflict(current)),
            Written::Taken => Ok(SaveOutcome::Taken),
        }
    }

    pub(super) async fn begin_renew(
        &self,
        old: &SessionId,
        expected: u64,
        new: &SessionId,
        record: &Record,
    ) -> Result<SaveOutcome, Error> {
        let begun = renewal::begin(old, expected, new, record, self).await?;
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
}

impl Steps for Inner {
    /// One step in the database, and Redis told of what it means for the old id.
    async fn step(&self, write: Write) -> Result<Written, WriteFault> {
        let old = *write.id();
        let doubt = Doubt::about(self, old);
        let begins = matches!(write, Write::Begin { .. });
        let done = match self.commit(write).await {
            Ok(done) => done,
            Err(fault) => return Err(doubt.unless_refused(fault)),
        };
        match done.written {
            Written::Done { version, .. } if !begins => {
                self.told(doubt, &Order::Kill, version, &done).await;
            }
            // Whoever ended it may not have told Redis.
            Written::Gone => doubt.dispel_if(self.kill_copy(&old, &done).await),
            _ => doubt.dispel(),
        }
        Ok(done.written)
    }
}
