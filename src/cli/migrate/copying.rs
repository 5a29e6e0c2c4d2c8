//! One pass over the sessions of the source.

use std::collections::HashMap;

use futures_util::{StreamExt as _, stream};

use crate::{
    cli::{
        arguments::Migrate,
        exit::Failure,
        migrate::{
            decision::{Need, need},
            line::{Line, Written},
            patience::patiently,
            progress::Progress,
            report::Counts,
            state_file::{Begin, Listed, StateFile},
            stores::Stores,
            writing::{Planned, done, write},
        },
    },
    error::{Causes, Error, ErrorKind},
    session::token::SessionId,
    store::{cursor::Cursor, maintenance::Part},
};

/// Sessions that are read and written together.
pub(super) const TOGETHER: usize = 250;
/// Writes in flight.
const AT_ONCE: usize = 250;
/// Bytes of records in flight, unless one has more: a target that is slow for their size would
/// receive them too late to accept them.
const BYTES_AT_ONCE: usize = 1 << 20;
/// Unreadable sessions that are named.
const NAMED_MAX: u64 = 20;

pub(super) struct Copying<'a> {
    pub(super) stores: &'a Stores,
    pub(super) state: StateFile,
    pub(super) counts: Counts,
    pub(super) dry_run: bool,
    /// What the target has lost is copied again.
    pub(super) copy_missing: bool,
    progress: Progress,
    /// Whether this pass reads what no pass has read before.
    is_first: bool,
    /// What the target lacks may have ended there: looked up before it is written.
    pub(super) doubtful: HashMap<SessionId, Listed>,
    /// The same of unfinished renewals, each of which is written after its former session.
    pub(super) renewals: HashMap<SessionId, Listed>,
}

impl<'a> Copying<'a> {
    pub(super) fn new(stores: &'a Stores, state: StateFile, options: &Migrate, json: bool) -> Self {
        let Migrate { dry_run, copy_missing, .. } = *options;
        let (counts, progress) = (Counts::default(), Progress::start(json));
        let (doubtful, renewals) = (HashMap::new(), HashMap::new());
        let is_first = state.begin != Begin::Again;
        Self {
            stores,
            state,
            counts,
            dry_run,
            copy_missing,
            progress,
            is_first,
            doubtful,
            renewals,
        }
    }

    /// The whole pass.
    pub(super) async fn pass(&mut self) -> Result<(), Failure> {
        let done = self.walk().await;
        self.progress.end();
        done?;
        self.state.append(&[Line::PassEnded])
    }

    async fn walk(&mut self) -> Result<(), Failure> {
        self.copy_unconfirmed().await?;
        let from = &*self.stores.from;
        let run = patiently(async || from.run().await).await?;
        let mut position = self.begin(run.as_deref());
        // The first page after a position may have been copied by the run that stored it.
        let mut was_read = position.is_some();
        self.progress.at(position.as_ref().or(Some(&Cursor::Scan(0))), 0);
        loop {
            let after = position.as_ref();
            let page = patiently(async || from.page(after, Part::Head).await).await?;
            let ids: Vec<SessionId> = page.sessions.iter().map(|(id, _)| *id).collect();
            for ids in ids.chunks(TOGETHER) {
                let is_new = self.is_first && !was_read;
                let live = if is_new { self.copy(ids).await? } else { self.compare(ids).await? };
                self.counts.sessions += live;
            }
            if was_read && self.is_first {
                // Before a later position is stored.
                self.copy_doubtful(true).await?;
            }
            was_read = false;
            self.progress.at(page.next.as_ref(), self.counts.sessions);
            position = page.next;
            if self.is_first || position.is_none() {
                self.check_run(run.as_deref()).await?;
            }
            let Some(next) = &position else { break };
            if self.is_first {
                self.state.confirm(&Line::Position(next.clone(), run.clone()))?;
            }
        }
        self.is_first = false;
        self.copy_doubtful(true).await
    }

    /// Where the pass begins, if not at the start.
    fn begin(&mut self, run: Option<&str>) -> Option<Cursor> {
        let position = match &self.state.begin {
            Begin::At(Cursor::Scan(_), other) if run.is_none() || other.as_deref() != run => None,
            Begin::At(cursor, _) => Some(cursor.clone()),
            Begin::First | Begin::Again => return None,
        };
        self.is_first = position.is_some();
        position
    }

    /// A cursor of another run of the server passes over sessions: what was read so far is not all.
    async fn check_run(&self, run: Option<&str>) -> Result<(), Error> {
        let from = &*self.stores.from;
        if patiently(async || from.run().await).await?.as_deref() == run {
            return Ok(());
        }
        let text = "the source's redis restarted during the pass: run it again";
        Err(Error::new(ErrorKind::Unavailable, text))
    }

