//! What an earlier run may have copied: compared, and looked up in the state file before it is
//! written.

use std::collections::HashMap;

use crate::{
    cli::{
        exit::Failure,
        migrate::{
            copying::{Copying, TOGETHER},
            decision::Need,
            line::{Line, Written},
            state_file::Listed,
            writing::done,
        },
    },
    session::token::SessionId,
};

/// Sessions that are looked up in the state file at once.
const LOOK_UP: usize = 200_000;

impl Copying<'_> {
    /// What an earlier run listed and may have written or not, and what the target did not accept.
    pub(super) async fn copy_unconfirmed(&mut self) -> Result<(), Failure> {
        let mut ids = std::mem::take(&mut self.state.unconfirmed);
        ids.extend(self.state.not_stored.drain());
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Ok(());
        }
        for ids in ids.chunks(TOGETHER) {
            let missing = self.examine(ids).await?.1;
            for id in &missing {
                let _ = (self.doubtful.remove(id), self.renewals.remove(id));
            }
            let _ = self.written(&missing).await?;
        }
        let doubtful = std::mem::take(&mut self.doubtful);
        for ids in self.ours(doubtful)?.chunks(TOGETHER) {
            let _ = self.written(ids).await?;
        }
        // Not before all of them are written.
        self.state.confirm(&Line::Confirmed)
    }

    /// Finds out which of these sessions need something in the target, for later.
    pub(super) async fn compare(&mut self, ids: &[SessionId]) -> Result<u64, Failure> {
        let (live, _) = self.examine(ids).await?;
        if self.doubtful.len() >= LOOK_UP {
            self.copy_doubtful(false).await?;
        }
        Ok(live)
    }

    /// Compares both stores; returns how many live, and which of them the target lacks.
    async fn examine(&mut self, ids: &[SessionId]) -> Result<(u64, Vec<SessionId>), Failure> {
        let planned = self.plan(ids).await?;
        let mut missing = Vec::new();
        for planned in &planned {
            if matches!(planned.need, Need::Nothing | Need::Keep) {
                self.counts.add(&done(planned.need));
                continue;
            }
            if planned.target.is_none() {
                missing.push(planned.id);
            }
            let target = planned.target.as_ref().map(Written::of);
            let listed = Listed { target, is_listed: false, is_ours: false };
            let renews = matches!(planned.need, Need::Renew(_));
            let doubtful = if renews { &mut self.renewals } else { &mut self.doubtful };
            let _ = doubtful.insert(planned.id, listed);
        }
        Ok((planned.len() as u64, missing))
    }

    /// Copies those that the target never had, or has as it got them; the others were ended or used
    /// there. Renewals at last: the former session may be on any page.
    pub(super) async fn copy_doubtful(&mut self, is_last: bool) -> Result<(), Failure> {
        let doubtful = std::mem::take(&mut self.doubtful);
        let mut ours = self.ours(doubtful)?;
        if is_last {
            let renewals = std::mem::take(&mut self.renewals);
            ours.extend(self.ours(renewals)?);
        }
        for ids in ours.chunks(TOGETHER) {
            let _ = self.copy(ids).await?;
        }
        Ok(())
    }

    /// Which of them may be written, by the state file. Counts the others.
    fn ours(&mut self, mut found: HashMap<SessionId, Listed>) -> Result<Vec<SessionId>, Failure> {
        self.state.look_up(&mut found)?;
        let mut ours = Vec::new();
        for (id, listed) in found {
            match listed {
                Listed { target: None, is_listed: true, .. } if !self.copy_missing => {
                    self.counts.ended_in_target += 1;
                }
                Listed { target: Some(_), is_listed: true, is_ours: false } => {
                    self.counts.kept += 1;
                }
                _ => ours.push(id),
            }
        }
        Ok(ours)
    }
}
