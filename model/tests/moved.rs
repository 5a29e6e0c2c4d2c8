//! A session that moved is not ended: requests of one browser that overlap, in every order in which
//! they are sent, carried out and answered. `docs/protocol.md`, sections 3.2, 3.6 and 3.7.

use session_protocol_model::{
    browser::{Browser, PROMISES},
    explore::explore,
    runs::browser::{Case, OF_THREE, limits, pairs, parts, threes},
};

const LIMIT: usize = 3_000_000;

fn holds(models: &[Browser], promises: &[&str]) {
    for model in models {
        let report = explore(model, LIMIT, &[]);
        assert!(report.exhausted, "{model:?}");
        let broken: Vec<_> = report.broken().into_iter().filter(|b| promises.contains(b)).collect();
        assert!(broken.is_empty(), "{model:?}: {broken:?}");
    }
}

fn breaks(cases: &[Case]) {
    for case in cases {
        let report = explore(&case.model, LIMIT, &[case.invariant]);
        assert_eq!(report.depth_of(case.invariant), Some(case.steps), "{}", case.name);
    }
}

#[test]
fn two_requests_that_overlap_leave_a_jar_that_opens_what_was_meant() {
    holds(&pairs(2), &PROMISES);
}

#[test]
fn three_requests_undo_no_logout_and_read_nothing_that_is_over() {
    holds(&threes(0), &OF_THREE);
}

#[test]
fn each_part_that_is_taken_out_is_missed() {
    breaks(&parts());
}

/// The answers of requests that overlap arrive in an order that the server does not know.
#[test]
fn what_no_server_can_promise_is_found() {
    breaks(&limits());
}
