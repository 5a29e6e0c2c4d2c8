//! What the store does in one transaction, or in one script.

use super::{
    Browser,
    load::lives,
    state::{Life, NONE, Row, State, ids},
};

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    Done,
    Conflict,
    Gone,
}

/// Where a tombstone leads to.
fn followed(row: &Row, follow: bool) -> u8 {
    if follow && row.is(Life::Moved) { row.heirs } else { 0 }
}

fn bit(id: u8) -> u8 {
    1 << id
}

impl Browser {
    pub(super) fn save(n: &mut State, id: u8, version: u8, data: u8) -> Outcome {
        let row = &mut n.rows[id as usize];
        match row.life {
            Life::Alive if row.version == version => {
                row.version += 1;
                row.data |= data;
                Outcome::Done
            }
            Life::Alive | Life::Moved => Outcome::Conflict,
            Life::Absent | Life::Ended => Outcome::Gone,
        }
    }

    /// A session under an id that was never used.
    pub(super) fn create(n: &mut State, row: Row) -> u8 {
        let id = n.next;
        n.rows[id as usize] = row;
        n.next += 1;
        id
    }

    /// The first step: the new session beside the old one.
    pub(super) fn begin(n: &mut State, old: u8, version: u8, user: bool) -> (Outcome, u8) {
        let row = n.rows[old as usize];
        match row.life {
            Life::Alive if row.version == version => {
                let line = row.line | bit(old);
                let new = Row { replaces: old, line, ..Row::alive(user, row.data) };
                (Outcome::Done, Self::create(n, new))
            }
            Life::Alive | Life::Moved => (Outcome::Conflict, NONE),
            Life::Absent | Life::Ended => (Outcome::Gone, NONE),
        }
    }

    /// The second step. Without `expected`, by whoever comes first with the new cookie. Where it
    /// fails the new session is ended.
    pub(super) fn finish(&self, n: &mut State, old: u8, expected: Option<u8>, new: u8) -> Outcome {
        let row = n.rows[old as usize];
        if !n.rows[new as usize].is(Life::Alive) {
            return Outcome::Gone;
        }
        let repeated = row.is(Life::Moved) && row.heirs & bit(new) != 0;
        let outcome = match (row.life, expected) {
            (Life::Alive, None) => {
                n.rows[new as usize].data |= row.data;
                self.move_on(n, old, new, true);
                Outcome::Done
            }
            (Life::Alive, Some(version)) if version == row.version => {
                self.move_on(n, old, new, false);
                Outcome::Done
            }
            (Life::Moved, None) => self.come_second(n, &row, new),
            (Life::Moved, Some(_)) if repeated && self.rules.repeats_finish => Outcome::Done,
            (Life::Alive | Life::Moved, _) => Outcome::Conflict,
            (Life::Absent | Life::Ended, _) => Outcome::Gone,
        };
        if outcome == Outcome::Done {
            n.rows[new as usize].replaces = NONE;
        } else {
            n.rows[new as usize].life = Life::Ended;
        }
        outcome
    }

    /// With the new cookie, where the old session has moved already, by this renewal or by another.
    fn come_second(&self, n: &mut State, tombstone: &Row, new: u8) -> Outcome {
        if self.rules.first_checks_heir && !lives(n, tombstone.heirs, false) {
            return Outcome::Gone;
        }
        if !self.rules.takeover_checks {
            n.rows[new as usize].data = tombstone.data;
        }
        Outcome::Done
    }

    fn move_on(&self, n: &mut State, old: u8, new: u8, bare: bool) {
        let row = &mut n.rows[old as usize];
        row.life = if self.rules.tombstone { Life::Moved } else { Life::Ended };
        row.version += 1;
        row.heirs |= bit(new);
        row.bare = bare;
        if bare {
            (row.user, row.data) = (false, 0);
        }
    }

    /// What this id means: itself, what it has become, and what it still has to end.
    fn meant(s: &State, id: u8, heirs: impl Fn(&Row) -> u8) -> u8 {
        let mut set = bit(id);
        loop {
            let mut more = set;
            for id in ids(set) {
                let row = &s.rows[id];
                more |= heirs(row);
                more |= if row.replaces == NONE { 0 } else { bit(row.replaces) };
            }
            if more == set {
                return set;
            }
            set = more;
        }
    }

    /// Ends what this id means. Whether anything of it was there.
    pub(super) fn end(&self, n: &mut State, id: u8) -> bool {
        // To end a session is to end what it has become, whether the store knows it or not.
        n.logged_out |= Self::meant(n, id, |row| row.heirs);
        n.ended = true;
        let mut any = false;
        for id in ids(Self::meant(n, id, |row| followed(row, self.rules.end_follows))) {
            let row = &mut n.rows[id];
            any |= row.is(Life::Alive) || row.is(Life::Moved);
            row.life = if row.is(Life::Absent) { Life::Absent } else { Life::Ended };
        }
        any
    }

    /// Ends all sessions of the user but those that `keep` means, and those that replace them.
    pub(super) fn revoke(&self, n: &mut State, keep: u8) {
        n.epoch += 1;
        let kept = if keep == NONE {
            0
        } else {
            Self::meant(n, keep, |row| followed(row, self.rules.keep_follows))
        };
        for id in 0..n.rows.len() {
            let replaces = n.rows[id].replaces;
            let takes_over = replaces != NONE && kept & bit(replaces) != 0;
            let row = &mut n.rows[id];
            if row.is(Life::Alive) && row.user && kept & bit(id as u8) == 0 && !takes_over {
                row.life = Life::Ended;
                n.logged_out |= bit(id as u8);
            }
        }
    }
}
