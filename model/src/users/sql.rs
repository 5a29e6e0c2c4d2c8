//! The statements of the SQL transactions.

use super::{MAKES, NOBODY, RENEW, REVOKE, State, Users};

impl Users {
    pub(super) fn sql_step(&self, s: &mut State, actor: usize) {
        match (actor, s.next[actor]) {
            (REVOKE, 0) => self.begin_revocation(s),
            (REVOKE, _) => revoke(s),
            (_, 0) => begin_request(s, actor),
            (_, 1) => self.begin_transaction(s, actor),
            (RENEW, 2) => lock_old_row(s),
            (_, 2) => {
                // The snapshot of the victims' query.
                let others = s.alive & !(1 << MAKES[actor]);
                s.victims[actor] = Self::oldest(others, self.max - 1);
                s.next[actor] = 3;
            }
            (_, 3) => {
                s.pending |= 1 << MAKES[actor];
                s.next[actor] = 4;
            }
            _ => commit(s, actor),
        }
    }

    /// `BEGIN`; the user's row is locked, the epoch compared.
    fn begin_transaction(&self, s: &mut State, actor: usize) {
        if self.user_lock {
            if s.user_lock != NOBODY {
                return;
            }
            s.user_lock = actor as u8;
        }
        s.next[actor] = 2;
        if self.epoch && s.seen[actor] != s.epoch {
            s.end(actor);
            s.unlock(actor);
        }
    }

    /// `BEGIN`; lock; the snapshot of the `UPDATE`.
    fn begin_revocation(&self, s: &mut State) {
        if self.user_lock {
            if s.user_lock != NOBODY {
                return;
            }
            s.user_lock = REVOKE as u8;
        }
        s.epoch += 1;
        s.listed = s.alive;
        s.next[REVOKE] = 1;
    }
}

/// Passwords are checked, the epoch is read.
fn begin_request(s: &mut State, actor: usize) {
    s.seen[actor] = s.epoch;
    s.next[actor] = 1;
    if !s.revoked && s.next[REVOKE] == 0 {
        s.before |= 1 << MAKES[actor];
    }
}

/// `SELECT old FOR UPDATE`: alive?
fn lock_old_row(s: &mut State) {
    if s.row_lock != NOBODY {
        return;
    }
    s.row_lock = RENEW as u8;
    s.next[RENEW] = 3;
    if s.alive & 1 == 0 {
        s.row_lock = NOBODY;
        s.end(RENEW);
        s.unlock(RENEW);
    }
}

fn commit(s: &mut State, actor: usize) {
    let bit = 1 << MAKES[actor];
    if actor != RENEW && s.victims[actor] & 1 != 0 && s.row_lock != NOBODY {
        return;
    }
    s.pending &= !bit;
    s.alive |= bit;
    s.index |= bit;
    s.acked |= bit;
    if actor == RENEW {
        s.alive &= !1;
        s.row_lock = NOBODY;
    } else {
        s.alive &= !s.victims[actor];
    }
    s.unlock(actor);
    s.end(actor);
}

/// The `UPDATE` waits for row locks, then looks at the rows of its snapshot again.
fn revoke(s: &mut State) {
    if s.row_lock != NOBODY {
        return;
    }
    s.alive &= !s.listed;
    s.revoked = true;
    s.unlock(REVOKE);
    s.end(REVOKE);
}
