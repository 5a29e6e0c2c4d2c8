//! The invariants; their names are those of [`durable`](crate::durable).

use super::{
    Cluster, Seen,
    state::{NONE, State},
};

/// What the protocol never breaks.
pub const PROMISES: [&str; 8] = [
    "logout-own",
    "logout-bound",
    "logout-forever",
    "save-own",
    "save-bound",
    "truth-revived",
    "truth-lost-save",
    "alive-read-as-dead",
];

impl Cluster {
    pub(super) fn violations(&self, s: &State, out: &mut Vec<&'static str>) {
        if s.was_dead && s.row_alive {
            out.push("truth-revived");
        }
        if (s.saves_acked_by[0] | s.saves_acked_by[1]) & !s.row_saves != 0 {
            out.push("truth-lost-save");
        }
        for i in (0..2).filter(|i| s.instances[*i].alive) {
            for seen in self.reads(s, i) {
                match seen {
                    Seen::Alive { saves, .. } => check_alive(s, i, saves, out),
                    Seen::Dead if s.row_alive => out.push("alive-read-as-dead"),
                    Seen::Dead | Seen::Away => {}
                }
            }
        }
    }
}

/// The session was read as alive, with these saves.
fn check_alive(s: &State, i: usize, saves: u8, out: &mut Vec<&'static str>) {
    let since = |at: u8, ticks: u8| at != NONE && at >= ticks;
    if s.logout_acked_by & 1 << i != 0 {
        out.push("logout-own");
    }
    if s.logout_pushed {
        out.push("logout-pushed");
    }
    if since(s.logout_committed, 2) {
        out.push("logout-bound");
    }
    if since(s.logout_committed, 3) {
        out.push("logout-forever");
    }
    if s.saves_acked_by[i] & !saves != 0 {
        out.push("save-own");
    }
    if s.saves_pushed & !saves != 0 {
        out.push("save-pushed");
    }
    for bit in 0..2 {
        if saves & 1 << bit == 0 && since(s.save_committed[bit], 2) {
            out.push("save-bound");
        }
    }
}