    /// Copies these sessions; returns how many of them live in the source.
    pub(super) async fn copy(&mut self, ids: &[SessionId]) -> Result<u64, Failure> {
        let live = self.written(ids).await?;
        self.state.confirm(&Line::Confirmed)?;
        Ok(live)
    }

    /// Writes these sessions, without a confirmation of the lines so far.
    pub(super) async fn written(&mut self, ids: &[SessionId]) -> Result<u64, Failure> {
        let planned = self.plan(ids).await?;
        let lines: Vec<Line> = planned.iter().flat_map(lines).collect();
        self.state.append(&lines)?;
        if self.dry_run {
            planned.iter().for_each(|planned| self.counts.add(&done(planned.need)));
            return Ok(planned.len() as u64);
        }
        let (renewals, others): (Vec<&Planned>, Vec<&Planned>) =
            planned.iter().partition(|planned| matches!(planned.need, Need::Renew(_)));
        for others in in_flight(&others) {
            self.write_all(others).await?;
        }
        for renewal in &renewals {
            self.copy_old_of(renewal).await?;
            self.write_all(std::slice::from_ref(renewal)).await?;
        }
        Ok(planned.len() as u64)
    }

    /// Writes them concurrently. After an error too all of them have a result: no write is in
    /// flight when the command ends.
    async fn write_all(&mut self, planned: &[&Planned]) -> Result<(), Failure> {
        let stores = self.stores;
        let write = async |one: &&Planned| (one.id, write(stores, one).await);
        let mut writes = stream::iter(planned.iter().map(write)).buffer_unordered(AT_ONCE);
        let (mut not_stored, mut failed) = (Vec::new(), None);
        while let Some((id, written)) = writes.next().await {
            match written {
                Ok(counts) => {
                    self.counts.add(&counts);
                    not_stored.extend((counts.not_stored > 0).then_some(Line::NotStored(id)));
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        self.state.append(&not_stored)?;
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// The session that is being renewed, if it is on a later page.
    async fn copy_old_of(&mut self, renewal: &Planned) -> Result<(), Failure> {
        match renewal.need {
            Need::Renew(old) if self.is_first => {
                // Boxed: a chain of them is rare. Not confirmed: the lines of the renewal are not
                // written yet.
                Box::pin(self.written(&[old])).await.map(|_| ())
            }
            _ => Ok(()),
        }
    }

    /// Reads both stores.
    pub(super) async fn plan(&mut self, ids: &[SessionId]) -> Result<Vec<Planned>, Failure> {
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

/// Parts that are written one after the other.
fn in_flight<'a, 'b>(planned: &'a [&'b Planned]) -> Vec<&'a [&'b Planned]> {
    let (mut parts, mut rest, mut bytes, mut length) = (Vec::new(), planned, 0, 0);
    for one in planned {
        let more = one.source.record.encoded_len();
        if length > 0 && bytes + more > BYTES_AT_ONCE {
            let (part, others) = rest.split_at(length);
            parts.push(part);
            (rest, bytes, length) = (others, 0, 0);
        }
        (bytes, length) = (bytes + more, length + 1);
    }
    parts.push(rest);
    parts
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use crate::{
        cli::migrate::copying::*,
        session::{
            record::Record,
            values::{Edits, Values},
        },
        store::maintenance::Stored,
    };

    fn planned(bytes: usize) -> Planned {
        let value = Some(Bytes::from(vec![b'1'; bytes]));
        let values = Values::default().edited(&Edits::from([("a".into(), value)]));
        let source = Stored { record: Record { values, ..Record::example() }, replaces: None };
        Planned { id: SessionId::from([1; 32]), source, target: None, need: Need::Create }
    }

    #[test]
    fn no_more_than_one_mebibyte_is_in_flight_unless_one_record_has_more() {
        let empty = planned(0).source.record.encoded_len();
        let quarter = (1 << 18) - empty;
        for (bytes, parts) in [
            (vec![quarter; 4], vec![4]),
            (vec![quarter, quarter, quarter, quarter + 1], vec![3, 1]),
            (vec![0, 3 << 20, 0, 0], vec![1, 1, 2]),
            (vec![3 << 20], vec![1]),
            (vec![1_000; 250], vec![250]),
        ] {
            let planned: Vec<Planned> = bytes.into_iter().map(planned).collect();
            let planned: Vec<&Planned> = planned.iter().collect();
            let lengths: Vec<usize> = in_flight(&planned).into_iter().map(<[_]>::len).collect();
            assert_eq!(lengths, parts);
        }
    }
}
