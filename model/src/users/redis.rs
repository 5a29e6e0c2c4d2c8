//! The commands and scripts in Redis alone, where the index and each record are keys of their own.

use super::{MAKES, RENEW, REVOKE, State, Users};

impl Users {
    pub(super) fn redis_step(&self, s: &mut State, actor: usize) {
        match (actor, s.next[actor]) {
            (REVOKE, step) => self.revoke(s, step),
            (_, 0) => {
                s.next[actor] = 1;
                s.seen[actor] = s.epoch;
                if self.epoch && s.next[REVOKE] == 0 {
                    s.before |= 1 << MAKES[actor];
                }
            }
            (_, step @ (1 | 2)) => self.index_or_record(s, actor, step),
            (_, 3) => self.kill_others(s, actor),
            (_, 4) => self.remove_from_index(s, actor),
            _ => {
                self.kill_set(s, s.victims[actor]);
                s.index &= !s.victims[actor];
                s.acked |= 1 << MAKES[actor];
                s.end(actor);
            }
        }
    }

    /// Index entry and record, in the order of the protocol.
    fn index_or_record(&self, s: &mut State, actor: usize, step: u8) {
        let bit = 1 << MAKES[actor];
        if step == 1 {
            if self.epoch && s.seen[actor] != s.epoch {
                s.end(actor);
                return;
            }
            if s.next[REVOKE] == 0 {
                s.before |= bit;
            }
            s.age[actor] = 0;
        }
        if (step == 1) == self.index_first {
            s.index |= bit;
            if actor != RENEW {
                s.victims[actor] = Self::oldest(s.index & !bit, self.max - 1);
                if !self.index_last {
                    s.index &= !s.victims[actor];
                }
            }
        } else if s.tombstones[MAKES[actor]] == 0 && !(self.create_deadline && s.age[actor] > 1) {
            s.alive |= bit;
        } else {
            s.end(actor);
            return;
        }
        s.next[actor] = step + 1;
    }

    fn kill_others(&self, s: &mut State, actor: usize) {
        if actor == RENEW {
            // A renewal acknowledges only if the old session was alive when it was killed.
            if s.alive & 1 == 0 {
                self.kill(s, MAKES[RENEW]);
                s.end(RENEW);
                return;
            }
            self.kill(s, 0);
        } else {
            self.kill_set(s, s.victims[actor]);
        }
        s.next[actor] = 4;
    }

    fn remove_from_index(&self, s: &mut State, actor: usize) {
        let bit = 1 << MAKES[actor];
        s.index &= if actor == RENEW { !1 } else { !s.victims[actor] };
        // The script that removes says who is still too many.
        if self.recount && s.index.count_ones() > self.max {
            s.victims[actor] = Self::oldest(s.index & !bit, self.max - 1);
            s.next[actor] = 5;
            return;
        }
        s.acked |= bit;
        s.end(actor);
    }

    fn kill_set(&self, s: &mut State, set: u8) {
        for session in (0..4).filter(|session| set & 1 << session != 0) {
            self.kill(s, session);
        }
    }

    fn revoke(&self, s: &mut State, step: u8) {
        match step {
            0 => {
                s.epoch += 1;
                s.listed = s.index;
                s.next[REVOKE] = if s.listed == 0 { 5 } else { 1 };
            }
            1..=4 => {
                self.kill_set(s, s.listed & 1 << (step - 1));
                s.next[REVOKE] = step + 1;
            }
            _ => {
                s.index &= !s.listed;
                s.revoked = true;
                s.end(REVOKE);
            }
        }
    }
}
