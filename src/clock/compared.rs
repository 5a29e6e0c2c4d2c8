//! Comparison of this process' clock with those of the stores, which all instances share.
//!
//! A clock that is hours off would end all sessions early, or its own too late. So where it differs
//! by more than a bound, the stores' time counts: of three clocks the median, of two the store's.
//! Between readings the boot-time clock advances it, so a step of this process' clock is noticed at
//! once.

#![cfg_attr(not(feature = "redis"), allow(dead_code, reason = "for stores with a clock"))]

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::SystemTime,
};

use crate::clock::{timestamp::Timestamp, uptime::Uptime};

/// Difference in milliseconds up to which clocks count as equal.
const BOUND: i64 = 2_000;
/// Largest difference in milliseconds with which a check passes.
const CHECK_BOUND: i64 = 30_000;
const UNKNOWN: i64 = i64::MIN;

/// The owner of a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    Redis,
    Database,
}

/// Readings of the stores' clocks. Clones share one state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Compared(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// Not moved by a test that simulates suspension.
    uptime: Uptime,
    redis: Reading,
    database: Reading,
    /// Milliseconds by which a test shifts this process' own clock.
    shifted: AtomicI64,
}

/// The time of a clock at boot, in milliseconds.
struct Reading {
    at_boot: AtomicI64,
    is_off: AtomicBool,
}

impl Compared {
    /// The time by this process' clock alone.
    pub(crate) fn own(&self) -> Timestamp {
        let own = millis(SystemTime::now().into());
        timestamp(own.saturating_add(self.0.shifted.load(Ordering::Relaxed)))
    }

    /// The time by which sessions expire.
    pub(crate) fn now(&self) -> Timestamp {
        let own = self.own();
        let (redis, database) = (self.0.redis.at_boot(), self.0.database.at_boot());
        if redis == UNKNOWN && database == UNKNOWN {
            return own;
        }
        let up = self.uptime();
        judge(own, redis.checked_add(up), database.checked_add(up))
    }

    /// A store's clock showed `theirs` at some time between `asked` and now, in milliseconds since
    /// boot.
    pub(crate) fn note(&self, whose: Whose, theirs: Timestamp, asked: i64) {
        let up = self.uptime();
        let middle = asked.saturating_add(up.saturating_sub(asked) / 2);
        let reading = self.reading(whose);
        reading.at_boot.store(millis(theirs).saturating_sub(middle), Ordering::Relaxed);
        let Some(ahead) = self.ahead(whose) else { return };
        // A reply that took long is less precise than what is known.
        let is_off = ahead.saturating_abs() > BOUND.saturating_add(up.saturating_sub(asked) / 2);
        if reading.is_off.swap(is_off, Ordering::Relaxed) == is_off {
            return;
        }
        let seconds = ahead / 1_000;
        if is_off {
            tracing::warn!(clock = %whose, seconds_ahead = seconds,
                "clock differs from the stores' clocks, by which sessions expire");
        } else {
            tracing::info!(clock = %whose, "clock agrees with the stores' clocks");
        }
    }

    /// Milliseconds since boot, to pass to `note` with a later reading.
    pub(crate) fn uptime(&self) -> i64 {
        i64::try_from(self.0.uptime.now().as_millis()).unwrap_or(i64::MAX)
    }

    /// How many milliseconds a store's clock is ahead of this process'.
    pub(crate) fn ahead(&self, whose: Whose) -> Option<i64> {
        let at_boot = self.reading(whose).at_boot();
        let theirs = at_boot.checked_add(self.uptime()).filter(|_| at_boot != UNKNOWN)?;
        Some(theirs.saturating_sub(millis(self.own())))
    }

    /// The first clock that differs by more than a check allows, and by how many seconds.
    pub(crate) fn beyond_check(&self) -> Option<(Whose, i64)> {
        let far = |whose| {
            let ahead = self.ahead(whose)?;
            (ahead.saturating_abs() > CHECK_BOUND).then_some((whose, ahead / 1_000))
        };
        far(Whose::Database).or_else(|| far(Whose::Redis))
    }

