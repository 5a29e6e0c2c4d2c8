//! State of a memory store: records, epochs, and records from before a move.

use std::collections::HashMap;

use crate::{
    clock::timestamp::Timestamp,
    session::{
        moved::{HOPS_MAX, MOVED_KEPT},
        record::{Record, Touch},
        token::SessionId,
    },
    store::{Expected, LoginWrite, SaveOutcome},
};

/// Writes between two sweeps of ended records.
const SWEEP_EVERY: usize = 1024;

/// The whole state, behind one lock.
#[derive(Default)]
pub(super) struct State {
    pub(super) records: HashMap<SessionId, Record>,
    /// Records from before a move, under the old ids.
    moved: HashMap<SessionId, Record>,
    epochs: HashMap<Box<str>, u64>,
    writes: usize,
}

impl State {
    pub(super) fn save(
        &mut self,
        id: &SessionId,
        expected: Expected,
        record: &Record,
        now: Timestamp,
    ) -> SaveOutcome {
        match (self.records.get(id), expected) {
            (None, Expected::Version(_)) => return SaveOutcome::Gone,
            (Some(_), Expected::Absent) => return SaveOutcome::IdInUse,
            (Some(current), Expected::Version(version)) if current.version() != version => {
                return SaveOutcome::Conflict(current.clone());
            }
            _ => {}
        }
        self.put(*id, record, now);
        SaveOutcome::Saved
    }

    pub(super) fn delete_version(&mut self, id: &SessionId, expected: u64) -> SaveOutcome {
        match self.records.get(id) {
            None => return SaveOutcome::Gone,
            Some(current) if current.version() != expected => {
                return SaveOutcome::Conflict(current.clone());
            }
            Some(_) => {}
        }
        self.records.remove(id);
        SaveOutcome::Saved
    }

    pub(super) fn renew(
        &mut self,
        old: &SessionId,
        expected: u64,
        new: &SessionId,
        record: &Record,
        now: Timestamp,
    ) -> SaveOutcome {
        match self.records.get(old) {
            None => return SaveOutcome::Gone,
            Some(current) if current.version() != expected => {
                return SaveOutcome::Conflict(current.clone());
            }
            Some(_) => {}
        }
        if self.records.contains_key(new) {
            return SaveOutcome::IdInUse;
        }
        if let Some(before) = self.records.remove(old) {
            self.moved.insert(*old, before.moved(*new, now));
        }
        self.put(*new, record, now);
        SaveOutcome::Saved
    }

    /// The record under `id`, or the one from before it moved.
    pub(super) fn load(&self, id: &SessionId, now: Timestamp) -> Option<Record> {
        let kept = |record: &&Record| record.moved_within(MOVED_KEPT, now);
        self.records.get(id).or_else(|| self.moved.get(id).filter(kept)).cloned()
    }

    /// Deletes what is under `id`, or under the id that it has moved to.
    pub(super) fn delete(&mut self, id: &SessionId, now: Timestamp) -> bool {
        let mut id = *id;
        for _ in 0..HOPS_MAX {
            match self.moved.get(&id).and_then(|record| record.moved.as_deref()) {
                Some(moved) if moved.is_within(MOVED_KEPT, now) => id = moved.to,
                _ => break,
            }
        }
        self.records.remove(&id).is_some()
    }

    pub(super) fn login(&mut self, login: LoginWrite<'_>, now: Timestamp) -> SaveOutcome {
        let LoginWrite { old, new, record, epoch, limit, .. } = login;
        let user = record.user().unwrap_or_default();
        if epoch.is_some_and(|epoch| epoch != self.epoch(user)) {
            return SaveOutcome::Revoked;
        }
        let outcome = match old {
            Some((old, expected)) => self.renew(old, expected, new, record, now),
            None => self.save(new, Expected::Absent, record, now),
        };
        if let (SaveOutcome::Saved, Some(limit)) = (&outcome, limit) {
            self.end_oldest(user, new, usize::try_from(limit.get()).unwrap_or(usize::MAX), now);
        }
        outcome
    }

    /// Ends the oldest sessions of a user beyond `limit`; `new` stays.
    fn end_oldest(&mut self, user: &str, new: &SessionId, limit: usize, now: Timestamp) {
        let theirs = |(id, record): &(&SessionId, &Record)| {
            record.user() == Some(user) && *id != new && record.end() > now
        };
        let others = self.records.iter().filter(theirs);
        let mut others: Vec<_> = others.map(|(id, record)| (record.created(), *id)).collect();
        others.sort_unstable();
        for (_, id) in others.iter().rev().skip(limit.saturating_sub(1)) {
            self.records.remove(id);
        }
    }

    pub(super) fn epoch(&self, user: &str) -> u64 {
        self.epochs.get(user).copied().unwrap_or_default()
    }

    pub(super) fn sessions_of(&self, user: &str) -> Vec<(SessionId, Record)> {
        let theirs = self.records.iter().filter(|(_, record)| record.user() == Some(user));
        theirs.map(|(id, record)| (*id, record.clone())).collect()
    }

    pub(super) fn revoke_all(
        &mut self,
        user: &str,
        keep: Option<&SessionId>,
        now: Timestamp,
    ) -> u64 {
        *self.epochs.entry(user.into()).or_default() += 1;
        let mut alive = 0;
        self.records.retain(|id, record| {
            let theirs = record.user() == Some(user) && keep != Some(id);
            alive += u64::from(theirs && record.end() > now);
            !theirs
        });
        alive
    }

    pub(super) fn touch(&mut self, id: &SessionId, version: u64, activity: Touch) -> bool {
        let record = self.records.get_mut(id).filter(|record| record.version() == version);
        record.is_some_and(|record| record.touch(activity))
    }

    fn put(&mut self, id: SessionId, record: &Record, now: Timestamp) {
        self.writes += 1;
        if self.writes.is_multiple_of(SWEEP_EVERY) {
            self.records.retain(|_, record| record.end() > now);
            self.moved.retain(|_, record| record.moved_within(MOVED_KEPT, now));
        }
        self.records.insert(id, record.clone());
    }
}
