//! The protocol in use without one of its parts, or with another in its place: section 7.

use super::case::{Case, LOGOUT_A, LOGOUT_B, MOVE_A, SAVE_A, SAVE_B, case};
use crate::durable::{
    Fault::{self, Crash, Cut, Empty, Eviction, Failover, LostReply, Refusal, Restore, Timeout},
    Protocol, PushGeneration, current,
    protocol::Polls,
};

const LOGOUT: &[&str] = &["logout-committed-bound"];
const SAVE: &[&str] = &["save-committed-bound"];
const ANY: &[&str] = &[
    "logout-committed-bound",
    "save-committed-bound",
    "logout-own",
    "save-own",
    "truth-revived",
    "truth-lost-save",
];

pub fn ablations() -> Vec<Case> {
    let mut all = database();
    all.extend(lateness());
    all.extend(incarnation());
    all.extend(journal());
    all.extend(without_database());
    all.extend(generation());
    all.extend(redis_first());
    all.extend(polls());
    all.extend(dead_rows());
    all.extend(dead_reads());
    all.extend(moves());
    all
}

/// A logout on A, with these faults.
fn logout(
    name: &'static str,
    protocol: Protocol,
    faults: &[(Fault, u8)],
    stop: &'static [&'static str],
) -> Case {
    case(name, protocol, &[LOGOUT_A], faults, stop)
}

fn database() -> Vec<Case> {
    let p = Protocol { compare_and_set: false, ..current() };
    vec![
        case("- fence (saves)", p, &[SAVE_A, SAVE_B], &[], &["truth-lost-save"]),
        case("- fence (logout)", p, &[LOGOUT_A, SAVE_B], &[], &["truth-revived"]),
    ]
}

fn lateness() -> Vec<Case> {
    let r = current();
    let timeout = &[(Timeout, 1)];
    let unleased = Protocol { leased_fill: false, ..r };
    let creates = Protocol { push_creates: true, ..r };
    vec![
        case(
            "- set-if-newer in the write",
            Protocol { newer_only: false, ..r },
            &[SAVE_A, SAVE_B],
            timeout,
            ANY,
        ),
        logout("- leased fill (set-if-newer that creates), DEL", unleased, &[], LOGOUT),
        logout(
            "- leased fill, tombstone 1 tick",
            Protocol { tombstone: 1, ..unleased },
            &[],
            LOGOUT,
        ),
        case("- leased fill, save", unleased, &[SAVE_A], &[(Eviction, 1)], SAVE),
        case("write after commit may create", creates, &[SAVE_A, LOGOUT_A], timeout, LOGOUT),
        case(
            "write after commit may create (save)",
            creates,
            &[SAVE_A, SAVE_B],
            &[(Timeout, 1), (Eviction, 1)],
            SAVE,
        ),
        case(
            "write after commit stores on a lease",
            Protocol { push_on_lease: true, ..r },
            &[SAVE_A, LOGOUT_A],
            timeout,
            LOGOUT,
        ),
    ]
}

fn incarnation() -> Vec<Case> {
    let r = current();
    let unbound = Protocol { bound_generation: false, ..r };
    let remembered = Protocol { bump_on_new_run_id: true, ..unbound };
    vec![
        logout(
            "- generation in the key",
            Protocol { generation_in_key: false, ..r },
            &[(Restore, 1)],
            LOGOUT,
        ),
        logout("- generation bound to the incarnation (restart)", unbound, &[(Restore, 1)], LOGOUT),
        logout(
            "  only local memory of the run id",
            remembered,
            &[(Restore, 1), (Crash, 2)],
            LOGOUT,
        ),
        logout("  only local memory of the run id, failover", remembered, &[(Failover, 1)], LOGOUT),
    ]
}

fn journal() -> Vec<Case> {
    let r = current();
    let none = Protocol { journal: false, sweep: false, ..r };
    let bumps = Protocol { bump_on_failed_push: true, ..none };
    vec![
        logout("- journal (app dies)", none, &[(Crash, 1)], LOGOUT),
        logout("- journal (write refused)", none, &[(Refusal, 1)], LOGOUT),
        logout(
            "- journal, bump on a failed write instead (app dies)",
            bumps,
            &[(Crash, 1)],
            LOGOUT,
        ),
        logout(
            "- setting journalled ids aside",
            Protocol { sets_aside: false, ..r },
            &[(Refusal, 1)],
            LOGOUT,
        ),
    ]
}

