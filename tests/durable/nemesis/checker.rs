//! Whether a history keeps the promises of its store: pure.

mod counts;
mod endings;
mod evidence;
mod failovers;
mod waits;

#[cfg(test)]
mod tests;

use std::fmt;

use self::evidence::Evidence;
pub use self::evidence::Terms;
pub use self::failovers::LEAVES;
use super::history::{History, Kind, MILLI, Op, Site, Time};

/// A promise that was not kept, by which request.
#[derive(Debug, Clone)]
pub struct Violation {
    pub rule: &'static str,
    pub why: String,
    /// The request that shows it, and the other that it contradicts.
    pub op: Option<Op>,
    pub against: Option<Op>,
}

/// Every promise that `history` breaks, by the time of the request that shows it; and how many
/// requests a failover has cost that were acknowledged, where it may.
pub fn check(history: &History, terms: &Terms) -> (Vec<Violation>, usize) {
    let evidence = Evidence::new(history, terms);
    let mut violations = Vec::new();
    for op in &history.ops {
        violations.extend(endings::the_dead_stay_dead(&evidence, op));
        violations.extend(endings::the_signed_in_stay_so(&evidence, op));
        violations.extend(endings::an_answer_makes_sense(&evidence, op));
        violations.extend(counts::a_read_is_fresh(&evidence, op));
        violations.extend(waits::nobody_waits_too_long(&evidence, op));
        violations.extend(waits::an_answer_comes(&evidence, op));
        violations.extend(waits::a_store_that_could_serves(&evidence, op));
        violations.extend(waits::a_database_that_could_writes(&evidence, op));
        violations.extend(waits::a_primary_that_could_serves(&evidence, op));
    }
    violations.extend(counts::each_update_counts_once(&evidence));
    violations.sort_by_key(|violation| violation.op.as_ref().map(|op| op.start));
    (violations, evidence.lost.count())
}

/// What the two instances, asked one after the other when all was at rest, did not agree on.
pub fn agree(history: &History, rested_at: Time) -> Vec<Violation> {
    let reads: Vec<&Op> = history
        .ops
        .iter()
        .filter(|op| op.start >= rested_at && op.kind == Kind::Read && op.token.is_some())
        // Whether it may fail is for other rules.
        .filter(|op| op.status() == Some(200))
        .collect();
    let mut violations = Vec::new();
    for a in reads.iter().filter(|op| op.at == Site::A) {
        for b in reads.iter().filter(|op| op.at == Site::B && op.token == a.token) {
            if (a.user(), a.n()) != (b.user(), b.n()) {
                let why = "at rest, and the other instance says something else";
                violations.push(Violation::new("both agree", a, why).against(b));
            }
        }
    }
    violations
}

impl Violation {
    fn new(rule: &'static str, op: &Op, why: impl Into<String>) -> Self {
        Self { rule, why: why.into(), op: Some(op.clone()), against: None }
    }

    fn against(mut self, op: &Op) -> Self {
        self.against = Some(op.clone());
        self
    }

    /// Of what is left behind, which no request shows.
    pub fn at_rest(why: String) -> Self {
        Self { rule: "at rest", why, op: None, against: None }
    }

    /// What happened around it to the same user.
    pub fn excerpt(&self, history: &History) -> String {
        const AROUND: Time = 1_500 * MILLI;
        let Some(op) = &self.op else { return String::new() };
        let from = self.against.as_ref().map_or(op.start, |against| against.start.min(op.start));
        let (from, to) = (from.saturating_sub(AROUND), op.end + AROUND / 3);
        let mut text = String::new();
        for fault in history.faults.iter().filter(|fault| fault.from < to && from < fault.to) {
            text += &format!("  fault {fault}\n");
        }
        let of_user = |other: &&Op| other.client == op.client && other.overlaps(from, to);
        let ops: Vec<_> = history.ops.iter().filter(of_user).collect();
        let place = ops.iter().position(|other| other.start >= op.start).unwrap_or(0);
        for other in &ops[place.saturating_sub(60)..ops.len().min(place + 15)] {
            let mark = if other.start == op.start { "=>" } else { "  " };
            text += &format!("{mark} {other}\n");
        }
        text
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.why)?;
        if let Some(op) = &self.op {
            write!(f, "\n  {op}")?;
        }
        match &self.against {
            Some(op) => write!(f, "\n  against {op}"),
            None => Ok(()),
        }
    }
}
