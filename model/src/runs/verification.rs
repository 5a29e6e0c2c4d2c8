//! The configurations in which the protocol in use is explored with every fault: section 7.

use super::case::{Case, LOGOUT_A, LOGOUT_B, LOGOUT_HEIR_B, MOVE_A, SAVE_A, SAVE_B, Writer, case};
use crate::durable::{Fault, Protocol, current, protocol::Polls};

/// For more than two faults at a time.
const ALL: &[(Fault, u8)] = &[
    (Fault::Timeout, 2),
    (Fault::Refusal, 1),
    (Fault::Crash, 2),
    (Fault::Empty, 1),
    (Fault::Restore, 1),
    (Fault::Failover, 1),
    (Fault::Eviction, 1),
    (Fault::LostReply, 1),
    (Fault::Cut, 1),
];

pub fn configurations() -> Vec<Case> {
    let r = current();
    let strict = Protocol { strict: true, ..r };
    let slow = Protocol { polls: Polls::Slow, ..r };
    let unpinned = Protocol { fill_pinned: false, ..r };
    let retried = Protocol { attempts: 2, tombstone: 1, ..r };
    let with = |name, p, writes: &[Writer]| case(name, p, writes, ALL, &[]);
    vec![
        with("logout A", r, &[LOGOUT_A]),
        with("save A", r, &[SAVE_A]),
        with("logout A, logout B", r, &[LOGOUT_A, LOGOUT_B]),
        with("save A, logout A", r, &[SAVE_A, LOGOUT_A]),
        with("save B, logout A", r, &[SAVE_B, LOGOUT_A]),
        with("save A, save B", r, &[SAVE_A, SAVE_B]),
        with("logout A, strict", strict, &[LOGOUT_A]),
        with("save B, logout A, strict", strict, &[SAVE_B, LOGOUT_A]),
        with("logout A, slow polls", slow, &[LOGOUT_A]),
        with("save B, logout A, slow polls", slow, &[SAVE_B, LOGOUT_A]),
        with("logout A, fill not pinned", unpinned, &[LOGOUT_A]),
        with("save A, retried", retried, &[SAVE_A]),
        with("logout A, retried", retried, &[LOGOUT_A]),
        with("logout A, reads", r, &[LOGOUT_A]).with_reads(),
        with("logout A, reads, slow polls", slow, &[LOGOUT_A]).with_reads(),
        with("move A", r, &[MOVE_A]),
        with("move A, logout B", r, &[MOVE_A, LOGOUT_B]),
        with("move A, logout of the heir B", r, &[MOVE_A, LOGOUT_HEIR_B]),
        with("move A, save B", r, &[MOVE_A, SAVE_B]),
        with("move A, logout A, logout B", r, &[MOVE_A, LOGOUT_A, LOGOUT_B]),
    ]
}