fn without_database() -> Vec<Case> {
    let r = current();
    let both = &[(Refusal, 1), (Cut, 1)];
    let serves = Protocol { serve_without_database: true, ..r };
    vec![
        logout("- trust lease", Protocol { trust_lease: false, ..r }, both, LOGOUT),
        logout(
            "  and a journalled id is served too",
            Protocol { sets_aside: false, ..serves },
            both,
            &["logout-own"],
        ),
        logout("serve from Redis for ever while the database is away", serves, both, LOGOUT),
        logout(
            "  the same, Redis reachable by all (single fault)",
            serves,
            &[(Cut, 2)],
            &["logout-acked-bound", "logout-own"],
        ),
    ]
}

fn generation() -> Vec<Case> {
    let r = current();
    let known = Protocol { push_generation: PushGeneration::Known, ..r };
    let before = Protocol { push_generation: PushGeneration::BeforeCommit, ..r };
    vec![
        logout("generation as known, not as read after the commit", known, &[(Empty, 1)], ANY),
        logout("  the same, failover", known, &[(Failover, 1)], ANY),
        logout("generation read before the commit", before, &[(Failover, 1)], ANY),
        logout(
            "fill to the generation known when sent",
            Protocol { fill_generation_at_send: true, ..r },
            &[(Empty, 1)],
            ANY,
        ),
    ]
}

fn redis_first() -> Vec<Case> {
    let r = current();
    let first = Protocol { redis_first: true, push_generation: PushGeneration::Known, ..r };
    let unpinned = Protocol { fill_pinned: false, ..r };
    vec![
        logout("Redis first, then the database (logout)", first, &[], ANY),
        case("Redis first, then the database (save)", first, &[SAVE_A], &[(Eviction, 1)], ANY),
        logout("fill not pinned to its connection", unpinned, &[(Empty, 1)], ANY),
    ]
}

fn polls() -> Vec<Case> {
    let polls = |polls| Protocol { polls, ..current() };
    vec![
        logout(
            "a poll's answer drops what was set aside meanwhile",
            polls(Polls::ForgetSetAside),
            &[(Refusal, 1)],
            ANY,
        ),
        logout(
            "a poll's answer takes back a newer generation",
            polls(Polls::TakeBackGeneration),
            &[(Failover, 1)],
            ANY,
        ),
        logout(
            "  the same, handshake on the old primary again",
            polls(Polls::TakeBackGeneration),
            &[(Failover, 1), (Refusal, 1)],
            ANY,
        ),
        logout(
            "the lease counts from the poll's answer",
            polls(Polls::LeaseFromAnswer),
            &[(Refusal, 1)],
            ANY,
        ),
    ]
}

fn dead_rows() -> Vec<Case> {
    let r = current();
    let tombstone = Protocol { tombstone: 1, ..r };
    let silent = Protocol { push_when_dead: false, ..r };
    let lost = &[(LostReply, 1)];
    vec![
        case("a tombstone in place of DEL", tombstone, &[SAVE_A, LOGOUT_A], &[(Timeout, 1)], ANY),
        case(
            "a delete of a dead row is acknowledged without a push",
            silent,
            &[LOGOUT_A, LOGOUT_A],
            lost,
            ANY,
        ),
        case("  on another instance", silent, &[LOGOUT_A, LOGOUT_B], lost, ANY),
    ]
}

fn dead_reads() -> Vec<Case> {
    let r = Protocol { sets_aside_dead: false, ..current() };
    let unasked = |name, protocol, faults: &[(Fault, u8)]| {
        logout(name, protocol, faults, &["dead-then-alive"]).with_reads()
    };
    vec![
        unasked("- setting aside what was shown as ended", r, &[(Refusal, 2)]),
        unasked("  by a time-out", r, &[(Refusal, 1), (Timeout, 1)]),
        unasked("  without any fault", r, &[]),
        unasked("  by a poll that is slow", Protocol { polls: Polls::Slow, ..r }, &[(Crash, 1)]),
    ]
}

/// A logout of the old id after a move: no fault is needed.
fn moves() -> Vec<Case> {
    let r = current();
    let alone = Protocol { end_follows: false, ..r };
    let unnamed = Protocol { journals_heir: false, ..r };
    let silent = Protocol { kills_dead_heir: false, ..r };
    let twice = &[MOVE_A, LOGOUT_B, LOGOUT_B];
    vec![
        case("a logout of a tombstone leaves the heir", alone, &[MOVE_A, LOGOUT_B], &[], ANY),
        case("  ends it without a journal row", unnamed, &[MOVE_A, LOGOUT_B], &[], LOGOUT),
        case("  finds it dead and pushes nothing of the heir", silent, twice, &[], ANY),
    ]
}
