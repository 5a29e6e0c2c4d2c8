//! That requests are answered, and in time.

use super::super::history::{Kind, MILLI, Op, Place, REDIS, Time};
use super::Violation;
use super::evidence::Evidence;

/// What an answer may take beside the store.
const AROUND: Time = 50 * MILLI;
/// So long after a fault its marks are still there: connections to be made, probes to be sent.
pub const AFTERMATH: Time = 1_200 * MILLI;
/// A machine so busy proves nothing.
pub const BUSY: Time = 100 * MILLI;
const HALTED: Time = 150 * MILLI;
const SECOND: Time = 1_000 * MILLI;

/// No request takes longer than its budget, and what the machine itself took.
pub fn nobody_waits_too_long(evidence: &Evidence<'_>, op: &Op) -> Option<Violation> {
    op.status()?;
    let before = op.start.saturating_sub(SECOND);
    if evidence.history.longest_stall(op.at, before, op.end + SECOND) > HALTED {
        return None;
    }
    let acknowledgement =
        if evidence.terms.strict && op.kind.writes() { evidence.terms.lease } else { 0 };
    let stall = evidence.history.stall(op.at, op.start, op.end);
    let own = [Place::Instance(op.at)];
    let stopped = evidence
        .history
        .faults_on(&own)
        .map(|fault| fault.to.min(op.end).saturating_sub(fault.from.max(op.start)));
    let allowed =
        evidence.terms.budget + acknowledgement + AROUND + 2 * stall + stopped.sum::<Time>();
    let took = op.end - op.start;
    let why = || format!("{} ms where {} are allowed", took / MILLI, allowed / MILLI);
    (took > allowed).then(|| Violation::new("nobody waits too long", op, why()))
}

/// Every request is answered, unless its instance was killed or halted over it.
pub fn an_answer_comes(evidence: &Evidence<'_>, op: &Op) -> Option<Violation> {
    let own = [Place::Instance(op.at)];
    let from = op.start.saturating_sub(HALTED);
    let lost = op.status().is_none() && evidence.history.is_clean(&own, from, op.end + HALTED);
    lost.then(|| Violation::new("an answer comes", op, "none came, and the instance was there"))
}

/// A write is taken as long as the database can take it, whatever Redis does.
pub fn a_database_that_could_writes(evidence: &Evidence<'_>, op: &Op) -> Option<Violation> {
    let failed = op.kind.writes() && op.status().is_some_and(|status| status >= 500);
    let from = op.start.saturating_sub(AFTERMATH);
    let is_durable = evidence.terms.is_durable;
    if !failed || !is_durable || evidence.history.stall(op.at, from, op.end) > BUSY {
        return None;
    }
    let database = [Place::Postgres, Place::ToDatabase(op.at), Place::Instance(op.at)];
    let could = evidence.history.is_clean(&database, from, op.end);
    could.then(|| Violation::new("a database that could writes", op, "it was there"))
}

/// A read is answered as long as one of the stores can.
pub fn a_store_that_could_serves(evidence: &Evidence<'_>, op: &Op) -> Option<Violation> {
    let failed = op.kind == Kind::Read && op.status().is_some_and(|status| status >= 500);
    let from = op.start.saturating_sub(AFTERMATH);
    let is_durable = evidence.terms.is_durable;
    if !failed || !is_durable || evidence.history.stall(op.at, from, op.end) > BUSY {
        return None;
    }
    let own = Place::Instance(op.at);
    let database = [Place::Postgres, Place::ToDatabase(op.at), own];
    if evidence.history.is_clean(&database, from, op.end) {
        return Some(Violation::new("a store that could serves", op, "the database could"));
    }
    let copied = copied_before(evidence, op)?;
    let redis = [REDIS, Place::ToRedis(op.at, 0), own];
    let could = evidence.terms.stretches
        && evidence.history.is_clean(&redis, copied.start.saturating_sub(AFTERMATH), op.end);
    could.then(|| {
        Violation::new("a store that could serves", op, "Redis could, and had it").against(copied)
    })
}

/// Without a database: a request is served unless a fault is on at the primary of its session, on
/// the way there, or at its instance. Those that need all sessions of a user may wait for a slot
/// that moves.
pub fn a_primary_that_could_serves(evidence: &Evidence<'_>, op: &Op) -> Option<Violation> {
    let failed = op.status().is_some_and(|status| status >= 500);
    let from = op.start.saturating_sub(AFTERMATH);
    if !failed || evidence.terms.is_durable {
        return None;
    }
    let mut places = vec![Place::Instance(op.at)];
    for shard in evidence.shards(op) {
        places.extend([Place::Redis(shard), Place::ToRedis(op.at, shard)]);
    }
    if op.kind.is_of_a_user() {
        let user = op.client.trim_start_matches('u').parse();
        places.extend(user.ok().map(Place::Slot));
    }
    let is_busy = evidence.history.stall(op.at, from, op.end) > BUSY;
    let could = !is_busy && evidence.history.is_clean(&places, from, op.end);
    could.then(|| Violation::new("a primary that could serves", op, "nothing was in the way"))
}

/// A read that the same instance answered while all was well, the second of its kind, so that the
/// copy was made; nobody wrote since.
fn copied_before<'a>(evidence: &Evidence<'a>, op: &Op) -> Option<&'a Op> {
    let token = op.token.as_deref()?;
    let everything = [
        REDIS,
        Place::Postgres,
        Place::ToRedis(op.at, 0),
        Place::ToDatabase(op.at),
        Place::Instance(op.at),
    ];
    let is_calm = |read: &Op| {
        let from = read.start.saturating_sub(AFTERMATH);
        read.at == op.at
            && read.kind == Kind::Read
            && read.is_alive()
            && read.end < op.start
            && evidence.history.is_clean(&everything, from, read.end)
    };
    let reads: Vec<_> = evidence.of(token).filter(|read| is_calm(read)).collect();
    let first = reads.get(reads.len().checked_sub(2)?)?;
    let since = first.start.saturating_sub(AFTERMATH);
    let written =
        evidence.of(token).any(|write| write.kind.writes() && write.overlaps(since, op.end));
    let born = evidence.birth(token).is_some_and(|birth| birth.end < since);
    (born && !written).then_some(*first)
}
