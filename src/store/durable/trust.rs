//! Trust in copies: pure, over a given now.
//!
//! An instance trusts a copy in Redis as long as it has polled the database lately (the lease), the
//! connection leads to the server that the generation was made for, and no change of that session
//! is known that Redis may have missed.
//!
//! Specified in `docs/protocol.md`, sections 2.3 and 3.1.

use std::{collections::HashMap, time::Duration};

use crate::{
    clock::moment::Moment,
    session::token::SessionId,
    store::{
        database::row::Epoch,
        redis::client::incarnation::{Incarnation, Peer},
    },
};

/// Maximum number of sessions distrusted one by one between two polls; beyond it nothing is trusted
/// until the next poll. Above the maximum of the journal limit.
const SET_ASIDE_MAX: usize = if cfg!(test) { 100 } else { 200_000 };

/// Knowledge of one instance about the copies, with its age.
#[derive(Debug)]
pub(super) struct Trust {
    /// Lifetime of the lease: how long a reply of the database is trusted.
    lease: Duration,
    epoch: Option<Known>,
    /// When the last successful poll started.
    polled_at: Option<Moment>,
    /// No poll that started before this is trusted.
    doubted_at: Option<Moment>,
    /// Redis was unreachable then: a copy may be older than what was read from the database since,
    /// until a poll that starts after this.
    unseen_at: Option<Moment>,
    /// Sessions whose change Redis may have missed, and since when.
    set_aside: HashMap<SessionId, Moment>,
    bumped_at: Option<Moment>,
    journal: usize,
}

#[derive(Clone, Debug)]
struct Known {
    epoch: Epoch,
    since: Moment,
}

/// The consequence of a poll's reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Learned {
    Fine,
    /// The database was restored to an earlier state: Redis may be ahead of it.
    Restored,
}

impl Trust {
    pub(super) fn new(lease: Duration) -> Self {
        Self {
            lease,
            epoch: None,
            polled_at: None,
            doubted_at: None,
            unseen_at: None,
            set_aside: HashMap::new(),
            bumped_at: None,
            journal: 0,
        }
    }

    /// The generation in which to read `id` over a connection to `peer`, if the copy is trusted.
    pub(super) fn vouched(&self, id: &SessionId, peer: &Peer, now: Moment) -> Option<u64> {
        self.epoch_of(id, peer).filter(|_| self.holds(now) && self.is_checked(peer, now))
    }

    /// The same while the database is unreachable: the lease has ended, and for `stretch` longer
    /// the copies are the best available.
    pub(super) fn stretched(
        &self,
        id: &SessionId,
        peer: &Peer,
        now: Moment,
        stretch: Duration,
    ) -> Option<u64> {
        self.epoch_of(id, peer)
            .filter(|_| self.outlasts(now, stretch) && self.is_checked(peer, now))
    }

    /// Whether the identity of the server was verified at most a lease ago: behind an open
    /// connection a primary may be demoted, and take over older data.
    pub(super) fn is_checked(&self, peer: &Peer, now: Moment) -> bool {
        peer.checked_at().age(now) <= self.lease
    }

    /// Whether the last knowledge is used while the database is unreachable.
    pub(super) fn outlasts(&self, now: Moment, stretch: Duration) -> bool {
        let limit = self.lease.saturating_add(stretch);
        !stretch.is_zero() && self.age(now).is_some_and(|age| age <= limit)
    }

    fn epoch_of(&self, id: &SessionId, peer: &Peer) -> Option<u64> {
        let known = &self.epoch.as_ref()?.epoch;
        let same = *known.incarnation == *peer.incarnation().as_str();
        (same && !self.set_aside.contains_key(id)).then_some(known.generation)
    }

    /// Whether the known generation was created for that server.
    pub(super) fn vouches(&self, server: &Incarnation) -> bool {
        self.epoch.as_ref().is_some_and(|known| *known.epoch.incarnation == *server.as_str())
    }

    pub(super) fn epoch(&self) -> Option<&Epoch> {
        self.epoch.as_ref().map(|known| &known.epoch)
    }

