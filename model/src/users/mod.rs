//! The sessions of one user: two logins, a renewal, a revocation of all, at most N sessions.
//!
//! Sessions: 0 is the old one, 1 and 2 are made by the logins, 3 by renewing 0. In Redis alone the
//! index and the records are separate keys; in SQL the steps are the statements of concurrent
//! transactions under `READ COMMITTED`. Holes H12 and H13.

mod redis;
mod sql;

use crate::explore::Model;

/// Two logins, a renewal, a revocation: by these numbers.
const RENEW: usize = 2;
const REVOKE: usize = 3;
/// Which session each of them makes.
const MAKES: [usize; 4] = [1, 2, 3, 0];
/// Ticks that a tombstone lives.
const TOMBSTONE: u8 = 2;
const OVER: u8 = 9;
const NOBODY: u8 = 9;

/// Sets of sessions are bits.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    pub index: u8,
    pub alive: u8,
    /// Ticks that each session's tombstone has left; 0 for none.
    pub tombstones: [u8; 4],
    /// The next step of each actor; `OVER` when it is done.
    pub next: [u8; 4],
    pub age: [u8; 4],
    pub epoch: u8,
    /// The epoch that each actor read when it began.
    pub seen: [u8; 4],
    /// What the revocation found.
    pub listed: u8,
    pub victims: [u8; 3],
    /// Sessions whose login or renewal had begun when the revocation began.
    pub before: u8,
    pub acked: u8,
    pub revoked: bool,
    /// SQL: who holds the user's row, and row 0.
    pub user_lock: u8,
    pub row_lock: u8,
    pub pending: u8,
    pub crashed: bool,
    pub ticks: u8,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Label {
    /// An actor's step, by both numbers.
    Step(u8, u8),
    Tick,
    Crash(u8),
}

#[derive(Clone, Copy, Debug)]
pub struct Users {
    pub sql: bool,
    /// The index entry is written before the record.
    pub index_first: bool,
    /// A kill leaves a tombstone also where no record is, or not yet.
    pub tombstone_on_missing: bool,
    /// A create that is later than half a tombstone's life is refused.
    pub create_deadline: bool,
    /// An index entry is removed only after its record is dead.
    pub index_last: bool,
    /// Whoever removes index entries is told who is still too many.
    pub recount: bool,
    /// SQL: whoever makes or ends sessions of the user locks the user's row.
    pub user_lock: bool,
    /// A revocation changes the user's epoch, and logins compare it.
    pub epoch: bool,
    pub max: u32,
    pub revoke: bool,
    pub crash: bool,
}

impl Users {
    fn kill(&self, s: &mut State, session: usize) {
        if s.alive & 1 << session != 0 || self.tombstone_on_missing {
            s.tombstones[session] = TOMBSTONE;
        }
        s.alive &= !(1 << session);
    }

    /// The oldest of a set, beyond those to keep.
    fn oldest(mut set: u8, keep: u32) -> u8 {
        let mut oldest = 0;
        for session in 0..4 {
            if set.count_ones() > keep && set & 1 << session != 0 {
                set &= !(1 << session);
                oldest |= 1 << session;
            }
        }
        oldest
    }
}

impl State {
    fn end(&mut self, actor: usize) {
        self.next[actor] = OVER;
    }

    fn unlock(&mut self, actor: usize) {
        if self.user_lock == actor as u8 {
            self.user_lock = NOBODY;
        }
    }

    /// Forgets what an actor that is done needs no more.
    fn reduce(&mut self) {
        for actor in 0..4 {
            if self.next[actor] == OVER {
                self.age[actor] = 0;
                self.seen[actor] = 0;
                match self.victims.get_mut(actor) {
                    Some(victims) => *victims = 0,
                    None => self.listed = 0,
                }
            }
        }
    }

    fn tick(&mut self) {
        self.ticks += 1;
        for left in &mut self.tombstones {
            *left = left.saturating_sub(1);
        }
        for (age, next) in self.age.iter_mut().zip(self.next) {
            if next > 0 && next < OVER {
                *age = (*age + 1).min(2);
            }
        }
    }

    fn crash(&mut self, actor: usize) {
        self.crashed = true;
        self.end(actor);
        self.unlock(actor);
        if self.row_lock == actor as u8 {
            self.row_lock = NOBODY;
        }
        self.pending &= !(1 << MAKES[actor]);
    }
}

/// Steps, collected.
struct Steps<'a> {
    from: &'a State,
    out: &'a mut Vec<(Label, State)>,
}

impl Steps<'_> {
    fn step(&mut self, label: Label, change: impl FnOnce(&mut State)) {
        let mut next = self.from.clone();
        change(&mut next);
        next.reduce();
        if next != *self.from {
            self.out.push((label, next));
        }
    }
}

impl Model for Users {
    type State = State;
    type Label = Label;

    fn init(&self) -> Vec<State> {
        vec![State {
            index: 1,
            alive: 1,
            tombstones: [0; 4],
            next: [0; 4],
            age: [0; 4],
            epoch: 0,
            seen: [0; 4],
            listed: 0,
            victims: [0; 3],
            before: 1,
            acked: 1,
            revoked: false,
            user_lock: NOBODY,
            row_lock: NOBODY,
            pending: 0,
            crashed: false,
            ticks: 0,
        }]
    }

    fn next(&self, s: &State, out: &mut Vec<(Label, State)>) {
        let mut steps = Steps { from: s, out };
        let at_work = s.next.iter().any(|next| *next > 0 && *next < OVER);
        if s.ticks < 3 && (at_work || s.tombstones.iter().any(|left| *left > 0)) {
            steps.step(Label::Tick, State::tick);
        }
        for actor in 0..4 {
            let next = s.next[actor];
            if next >= OVER || (actor == REVOKE && !self.revoke) {
                continue;
            }
            let label = actor as u8;
            if self.crash && !s.crashed && next > 0 && actor != REVOKE {
                steps.step(Label::Crash(label), |n| n.crash(actor));
            }
            steps.step(Label::Step(label, next), |n| {
                if self.sql { self.sql_step(n, actor) } else { self.redis_step(n, actor) }
            });
        }
    }

    fn check(&self, s: &State, out: &mut Vec<&'static str>) {
        if s.revoked && s.alive & s.before & s.acked != 0 {
            out.push("survives-revoke-all");
        }
        if !self.sql && s.alive & !s.index != 0 {
            out.push("alive-but-not-in-index");
        }
        let quiet = s.next.iter().take(3).all(|next| *next == 0 || *next == OVER);
        if quiet && !s.crashed && s.alive.count_ones() > self.max {
            out.push("more-than-max");
        }
    }
}
