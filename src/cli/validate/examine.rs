//! All keys and rows, in two looks: a record that changes while it is compared is no finding.

use std::{collections::HashSet, time::Duration};

use crate::{
    cli::validate::{
        interrupt::{Interrupt, Interrupted},
        report::Report,
    },
    clock::{Clock, timestamp::Timestamp},
    error::Error,
    session::token::SessionId,
    store::audit::{Area, Audit, Ends, Kind, Places, Subject, Suspicion},
};

/// Between two looks at a place.
const PAUSE: Duration = Duration::from_millis(250);
/// Looks at a place that changes at each of them.
const LOOKS: u32 = 6;
/// How long a change may wait for an instance to push it: three poll intervals.
const PENDING: Duration = Duration::from_secs(3);

/// What is examined, and how it is judged.
pub(super) struct Examination<'a> {
    pub(super) audit: &'a dyn Audit,
    pub(super) interrupt: &'a Interrupt,
    /// Keys or rows of each area.
    pub(super) limit: u64,
    /// A session that is younger cannot have expired.
    pub(super) shortest_life: Duration,
    pub(super) clock: Clock,
}

pub(super) enum Stop {
    Interrupted,
    Failed(Error),
}

impl From<Interrupted> for Stop {
    fn from(_: Interrupted) -> Self {
        Self::Interrupted
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Examination<'_> {
    pub(super) async fn of(&self, area: Area, report: &mut Report) -> Result<(), Stop> {
        let (mut examined, mut ends, mut next) = (0_u64, Ends::default(), None);
        let mut not_compared = None;
        let done = loop {
            self.interrupt.check()?;
            let page = match self.audit.page(area, next.as_ref()).await {
                Ok(page) => page,
                Err(error) => break Err(error),
            };
            examined = examined.saturating_add(page.examined);
            ends.add(page.ends);
            not_compared = not_compared.or(page.not_compared);
            let suspicions = self.unexpired(page.suspicions);
            if let Err(stop) = self.confirm(area, suspicions, report).await {
                report.examined(area, examined, false, not_compared);
                return Err(stop);
            }
            next = page.next;
            if next.is_none() || examined >= self.limit {
                break Ok(());
            }
        };
        let all = done.is_ok() && next.is_none() && not_compared.is_none();
        report.examined(area, examined, all, not_compared);
        done?;
        if area == Area::Rows {
            self.ends(ends, report).await?;
        }
        Ok(())
    }

    /// Without entries of sessions that may have expired: these are normal.
    fn unexpired(&self, mut suspicions: Vec<Suspicion>) -> Vec<Suspicion> {
        let now = self.clock.now();
        suspicions.retain(|one| {
            let created = Timestamp::from_millis(one.seen);
            one.kind != Kind::IndexEntryOrphaned || created.saturating_add(self.shortest_life) > now
        });
        suspicions
    }

    /// Looks again until each suspicion is the same at two looks, or gone.
    async fn confirm(
        &self,
        area: Area,
        mut before: Vec<Suspicion>,
        report: &mut Report,
    ) -> Result<(), Stop> {
        for _ in 1..LOOKS {
            if before.is_empty() {
                return Ok(());
            }
            self.interrupt.pause(PAUSE).await?;
            let places: Places = before.iter().map(|one| one.place.clone()).collect();
            let mut again = self.audit.again(area, &places).await?;
            // What is suspicious only now is found at its own page.
            let known: HashSet<_> = before.iter().map(|old| (old.kind, &old.subject)).collect();
            again.retain(|one| known.contains(&(one.kind, &one.subject)));
            let seen: HashSet<&Suspicion> = before.iter().collect();
            let (same, changed): (Vec<_>, _) =
                again.into_iter().partition(|one| seen.contains(one));
            same.into_iter().for_each(|one| report.find(one.kind, one.subject));
            before = changed;
        }
        report.unsettled = report.unsettled.saturating_add(before.len() as u64);
        Ok(())
    }

    /// Whether the service deletes rows in time: only a store that is written to does.
    async fn ends(&self, ends: Ends, report: &mut Report) -> Result<(), Stop> {
        let Some(last_write) = ends.last_write else { return Ok(()) };
        if ends.first_due.is_some_and(|due| due < last_write) {
            report.count(Kind::RowsNotPurged, ends.overdue, "sessions");
        }
        let others = self.audit.overdue(last_write).await?;
        if others > 0 {
            report.count(Kind::RowsNotPurged, others, "revoked users and failed attempts");
        }
        Ok(())
    }

    /// Changes that no instance pushes to Redis.
    pub(super) async fn journal(&self, report: &mut Report) -> Result<(), Stop> {
        let first = self.audit.pending().await?;
        if first.is_empty() {
            return Ok(());
        }
        self.interrupt.pause(PENDING).await?;
        let second = self.audit.pending().await?;
        let stuck = |one: &&(SessionId, u64)| first.contains(one);
        for (id, _) in second.iter().filter(stuck) {
            report.find(Kind::JournalPending, Subject::session(*id));
        }
        Ok(())
    }
}