    /// Adopts a newer epoch at once. This is not a poll: the lease is not extended.
    pub(super) fn adopt(&mut self, epoch: &Epoch, now: Moment) {
        if self.epoch.as_ref().is_none_or(|known| known.epoch.seq < epoch.seq) {
            self.epoch = Some(Known { epoch: epoch.clone(), since: now });
        }
    }

    /// Takes over a poll's reply: `start` is when it started, `unpushed` the sessions in the
    /// journal; `None` if they exceed the limit.
    pub(super) fn learn(
        &mut self,
        epoch: &Epoch,
        unpushed: Option<impl IntoIterator<Item = SessionId>>,
        start: Moment,
        now: Moment,
    ) -> Learned {
        // In the same millisecond too: which of the two was first is unknown.
        let overtaken = self.epoch.as_ref().is_some_and(|known| known.since >= start);
        let went_back = self.epoch.as_ref().is_some_and(|known| {
            let (ours, theirs) = (&known.epoch, epoch);
            theirs.seq < ours.seq || theirs.seq == ours.seq && theirs.generation != ours.generation
        });
        if went_back && !overtaken {
            // Fails closed: nothing is trusted until there is a generation newer than both.
            self.polled_at = None;
            return Learned::Restored;
        }
        self.adopt(epoch, now);
        // Fails closed: copies of the sessions over the limit would be trusted wrongly.
        let Some(unpushed) = unpushed else { return Learned::Fine };
        // Sessions distrusted since the poll started are not in its reply.
        self.set_aside.retain(|_, since| *since >= start);
        self.journal = 0;
        for id in unpushed {
            self.journal += 1;
            let _ = self.set_aside.entry(id).or_insert(start);
        }
        if self.doubted_at.is_none_or(|doubted| doubted < start) {
            self.polled_at = self.polled_at.max(Some(start));
        }
        Learned::Fine
    }

    /// Redis may have missed a change of unknown sessions: distrusts it until the next poll.
    pub(super) fn stop_believing(&mut self, now: Moment) {
        self.polled_at = None;
        self.doubted_at = Some(now);
    }

    /// Redis is unreachable, or reachable again: distrusts it until the next poll. While the
    /// database is unreachable the earlier state may still be used.
    pub(super) fn lost_sight(&mut self, now: Moment) {
        self.unseen_at = Some(now);
    }

    /// Redis may have missed a change of `id`.
    pub(super) fn set_aside(&mut self, id: SessionId, now: Moment) {
        let _ = self.set_aside.insert(id, now);
        // Fails closed: more than expected between two polls.
        if self.set_aside.len() > SET_ASIDE_MAX {
            self.stop_believing(now);
        }
    }

    /// Whether this instance may create a new generation: at most one per lease, so that two that
    /// see different servers do not compete.
    pub(super) fn may_bump(&self, now: Moment) -> bool {
        self.bumped_at.is_none_or(|bumped| bumped.age(now) > self.lease)
    }

    pub(super) fn bumped(&mut self, now: Moment) {
        self.bumped_at = Some(now);
    }

    /// Whether every instance has known this generation for a lease, or has lost its own.
    pub(super) fn is_settled(&self, now: Moment) -> bool {
        self.epoch.as_ref().is_some_and(|known| known.since.age(now) >= self.lease)
    }

    /// Age of the knowledge; `None` if there is none.
    pub(super) fn age(&self, now: Moment) -> Option<Duration> {
        self.polled_at.map(|polled| polled.age(now))
    }

    /// Whether the lease is still held.
    pub(super) fn holds(&self, now: Moment) -> bool {
        let seen = self.polled_at.is_some_and(|polled| self.unseen_at.is_none_or(|at| at < polled));
        seen && self.age(now).is_some_and(|age| age <= self.lease)
    }

    /// Number of distrusted sessions, and how many of them the last poll found in the journal.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.set_aside.len(), self.journal)
    }
}

#[cfg(test)]
#[path = "trust/tests.rs"]
mod tests;
