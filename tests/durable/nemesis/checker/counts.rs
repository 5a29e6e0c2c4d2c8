//! That nothing acknowledged is lost, and nothing is counted twice.

use std::collections::HashMap;

use super::super::history::{Kind, Op};
use super::Violation;
use super::evidence::Evidence;

/// Each acknowledged update gave another value, and a later one a larger.
pub fn each_update_counts_once(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for token in evidence.youngest() {
        let mut updates: Vec<&Op> = Vec::new();
        for token in evidence.kept_line(token) {
            updates.extend(evidence.updates(token).filter(|op| acknowledged(op).is_some()));
        }
        updates.sort_by_key(|op| op.start);
        let mut values: HashMap<u64, &Op> = HashMap::new();
        for op in &updates {
            let value = acknowledged(op).unwrap_or(0);
            let other = values.insert(value, op);
            if let Some(other) = other.filter(|other| !is_excused(evidence, other, op)) {
                let why = format!("{value} was answered twice");
                violations.push(Violation::new("each update counts once", op, why).against(other));
            }
            let earlier = updates.iter().filter(|earlier| {
                let is_more = acknowledged(earlier) > Some(value);
                earlier.end < op.start && is_more && !is_excused(evidence, earlier, op)
            });
            let lost = earlier.max_by_key(|earlier| acknowledged(earlier));
            if let Some(lost) = lost {
                let why = format!("{value} after more was acknowledged");
                violations.push(Violation::new("each update counts once", op, why).against(lost));
            }
        }
    }
    violations
}

/// A failover has cost one of the two.
fn is_excused(evidence: &Evidence<'_>, earlier: &Op, later: &Op) -> bool {
    if evidence.may_be_lost(earlier) {
        evidence.lost.note(earlier);
        return true;
    }
    evidence.may_be_lost(later)
}

/// What is read is no less than what was acknowledged, and no more than was tried.
pub fn a_read_is_fresh(evidence: &Evidence<'_>, op: &Op) -> Option<Violation> {
    let token = op.token.as_deref().filter(|_| op.is_alive())?;
    if !matches!(op.kind, Kind::Read | Kind::Update) {
        return None;
    }
    let n = op.n()?;
    let token = token_in(evidence, token)?;
    for token in evidence.kept_line(token) {
        for update in evidence.updates(token) {
            let Some(value) = acknowledged(update).filter(|value| *value > n) else { continue };
            let known = evidence.known_by(op.at, update.end, Some(update.at));
            let excused = update.at != op.at
                && evidence.may_be_behind(op.at, update.end, op.start)
                && evidence.may_be_untold(update);
            if op.start > known && !excused && !is_excused(evidence, update, op) {
                let why = format!("{n} where {value} was acknowledged");
                return Some(Violation::new("a read is fresh", op, why).against(update));
            }
        }
    }
    let line = evidence.line(token).into_iter();
    let updates = line.flat_map(|token| evidence.updates(token));
    let tried = updates.filter(|update| update.start < op.end).count() as u64;
    let why = format!("{n} where {tried} were tried");
    (n > tried).then(|| Violation::new("a read is fresh", op, why))
}

/// The same cookie, as the history holds it.
fn token_in<'a>(evidence: &Evidence<'a>, token: &str) -> Option<&'a str> {
    evidence.birth(token)?.new_token()
}

fn acknowledged(op: &Op) -> Option<u64> {
    op.n().filter(|_| op.kind == Kind::Visit || op.kind == Kind::Update && op.is_alive())
}
