//! Failed attempts: rows of counters, and the decision on the next attempt. Pure.
//!
//! A row counts the failures under one name: a pair of account and network, an account, a network.
//! It recovers by one failure in each `recovery`, and ends when none is left. Rows are kept in a
//! fixed number of buckets, each of a bounded number of rows: a full bucket loses its row with the
//! fewest failures, and the new row takes those over, so that displacing a row forgives nothing
//! (the "space-saving" algorithm of Metwally, Agrawal and El Abbadi, 2005).

use std::time::Duration;

use crate::clock::timestamp::Timestamp;

/// One call to an [`AttemptStore`](crate::store::AttemptStore).
#[derive(Clone, Debug)]
pub struct AttemptWrite {
    pub(crate) action: Action,
    /// In the order of the constants [`SITE`] and following; a limit by network alone has the first
    /// two.
    pub(crate) counters: Vec<Counter>,
    /// The row that exists if the account has signed in from this network.
    pub(crate) known: Option<AttemptKey>,
    /// How long that row is kept.
    pub(crate) known_for: Duration,
    /// Maximum number of rows in a bucket.
    pub(crate) ways: u32,
}

/// Places of the counters in a write.
pub(crate) const SITE: usize = 0;
pub(crate) const NETWORK: usize = 1;
pub(crate) const PAIR: usize = 2;
pub(crate) const ACCOUNT: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Counts an attempt in every counter, unless one of them throttles it.
    Begin,
    /// The attempt was no failure: the pair starts from the beginning, the account loses the pair's
    /// failures, the networks lose this one.
    Succeed,
    /// Deletes the rows.
    Forgive,
}

/// The row of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AttemptKey {
    pub(crate) bucket: u32,
    pub(crate) tag: [u8; TAG_LEN],
}

pub(crate) const TAG_LEN: usize = 16;

/// A counter and its limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counter {
    pub(crate) key: AttemptKey,
    pub(crate) rule: Rule,
}

/// A limit in milliseconds and failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Failures without a wait.
    pub(crate) free: u32,
    /// Failures beyond which every attempt waits for recovery.
    pub(crate) max: u32,
    /// The same for a known network, which does not wait for anything else; 0 if a known network
    /// is treated as any other.
    pub(crate) max_known: u32,
    pub(crate) first_wait: u64,
    pub(crate) longest_wait: u64,
    pub(crate) recovery: u64,
}

/// A stored counter. Times are in milliseconds of the store's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AttemptRow {
    pub(crate) failures: u32,
    /// From when the failures recover.
    pub(crate) since: u64,
    /// From when the next attempt is admitted.
    pub(crate) opens: u64,
    pub(crate) ends: u64,
}

/// The result of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptOutcome(pub(crate) Verdict);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Done,
    /// The counter at that place throttles the attempt for that time.
    Throttled {
        place: usize,
        wait: Duration,
    },
}

/// What a decision does to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Keep,
    Remove,
    Put(AttemptRow),
}

impl AttemptWrite {
    /// The keys of all rows that the decision depends on: of the counters, then of the known
    /// network.
    pub(crate) fn keys(&self) -> impl Iterator<Item = AttemptKey> + '_ {
        self.counters.iter().map(|counter| counter.key).chain(self.known)
    }

    /// The row to store at `place` when it displaces one with `displaced` failures: it takes them
    /// over, up to its own first wait.
    pub(crate) fn taking_over(
        &self,
        place: usize,
        row: AttemptRow,
        displaced: u32,
        now: u64,
    ) -> AttemptRow {
        let Some(Counter { rule, .. }) = self.counters.get(place) else { return row };
        // Up to the first wait: what others did locks no one out.
        let failures = row.failures.saturating_add(displaced.min(rule.free - 1));
        rule.waiting(AttemptRow { failures, ..row }, now)
    }

    /// The outcome, and the change of each row of [`keys`](Self::keys), for the rows found.
    pub(crate) fn decide(
        &self,
        found: &[Option<AttemptRow>],
        now: Timestamp,
    ) -> (AttemptOutcome, Vec<Change>) {
        let now = now.as_millis();
        let row = |place: usize| found.get(place).copied().flatten().filter(|row| row.ends > now);
        match self.action {
            Action::Begin => self.begin(row, now),
            Action::Succeed => (AttemptOutcome::DONE, self.succeed(row, now)),
            Action::Forgive => (AttemptOutcome::DONE, vec![Change::Remove; self.keys().count()]),
        }
    }

    fn begin(
        &self,
        row: impl Fn(usize) -> Option<AttemptRow>,
        now: u64,
    ) -> (AttemptOutcome, Vec<Change>) {
        let known = self.known.is_some() && row(self.counters.len()).is_some();
        let counters = self.counters.iter().enumerate();
        let rows: Vec<_> =
            counters.map(|(place, counter)| counter.rule.recovered(row(place), now)).collect();
        let rules = self.counters.iter().map(|counter| counter.rule);
        let waits = rows.iter().zip(rules.clone()).map(|(row, rule)| rule.wait(row, known, now));
        let longest = waits.enumerate().rev().max_by_key(|(_, wait)| *wait);
        if let Some((place, wait)) = longest.filter(|(_, wait)| *wait > 0) {
            let wait = Duration::from_millis(wait);
            return (AttemptOutcome(Verdict::Throttled { place, wait }), Vec::new());
        }
        let counted = rows.iter().zip(rules).map(|(row, rule)| Change::Put(rule.count(*row, now)));
        (AttemptOutcome::DONE, counted.chain(self.known.map(|_| Change::Keep)).collect())
    }

    fn succeed(&self, row: impl Fn(usize) -> Option<AttemptRow>, now: u64) -> Vec<Change> {
        let pair = self.counters.get(PAIR).map(|pair| pair.rule.recovered(row(PAIR), now));
        let own = pair.map_or(0, |pair| pair.failures);
        let less = |(place, counter): (usize, &Counter)| {
            let fewer = match place {
                PAIR => u32::MAX,
                ACCOUNT => own,
                _ => 1,
            };
            match row(place) {
                None => Change::Keep,
                found => counter.rule.release(counter.rule.recovered(found, now), fewer),
            }
        };
        let mut changes: Vec<_> = self.counters.iter().enumerate().map(less).collect();
        if self.known.is_some() {
            let ends = now.saturating_add(millis(self.known_for));
            changes.push(Change::Put(AttemptRow { failures: 0, since: now, opens: 0, ends }));
        }
        changes
    }
}

