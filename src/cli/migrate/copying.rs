//! One pass over the sessions of the source.

use std::collections::HashMap;

use futures_util::{StreamExt as _, stream};

use crate::{
    cli::{
        arguments::Migrate,
        exit::Failure,
        migrate::{
            decision::{Need, need},
            patience::patiently,
            progress::Progress,
            report::Counts,
            state_file::{Begin, Line, Listed, StateFile, Written},
            stores::Stores,
            writing::{Planned, done, write},
        },
    },
    error::{Causes, Error},
    session::token::SessionId,
    store::maintenance::{Cursor, Part},
};

/// Sessions that are read and written together.
const TOGETHER: usize = 250;
/// Writes in flight.
const AT_ONCE: usize = 250;
/// Sessions that are looked up in the state file at once.
const LOOK_UP: usize = 200_000;
/// Unreadable sessions that are named.
const NAMED_MAX: u64 = 20;

pub(super) struct Copying<'a> {
    pub(super) stores: &'a Stores,
    pub(super) state: StateFile,
    pub(super) counts: Counts,
    pub(super) dry_run: bool,
    /// What the target has lost is copied again.
    copy_missing: bool,
    progress: Progress,
    /// What the target lacks may have ended there: looked up before it is written.
    doubtful: HashMap<SessionId, (Listed, bool)>,
}

impl<'a> Copying<'a> {
    pub(super) fn new(stores: &'a Stores, state: StateFile, options: &Migrate, json: bool) -> Self {
        let Migrate { dry_run, copy_missing, .. } = *options;
        let (counts, progress, doubtful) =
            (Counts::default(), Progress::start(json), HashMap::new());
        Self { stores, state, counts, dry_run, copy_missing, progress, doubtful }
    }

    /// The whole pass.
    pub(super) async fn pass(&mut self) -> Result<(), Failure> {
        let done = self.walk().await;
        self.progress.end();
        done?;
        self.state.append(&[Line::PassEnded])
    }

    async fn walk(&mut self) -> Result<(), Failure> {
        // The run before may have written them or not.
        for ids in std::mem::take(&mut self.state.unconfirmed).chunks(TOGETHER) {
            let _ = self.copy(ids).await?;
        }
        let from = &*self.stores.from;
        let run = patiently(async || from.run().await).await?;
        let (is_first, mut position) = match &self.state.begin {
            Begin::First => (true, None),
            Begin::At(Cursor::Scan(_), other) if run.is_none() || *other != run => (false, None),
            Begin::At(cursor, _) => (true, Some(cursor.clone())),
            Begin::Again => (false, None),
        };
        self.progress.at(position.as_ref().or(Some(&Cursor::Scan(0))), 0);
        loop {
            let after = position.as_ref();
            let page = patiently(async || from.page(after, Part::Head).await).await?;
            let ids: Vec<SessionId> = page.sessions.iter().map(|(id, _)| *id).collect();
            for ids in ids.chunks(TOGETHER) {
                let live = if is_first { self.copy(ids).await? } else { self.compare(ids).await? };
                self.counts.sessions += live;
            }
            self.progress.at(page.next.as_ref(), self.counts.sessions);
            position = page.next;
            let Some(next) = &position else { break };
            if is_first {
                self.state.confirm(&Line::Position(next.clone(), run.clone()))?;
            }
        }
        self.copy_doubtful().await
    }

    /// Copies these sessions; returns how many of them live in the source.
    async fn copy(&mut self, ids: &[SessionId]) -> Result<u64, Failure> {
        let planned = self.plan(ids).await?;
        let lines: Vec<Line> = planned.iter().flat_map(lines).collect();
        self.state.append(&lines)?;
        let (renewals, others): (Vec<&Planned>, Vec<&Planned>) =
            planned.iter().partition(|planned| matches!(planned.need, Need::Renew(_)));
        if self.dry_run {
            planned.iter().for_each(|planned| self.counts.add(&done(planned.need)));
            return Ok(planned.len() as u64);
        }
        let stores = self.stores;
        let mut writes =
            stream::iter(others.iter().map(|one| write(stores, one))).buffer_unordered(AT_ONCE);
        while let Some(written) = writes.next().await {
            self.counts.add(&written?);
        }
        drop(writes);
        for renewal in renewals {
            self.copy_old_of(renewal).await?;
            self.counts.add(&write(stores, renewal).await?);
        }
        self.state.confirm(&Line::Confirmed)?;
        Ok(planned.len() as u64)
    }

