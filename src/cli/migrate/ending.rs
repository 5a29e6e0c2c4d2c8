//! Ends in the target what has ended in the source.
//!
//! A session that the source no longer has is ended in the target if the target has it exactly as
//! this migration wrote it: not one that was used there since, nor one that is not of the source.
//! One that has expired in the source expires in the target by itself.

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt as _, stream};

use crate::{
    cli::{
        exit::Failure,
        migrate::{
            line::{Line, Written},
            patience::patiently,
            report::Counts,
            state_file::StateFile,
            stores::Stores,
            writing::outlives,
        },
    },
    error::{Error, ErrorKind},
    session::token::SessionId,
    store::SaveOutcome,
};

const TOGETHER: usize = 500;
const AT_ONCE: usize = 256;
/// Endings up to which no share of them is suspicious.
const FEW: u64 = 100;

/// One pass over the state file.
pub(super) struct Ending<'a> {
    pub(super) stores: &'a Stores,
    pub(super) state: &'a StateFile,
    pub(super) counts: &'a mut Counts,
    pub(super) dry_run: bool,
    /// End them even if they are most.
    pub(super) even_most: bool,
}

impl Ending<'_> {
    pub(super) async fn pass(&mut self) -> Result<(), Failure> {
        let renewed = self.renewals().await?;
        let mut lines = self.state.lines()?;
        let mut checked = 0;
        loop {
            let mut written: Vec<(SessionId, Written)> = Vec::with_capacity(TOGETHER);
            for line in lines.by_ref() {
                match line? {
                    Line::Session(id, state) if !renewed.contains(&id) => written.push((id, state)),
                    _ => {}
                }
                if written.len() == TOGETHER {
                    break;
                }
            }
            if written.is_empty() {
                return Ok(());
            }
            checked += written.len() as u64;
            let ended = self.ended(&written).await?;
            let all = self.counts.ended + ended.len() as u64;
            if !self.even_most && all > FEW && all > checked / 2 {
                return Err(most(all, checked).into());
            }
            // The source may have lost them after most were checked.
            if !self.even_most && ended.len() > TOGETHER / 2 {
                return Err(most(ended.len() as u64, written.len() as u64).into());
            }
            self.end(&ended).await?;
        }
    }

    /// Those that the source no longer has, and the target has as they were written.
    async fn ended(
        &self,
        written: &[(SessionId, Written)],
    ) -> Result<Vec<(SessionId, u64)>, Error> {
        let Stores { from, to } = self.stores;
        let ids: Vec<SessionId> = written.iter().map(|(id, _)| *id).collect();
        let source = patiently(async || from.find_each(&ids).await).await?;
        let gone = written.iter().zip(source).filter(|(_, found)| matches!(found, Ok(None)));
        let gone: Vec<&(SessionId, Written)> = gone.map(|(written, _)| written).collect();
        if gone.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<SessionId> = gone.iter().map(|(id, _)| *id).collect();
        let target = patiently(async || to.find_each(&ids).await).await?;
        let now = to.store().clock().now();
        let mut ended = HashMap::new();
        for ((id, written), found) in gone.into_iter().zip(target) {
            let Ok(Some(found)) = found else { continue };
            let over = found.record.deadlines.is_over(now);
            if !over && found.replaces.is_none() && Written::of(&found) == *written {
                let _ = ended.insert(*id, written.version);
            }
        }
        Ok(ended.into_iter().collect())
    }

    async fn end(&mut self, ended: &[(SessionId, u64)]) -> Result<(), Failure> {
        if self.dry_run {
            self.counts.ended += ended.len() as u64;
            return Ok(());
        }
        let store = self.stores.to.store();
        let end = async |(id, version): &(SessionId, u64)| {
            let attempt = async || match store.delete_version(id, *version).await? {
                SaveOutcome::Unknown(error) => Err(error),
                outcome => Ok(outcome),
            };
            patiently(attempt).await
        };
        let mut ends = stream::iter(ended.iter().map(end)).buffer_unordered(AT_ONCE);
        while let Some(outcome) = ends.next().await {
            self.counts.ended += u64::from(matches!(outcome?, SaveOutcome::Saved));
        }
        Ok(())
    }

    /// Finishes or ends in the target the renewals that were unfinished when they were copied;
    /// returns the old ids of those that are unfinished there. To end one of the two would end the
    /// other.
    async fn renewals(&mut self) -> Result<HashSet<SessionId>, Failure> {
        let mut renewed = HashSet::new();
        let (from, to) = (&self.stores.from, &self.stores.to);
        for line in self.state.lines()? {
            let Line::Renewal(old, new) = line? else { continue };
            let ids = [old, new];
            let target = patiently(async || to.find_each(&ids).await).await?;
            let [_, Ok(Some(target))] = &*target else { continue };
            if target.replaces != Some(old) {
                continue;
            }
            let _ = renewed.insert(old);
            if self.dry_run {
                continue;
            }
            let source = patiently(async || from.find_each(&ids).await).await?;
            let lives = match &*source {
                [_, Ok(Some(stored))] if stored.replaces.is_none() => true,
                [Ok(None), Ok(_)] => patiently(async || outlives(&**from, &new).await).await?,
                _ => continue,
            };
            if lives {
                // Finishes it.
                let _ = patiently(async || to.store().load(&new).await).await?;
            } else {
                let ended = patiently(async || to.store().delete(&new).await).await?;
                self.counts.ended += u64::from(ended);
            }
        }
        Ok(renewed)
    }
}

fn most(ended: u64, checked: u64) -> Error {
    let text = format!(
        "the source no longer has {ended} of {checked} sessions that were copied: is it \
         the right one, with its data? --end-most ends them in the target"
    );
    Error::new(ErrorKind::Absent, text)
}
