//! The protocol in use without one of its parts breaks a promise, and how soon: `docs/protocol.md`,
//! section 7. With all of them it keeps them, in strict mode and with slow polls too.

use session_protocol_model::{
    durable::{Durable, Fault, PROMISES},
    explore::explore,
    runs::{ablations::ablations, verification::configurations},
};

const LIMIT: usize = 3_000_000;

/// By the names of the runs: after how many steps it breaks, or that it never does. Two that take
/// longer are left to `ablate`: "write after commit may create (save)", 13 steps, and "a tombstone
/// in place of DEL", never.
const EXPECTED: [(&str, Option<u32>); 40] = [
    ("- fence (saves)", Some(6)),
    ("- fence (logout)", Some(3)),
    ("- set-if-newer in the write", Some(9)),
    ("- leased fill (set-if-newer that creates), DEL", Some(11)),
    ("- leased fill, tombstone 1 tick", Some(11)),
    ("- leased fill, save", Some(12)),
    ("write after commit may create", Some(11)),
    ("write after commit stores on a lease", Some(12)),
    ("- generation in the key", Some(5)),
    ("- generation bound to the incarnation (restart)", Some(8)),
    ("  only local memory of the run id", Some(10)),
    ("  only local memory of the run id, failover", Some(12)),
    ("- journal (app dies)", Some(4)),
    ("- journal (write refused)", Some(4)),
    ("- journal, bump on a failed write instead (app dies)", Some(4)),
    ("- setting journalled ids aside", Some(4)),
    ("- trust lease", Some(5)),
    ("  and a journalled id is served too", Some(3)),
    ("serve from Redis for ever while the database is away", Some(4)),
    ("  the same, Redis reachable by all (single fault)", None),
    ("generation as known, not as read after the commit", None),
    ("  the same, failover", Some(10)),
    ("generation read before the commit", Some(7)),
    ("fill to the generation known when sent", None),
    ("Redis first, then the database (logout)", Some(7)),
    ("Redis first, then the database (save)", Some(7)),
    ("fill not pinned to its connection", None),
    ("a poll's answer drops what was set aside meanwhile", Some(5)),
    ("a poll's answer takes back a newer generation", Some(8)),
    ("  the same, handshake on the old primary again", Some(8)),
    ("the lease counts from the poll's answer", Some(5)),
    ("a delete of a dead row is acknowledged without a push", Some(2)),
    ("  on another instance", Some(2)),
    ("- setting aside what was shown as ended", Some(2)),
    ("  by a time-out", Some(2)),
    ("  without any fault", Some(5)),
    ("  by a poll that is slow", Some(5)),
    ("a logout of a tombstone leaves the heir", Some(5)),
    ("  ends it without a journal row", Some(9)),
    ("  finds it dead and pushes nothing of the heir", Some(9)),
];

#[test]
fn each_part_that_is_taken_out_is_missed() {
    let all = ablations();
    assert_eq!(all.len(), EXPECTED.len() + 2, "a case without an expectation");
    for (name, expected) in EXPECTED {
        let case = all.iter().find(|case| case.name == name);
        let case = case.unwrap_or_else(|| panic!("no case {name}"));
        let model = Durable { lean: true, ..case.model() };
        let report = explore(&model, LIMIT, case.stop);
        assert_eq!(report.exhausted, expected.is_none(), "{name}");
        let ends = report.violations.iter().find(|v| case.stop.contains(&v.invariant));
        assert_eq!(ends.map(|v| v.depth), expected, "{name}");
    }
}

/// A configuration with each of these faults keeps every promise, and these besides; without
/// faults, if there are none.
fn keeps(name: &str, faults: &[Fault], besides: &[&str]) {
    let all = configurations();
    let case = all.iter().find(|case| case.name == name).unwrap();
    let mut each: Vec<Vec<(Fault, u8)>> = faults.iter().map(|fault| vec![(*fault, 1)]).collect();
    if faults.is_empty() {
        each.push(Vec::new());
    }
    for fault in each {
        let report = explore(&case.lean_model(&fault), LIMIT, &[]);
        assert!(report.exhausted, "{name}, {fault:?}: more than {LIMIT} states");
        let promised = |broken: &&str| PROMISES.contains(broken) || besides.contains(broken);
        let broken: Vec<_> = report.broken().into_iter().filter(promised).collect();
        assert!(broken.is_empty(), "{name}, {fault:?}: {broken:?}");
    }
}

#[test]
fn a_logout_with_any_one_fault() {
    keeps("logout A", &Fault::ALL, &[]);
}

#[test]
fn a_logout_in_strict_mode_is_seen_by_all_when_it_is_acknowledged() {
    let most = Fault::ALL.into_iter().filter(|fault| *fault != Fault::Failover);
    keeps("logout A, strict", &most.collect::<Vec<_>>(), &["logout-acked-now", "logout-pushed"]);
}

#[test]
fn a_logout_with_polls_that_take_time() {
    keeps("logout A, slow polls", &[Fault::Refusal, Fault::Crash, Fault::LostReply], &[]);
}

#[test]
fn what_an_instance_has_shown_as_ended_it_never_shows_alive() {
    keeps("logout A, reads", &[Fault::Refusal, Fault::Timeout, Fault::Eviction], &[]);
    keeps("logout A, reads, slow polls", &[Fault::LostReply], &[]);
}

#[test]
fn a_session_that_moves() {
    keeps("move A", &[Fault::Timeout, Fault::Refusal, Fault::Restore, Fault::LostReply], &[]);
    keeps("move A, save B", &[], &[]);
}

#[test]
fn a_logout_of_an_id_that_moves_ends_both_for_all() {
    keeps("move A, logout B", &[], &[]);
}

#[test]
fn a_logout_of_the_heir_is_one_by_the_old_id_too() {
    keeps("move A, logout of the heir B", &[], &[]);
}
