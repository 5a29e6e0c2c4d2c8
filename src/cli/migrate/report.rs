//! The result of a run, in numbers.

use std::time::Duration;

use serde::Serialize;

use crate::cli::{
    exit::{Exit, Failure},
    output::Output,
};

/// Numbers of sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    /// Alive in the source. Redis may return one twice.
    pub(super) sessions: u64,
    /// Created in the target.
    pub(super) copied: u64,
    /// Changed in the target, which had an earlier version.
    pub(super) changed: u64,
    /// Whose activity was stored in the target.
    pub(super) touched: u64,
    pub(super) unchanged: u64,
    /// Used in the target since they were copied, and left as they are there.
    pub(super) kept: u64,
    /// Ended in the target since they were copied, and not copied again.
    pub(super) ended_in_target: u64,
    /// Rejected by the target, which received them too late: copied by the next run.
    pub(super) not_stored: u64,
    /// Ended in the target by this run, since they have ended in the source.
    pub(super) ended: u64,
    /// Expired in the source, and not copied.
    pub(super) expired: u64,
    /// Records that cannot be decoded, in the source or the target.
    pub(super) unreadable: u64,
}

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    counts: &'a Counts,
    complete: bool,
    dry_run: bool,
    seconds: f64,
}

impl Counts {
    pub(super) const fn add(&mut self, other: &Self) {
        self.sessions += other.sessions;
        self.copied += other.copied;
        self.changed += other.changed;
        self.touched += other.touched;
        self.unchanged += other.unchanged;
        self.kept += other.kept;
        self.ended_in_target += other.ended_in_target;
        self.not_stored += other.not_stored;
        self.ended += other.ended;
        self.expired += other.expired;
        self.unreadable += other.unreadable;
    }

    /// Prints the report; `complete` if the run was not ended by an error.
    pub(super) fn print(
        &self,
        (complete, dry_run): (bool, bool),
        took: Duration,
        output: &mut Output,
    ) -> Result<Exit, Failure> {
        let seconds = took.as_secs_f64();
        if output.is_json() {
            let seconds = (seconds * 1_000.0).round() / 1_000.0;
            output.json(&Report { counts: self, complete, dry_run, seconds })?;
        } else {
            output.fields(self.lines(dry_run))?;
            let rate = rate(self.sessions, took);
            output.fields([("time", format!("{seconds:.1} s, {rate} sessions a second"))])?;
            if !complete {
                output.line("incomplete: run the command again, and it continues")?;
            }
        }
        Ok(if self.unreadable > 0 || self.not_stored > 0 { Exit::Finding } else { Exit::Done })
    }

    fn lines(&self, dry_run: bool) -> [(&'static str, String); 11] {
        let done = if dry_run { "to be " } else { "" };
        [
            ("sessions", self.sessions.to_string()),
            ("  copied", format!("{} {done}created in the target", self.copied)),
            ("  changed", format!("{} {done}brought to a later version", self.changed)),
            ("  touched", format!("{} {done}given later activity", self.touched)),
            ("  unchanged", self.unchanged.to_string()),
            ("  kept", format!("{} used in the target, left as they are", self.kept)),
            ("  ended there", format!("{} ended in the target since", self.ended_in_target)),
            ("  not stored", format!("{} rejected by the target: run it again", self.not_stored)),
            ("ended", format!("{} {done}ended as in the source", self.ended)),
            ("expired", format!("{} in the source, not copied", self.expired)),
            ("unreadable", self.unreadable.to_string()),
        ]
    }
}

/// Sessions a second.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rounded"
)]
pub(super) fn rate(sessions: u64, took: Duration) -> u64 {
    (sessions as f64 / took.as_secs_f64().max(0.001)).round() as u64
}