impl Rule {
    /// The row without the failures that have recovered by now.
    fn recovered(&self, row: Option<AttemptRow>, now: u64) -> AttemptRow {
        let fresh = AttemptRow { failures: 0, since: now, opens: 0, ends: now };
        let Some(row) = row else { return fresh };
        let recovered = now.saturating_sub(row.since) / self.recovery.max(1);
        let recovered = u32::try_from(recovered).unwrap_or(u32::MAX).min(row.failures);
        let since = match row.failures - recovered {
            0 => now,
            // A clock that was set back does not prolong it.
            _ => row.since.min(now) + u64::from(recovered) * self.recovery,
        };
        let opens = row.opens.min(now.saturating_add(self.longest_wait));
        AttemptRow { failures: row.failures - recovered, since, opens, ends: row.ends }
    }

    /// How long the next attempt has to wait.
    fn wait(&self, row: &AttemptRow, known: bool, now: u64) -> u64 {
        let yields = known && self.max_known > 0;
        let (max, opens) =
            if yields { (self.max_known, 0) } else { (self.max, row.opens.saturating_sub(now)) };
        if row.failures < max {
            return opens;
        }
        let over = u64::from(row.failures - max) + 1;
        let recovers = row.since.saturating_add(over.saturating_mul(self.recovery));
        recovers.saturating_sub(now).max(opens)
    }

    /// One more failure.
    fn count(&self, row: AttemptRow, now: u64) -> AttemptRow {
        self.waiting(AttemptRow { failures: row.failures.saturating_add(1), ..row }, now)
    }

    /// The row with the wait for its failures, from now on.
    fn waiting(&self, row: AttemptRow, now: u64) -> AttemptRow {
        let opens = match row.failures.checked_sub(self.free) {
            None => 0,
            Some(over) => {
                let factor = 1_u64.checked_shl(over).unwrap_or(u64::MAX);
                let wait = self.first_wait.saturating_mul(factor).min(self.longest_wait);
                now.saturating_add(wait)
            }
        };
        self.ending(AttemptRow { opens, ..row })
    }

    /// Some failures less; none are no row.
    fn release(&self, row: AttemptRow, fewer: u32) -> Change {
        let failures = row.failures.saturating_sub(fewer);
        if failures == 0 {
            return Change::Remove;
        }
        let opens = if failures < self.free { 0 } else { row.opens };
        Change::Put(self.ending(AttemptRow { failures, opens, ..row }))
    }

    fn ending(&self, row: AttemptRow) -> AttemptRow {
        let recovered = u64::from(row.failures).saturating_mul(self.recovery);
        AttemptRow { ends: row.since.saturating_add(recovered).max(row.opens), ..row }
    }
}

impl AttemptRow {
    /// The row with the least is displaced first.
    pub(crate) fn weight(&self) -> (u32, u64) {
        (self.failures, self.ends)
    }
}

impl AttemptOutcome {
    pub(crate) const DONE: Self = Self(Verdict::Done);
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