    /// Whether sessions expire by another time than this process' own.
    pub(crate) fn differs(&self) -> bool {
        let (own, now) = (millis(self.own()), millis(self.now()));
        own.saturating_sub(now).saturating_abs() > BOUND / 2
    }

    /// Whether any store's clock was ever seen.
    #[cfg(any(feature = "_database", test))]
    pub(crate) fn is_unknown(&self) -> bool {
        [Whose::Redis, Whose::Database].iter().all(|whose| self.ahead(*whose).is_none())
    }

    /// Simulates a step of this process' own clock, forward or back.
    #[cfg(feature = "_hooks")]
    pub(crate) fn shift(&self, millis: i64) {
        self.0.shifted.store(millis, Ordering::Relaxed);
    }

    fn reading(&self, whose: Whose) -> &Reading {
        match whose {
            Whose::Redis => &self.0.redis,
            Whose::Database => &self.0.database,
        }
    }
}

/// The time to use, from the own time and the stores' readings, if any.
fn judge(own: Timestamp, redis: Option<i64>, database: Option<i64>) -> Timestamp {
    let ours = millis(own);
    let known = |time: Option<i64>| time.filter(|time| *time > 0);
    let shared = match (known(redis), known(database)) {
        (Some(one), Some(other)) => one.min(other).max(ours).min(one.max(other)),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => ours,
    };
    let differs = ours.saturating_sub(shared).saturating_abs() > BOUND;
    if differs { timestamp(shared) } else { own }
}

fn millis(time: Timestamp) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn timestamp(millis: i64) -> Timestamp {
    Timestamp::from_millis(u64::try_from(millis).unwrap_or(0))
}

impl Reading {
    fn at_boot(&self) -> i64 {
        self.at_boot.load(Ordering::Relaxed)
    }
}

impl Default for Reading {
    fn default() -> Self {
        Self { at_boot: AtomicI64::new(UNKNOWN), is_off: AtomicBool::new(false) }
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compared").finish_non_exhaustive()
    }
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Redis => "redis",
            Self::Database => "the database",
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::clock::compared::*;

    const HOUR: i64 = 3_600_000;
    const NOON: i64 = 1_700_000_000_000;

    #[test]
    fn of_three_clocks_the_one_in_the_middle_counts_and_of_two_the_stores() {
        for (name, own, redis, database, judged) in [
            ("alone", 0, None, None, 0),
            ("all agree", 0, Some(300), Some(-900), 0),
            ("within the bound", 2_000, Some(0), Some(0), 2_000),
            ("ahead of redis", 2 * HOUR, Some(0), None, 0),
            ("behind the database", -2 * HOUR, None, Some(5), 5),
            ("ahead of both", 2 * HOUR, Some(1), Some(2), 2),
            ("behind both", -2 * HOUR, Some(1), Some(2), 1),
            ("redis is wrong", 0, Some(2 * HOUR), Some(10), 0),
            ("the database is wrong", 0, Some(10), Some(-2 * HOUR), 0),
            ("nobody agrees", 0, Some(HOUR), Some(2 * HOUR), HOUR),
        ] {
            let at = |offset: Option<i64>| offset.map(|offset| NOON + offset);
            let now = judge(timestamp(NOON + own), at(redis), at(database));
            assert_eq!(millis(now) - NOON, judged, "{name}");
        }
    }

    #[test]
    fn a_reading_goes_on_by_itself_and_tells_how_far_it_is_off() {
        let compared = Compared::default();
        assert!(compared.is_unknown() && compared.ahead(Whose::Redis).is_none());
        let own = millis(compared.own());
        compared.note(Whose::Redis, timestamp(own - 2 * HOUR), compared.uptime());
        let ahead = compared.ahead(Whose::Redis).unwrap();
        assert!((ahead + 2 * HOUR).abs() < 1_000, "{ahead}");
        assert!((millis(compared.now()) - own + 2 * HOUR).abs() < 1_000);
        assert_eq!(compared.beyond_check().map(|(whose, _)| whose), Some(Whose::Redis));
        compared.note(Whose::Redis, compared.own(), compared.uptime());
        assert!(compared.beyond_check().is_none() && !compared.is_unknown());
    }
}
