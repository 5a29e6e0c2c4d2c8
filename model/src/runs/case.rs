//! One exploration of the durable store: a protocol, writes, faults, and what to look for.

use crate::durable::{Change, Durable, FAULTS, Fault, Protocol, state::GENERATIONS};

pub type Writer = (Change, u8);

pub const LOGOUT_A: Writer = (Change::Logout, 0);
pub const LOGOUT_B: Writer = (Change::Logout, 1);
pub const SAVE_A: Writer = (Change::Save(0), 0);
pub const MOVE_A: Writer = (Change::Move, 0);
pub const LOGOUT_HEIR_B: Writer = (Change::LogoutHeir, 1);
/// Another save than A's.
pub const SAVE_B: Writer = (Change::Save(1), 1);

#[derive(Clone)]
pub struct Case {
    pub name: &'static str,
    pub protocol: Protocol,
    pub writes: Vec<Writer>,
    /// How often each fault may happen; in all as often as these together.
    pub faults: Vec<(Fault, u8)>,
    /// Invariants that end the exploration.
    pub stop: &'static [&'static str],
    /// Reads are steps too.
    pub reads: bool,
}

pub fn case(
    name: &'static str,
    protocol: Protocol,
    writes: &[Writer],
    faults: &[(Fault, u8)],
    stop: &'static [&'static str],
) -> Case {
    Case { name, protocol, writes: writes.to_vec(), faults: faults.to_vec(), stop, reads: false }
}

impl Case {
    pub fn with_reads(self) -> Self {
        Self { reads: true, ..self }
    }

    pub fn model(&self) -> Durable {
        Durable {
            instances: 2,
            ids: if self.writes.iter().any(|(change, _)| *change == Change::Move) { 2 } else { 1 },
            writes: self.writes.clone(),
            fills: 1,
            fill_starts: 2,
            caps: caps(&self.faults),
            total: self.faults.iter().map(|(_, times)| times).sum(),
            warm: true,
            cold: true,
            lean: false,
            reads: self.reads,
            generations: GENERATIONS as u8,
            protocol: self.protocol,
        }
    }

    /// For proofs: lean, and with one fill.
    pub fn lean_model(&self, faults: &[(Fault, u8)]) -> Durable {
        let total = faults.iter().map(|(_, times)| times).sum();
        Durable { caps: caps(faults), total, fill_starts: 1, lean: true, ..self.model() }
    }
}

/// How often each fault may happen.
fn caps(faults: &[(Fault, u8)]) -> [u8; FAULTS] {
    let mut caps = [0; FAULTS];
    for (fault, times) in faults {
        caps[*fault as usize] += times;
    }
    caps
}