    /// The session that is being renewed, if it is on a later page.
    async fn copy_old_of(&mut self, renewal: &Planned) -> Result<(), Failure> {
        match renewal.need {
            Need::Renew(old) if self.state.begin != Begin::Again => {
                // Boxed: a chain of them is rare.
                Box::pin(self.copy(&[old])).await.map(|_| ())
            }
            _ => Ok(()),
        }
    }

    /// Finds out which of these sessions need something in the target, for later.
    async fn compare(&mut self, ids: &[SessionId]) -> Result<u64, Failure> {
        let planned = self.plan(ids).await?;
        for planned in &planned {
            match planned.need {
                Need::Nothing | Need::Keep => self.counts.add(&done(planned.need)),
                Need::Create | Need::Renew(_) | Need::Save(_) | Need::Touch | Need::Finish => {
                    let target = planned.target.as_ref().map(Written::of);
                    let listed = Listed { target, is_listed: false, is_ours: false };
                    let renews = matches!(planned.need, Need::Renew(_));
                    let _ = self.doubtful.insert(planned.id, (listed, renews));
                }
            }
        }
        if self.doubtful.len() >= LOOK_UP {
            self.copy_doubtful().await?;
        }
        Ok(planned.len() as u64)
    }

    /// Copies those that the target never had, or has as it got them; the others were ended or used
    /// there.
    async fn copy_doubtful(&mut self) -> Result<(), Failure> {
        let mut doubtful = std::mem::take(&mut self.doubtful);
        self.state.look_up(doubtful.iter_mut().map(|(id, (listed, _))| (*id, listed)).collect())?;
        let (mut first, mut then) = (Vec::new(), Vec::new());
        for (id, (listed, renews)) in doubtful {
            match listed {
                Listed { target: None, is_listed: true, .. } if !self.copy_missing => {
                    self.counts.ended_in_target += 1;
                }
                Listed { target: Some(_), is_listed: true, is_ours: false } => {
                    self.counts.kept += 1;
                }
                _ if renews => then.push(id),
                _ => first.push(id),
            }
        }
        for ids in first.chunks(TOGETHER).chain(then.chunks(TOGETHER)) {
            let _ = self.copy(ids).await?;
        }
        Ok(())
    }

    /// Reads both stores.
    async fn plan(&mut self, ids: &[SessionId]) -> Result<Vec<Planned>, Failure> {
        let Stores { from, to } = self.stores;
        let (source, target) = tokio::try_join!(
            patiently(async || from.find_each(ids).await),
            patiently(async || to.find_each(ids).await),
        )?;
        let now = from.store().clock().now();
        let mut planned = Vec::with_capacity(ids.len());
        for ((id, source), target) in ids.iter().zip(source).zip(target) {
            match (source, target) {
                (Err(error), _) => self.unreadable("source", id, &error),
                (_, Err(error)) => self.unreadable("target", id, &error),
                // Ended since it was found.
                (Ok(None), _) => {}
                (Ok(Some(source)), _) if source.record.deadlines.is_over(now) => {
                    self.counts.expired += 1;
                }
                (Ok(Some(source)), Ok(target)) => {
                    let need = need(&source, target.as_ref());
                    planned.push(Planned { id: *id, source, target, need });
                }
            }
        }
        Ok(planned)
    }

    fn unreadable(&mut self, place: &str, id: &SessionId, error: &Error) {
        self.counts.unreadable += 1;
        if self.counts.unreadable <= NAMED_MAX {
            let error = Causes(error);
            tracing::warn!(session.id = %id, %error, "unreadable in the {place}");
        }
    }
}

/// What is listed before it is written: also what the target has already, which this migration
/// takes charge of.
fn lines(Planned { id, source, need, .. }: &Planned) -> Vec<Line> {
    let session = Line::Session(*id, Written::of(source));
    match need {
        Need::Keep => Vec::new(),
        Need::Renew(old) => vec![Line::Renewal(*old, *id), session],
        _ => vec![session],
    }
}
