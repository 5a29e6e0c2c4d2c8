//! The invariants.
//!
//! `..-own`: seen by the instance that acknowledged. `..-pushed`: seen at once by everybody, since
//! Redis took it. `..-bound`: two ticks later, which is the bound of section 4. `..-forever`: three
//! ticks later, with every instance polling. `dead-then-alive`: an instance that has shown the
//! session as ended shows it alive.

use super::{
    Durable, Seen,
    state::{NONE, Stage, State},
};

/// What the protocol in use never breaks, whatever the faults: section 4.
pub const PROMISES: [&str; 8] = [
    "logout-own",
    "logout-committed-bound",
    "save-own",
    "save-committed-bound",
    "truth-revived",
    "truth-lost-save",
    "alive-read-as-dead",
    "dead-then-alive",
];

impl Durable {
    pub(super) fn violations(&self, s: &State, out: &mut Vec<&'static str>) {
        if s.was_dead && s.row_alive {
            out.push("truth-revived");
        }
        if (s.saves_acked_by[0] | s.saves_acked_by[1]) & !s.row_saves != 0 {
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
            match self.read(s, instance) {
                Seen::Alive { saves, .. } => {
                    check_logout(s, instance, over, out);
                    check_saves(s, instance, saves, over, out);
                    if s.instances[instance].shown_dead {
                        out.push("dead-then-alive");
                    }
                }
                Seen::Dead if s.row_alive => out.push("alive-read-as-dead"),
                Seen::Dead | Seen::Away => {}
            }
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
