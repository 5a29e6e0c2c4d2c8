//! The invariants.
//!
//! `..-own`: seen by the instance that acknowledged. `..-pushed`: seen at once by everybody, since
//! Redis took it. `..-bound`: two ticks later, which is the bound of section 4. `..-forever`: three
//! ticks later, with every instance polling. `dead-then-alive`: an instance that has shown the
//! session as ended shows it alive.

use super::{
    Durable, Seen,
    state::{IDS, NONE, Stage, State},
};

/// What the protocol in use never breaks, whatever the faults: section 4.
pub const PROMISES: [&str; 10] = [
    "logout-own",
    "logout-committed-bound",
    "save-own",
    "save-committed-bound",
    "truth-revived",
    "truth-lost-save",
    "alive-read-as-dead",
    "dead-then-alive",
    "moved-own",
    "moved-committed-bound",
];

impl Durable {
    pub(super) fn violations(&self, s: &State, out: &mut Vec<&'static str>) {
        if (0..IDS).any(|id| s.was_dead & 1 << id != 0 && s.rows[id].alive) {
            out.push("truth-revived");
        }
        if (s.saves_acked_by[0] | s.saves_acked_by[1]) & !s.rows[0].saves != 0 {
            out.push("truth-lost-save");
        }
        // Nobody is at work on a write any more.
        let over = self.writes.iter().enumerate().all(|(write, (_, instance))| {
            s.writes[write].stage == Stage::Over || !s.instances[*instance as usize].alive
        });
        for instance in 0..self.instances {
            if !s.instances[instance].alive {
                continue;
            }
            self.judge(s, instance, over, out);
        }
    }

    /// What a request on this instance reads.
    fn judge(&self, s: &State, instance: usize, over: bool, out: &mut Vec<&'static str>) {
        let known = self.ids > 1 && !s.rows[1].pending;
        let heir = if known { self.read(s, instance, 1) } else { Seen::Away };
        match self.read(s, instance, 0) {
            Seen::Alive { saves, .. } => {
                if s.logged_out & 0b01 != 0 {
                    check_logout(s, instance, over, out);
                }
                check_saves(s, instance, saves, over, out);
                if s.instances[instance].shown_dead {
                    out.push("dead-then-alive");
                }
                if s.moved_acked_by & 1 << instance != 0 {
                    out.push("moved-own");
                }
                if since(s.moved_committed, 2) {
                    out.push("moved-committed-bound");
                }
            }
            Seen::Dead if s.rows[0].alive => out.push("alive-read-as-dead"),
            // A tombstone reads only while the heir is read as alive: below.
            Seen::Moved | Seen::Dead | Seen::Away => {}
        }
        match heir {
            Seen::Alive { .. } if s.logged_out & 0b10 != 0 => check_logout(s, instance, over, out),
            Seen::Dead if s.rows[1].alive => out.push("alive-read-as-dead"),
            Seen::Alive { .. } | Seen::Moved | Seen::Dead | Seen::Away => {}
        }
    }
}

/// `ticks` or more have passed since.
fn since(at: u8, ticks: u8) -> bool {
    at != NONE && at >= ticks
}

/// The session was read as alive.
fn check_logout(s: &State, instance: usize, over: bool, out: &mut Vec<&'static str>) {
    if s.logout_acked_by & 1 << instance != 0 {
        out.push("logout-own");
    }
    if s.logout_pushed {
        out.push("logout-pushed");
    }
    if since(s.logout_acked, 0) {
        out.push("logout-acked-now");
    }
    if since(s.logout_acked, 2) {
        out.push("logout-acked-bound");
    }
    if since(s.logout_acked, 3) {
        out.push("logout-acked-forever");
    }
    if since(s.logout_committed, 2) {
        out.push("logout-committed-bound");
    }
    if over && s.logout_acked == NONE && since(s.logout_committed, 3) {
        out.push("logout-abandoned-forever");
    }
}

/// The session was read as alive, with these saves. One after its death cannot be judged by its
/// content: the row says dead.
fn check_saves(s: &State, instance: usize, saves: u8, over: bool, out: &mut Vec<&'static str>) {
    if s.saves_acked_by[instance] & !saves != 0 {
        out.push("save-own");
    }
    if s.saves_pushed & !saves != 0 {
        out.push("save-pushed");
    }
    for bit in 0..2 {
        if saves & 1 << bit != 0 {
            continue;
        }
        let (acked, committed) = (s.save_acked[bit], s.save_committed[bit]);
        if since(acked, 2) {
            out.push("save-acked-bound");
        }
        if since(acked, 3) {
            out.push("save-acked-forever");
        }
        if since(committed, 2) {
            out.push("save-committed-bound");
        }
        if over && acked == NONE && since(committed, 3) {
            out.push("save-abandoned-forever");
        }
    }
}
