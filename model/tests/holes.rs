//! Each hole of the first design is found there, and absent from the protocol in use under the
//! same faults: `docs/protocol.md`, section 6.

use session_protocol_model::{
    counter::{Counter, Retry},
    durable::{Durable, Fault, PROMISES, Protocol, current, protocol::leased, state::State},
    explore::{Model, Report, explore},
    renewal::Renewal,
    runs::{
        case::{Case, LOGOUT_A, SAVE_A, case},
        holes::holes,
        small::{counter, renewal, sql_users, users},
    },
    touch::{DATABASE, touches},
    users::Users,
};

/// States of one exploration.
const LIMIT: usize = 8_000_000;

/// Explores all; nothing of it may be broken.
fn holds<M: Model>(name: &str, model: &M, promises: &[&str]) {
    let report = explore(model, LIMIT, &[]);
    assert!(report.exhausted, "{name}: more than {LIMIT} states");
    let broken: Vec<_> = report.broken().into_iter().filter(|b| promises.contains(b)).collect();
    assert!(broken.is_empty(), "{name}: {broken:?}");
}

/// How many steps break this in the end.
fn depth<M: Model>(model: &M, invariant: &'static str) -> Option<u32> {
    let report: Report<M::Label> = explore(model, LIMIT, &[invariant]);
    report.depth_of(invariant)
}

/// The first design breaks what the case is about after so many steps, the protocol in use breaks
/// no promise with the same writes and faults.
fn hole(number: &str, steps: u32) {
    let all = holes();
    let found = all.iter().find(|case| case.name.split(' ').next() == Some(number));
    let case = found.unwrap_or_else(|| panic!("no hole {number}"));
    let [invariant] = case.stop else { panic!("{number}: one invariant") };
    assert_eq!(depth(&case.model(), invariant), Some(steps), "{}: first design", case.name);
    closed(case);
}

fn closed(case: &Case) {
    let in_use = Case { protocol: current(), ..case.clone() };
    holds(case.name, &in_use.lean_model(&case.faults), &PROMISES);
}

#[test]
fn h1_a_late_fill_revives_no_session_and_no_old_version() {
    hole("H1", 14);
    hole("H1s", 16);
    hole("H1e", 14);
}

#[test]
fn h2_an_app_that_dies_between_commit_and_push() {
    hole("H2", 7);
    hole("H2s", 8);
}

#[test]
fn h3_a_second_logout_after_one_that_was_not_pushed() {
    hole("H3", 8);
    hole("H3r", 9);
    hole("H3c", 8);
}

#[test]
fn h4_a_writer_that_knows_an_old_generation() {
    hole("H4", 18);
    hole("H4s", 19);
}

#[test]
fn h4_the_generation_is_read_after_the_commit() {
    let all = holes();
    let named = |number: &str| all.iter().find(|case| case.name.starts_with(number));
    let (before, after) = (named("H4b ").unwrap(), named("H4ok ").unwrap());
    assert_eq!(depth(&before.model(), "logout-acked-forever"), Some(19));
    assert_eq!(depth(&after.model(), "logout-acked-forever"), None);
}

#[test]
fn h5_a_fill_of_one_generation_does_not_go_to_the_next() {
    hole("H5", 7);
}

#[test]
fn h6_a_push_that_fails_where_the_database_fails_too() {
    hole("H6", 9);
}

#[test]
fn h7_an_instance_cut_from_the_database_alone() {
    hole("H7", 9);
}

#[test]
fn h8_a_redis_restored_while_the_apps_restart() {
    hole("H8", 11);
}

#[test]
fn h9_two_instances_on_two_sides_of_a_failover() {
    hole("H9", 16);
}

#[test]
fn h10_a_save_that_lands_after_the_logout() {
    hole("H10", 14);
}

#[test]
fn h10_a_save_that_lands_after_the_logout_and_an_eviction() {
    hole("H10e", 14);
}

#[test]
fn h11_an_update_is_counted_once() {
    let (good, losses) = (counter(), &["counted-twice", "acknowledged-but-lost"]);
    let blind = Counter { retry: Retry::Blind, delete: false, ..good };
    assert!(depth(&blind, "counted-twice").is_some());
    let unfenced = Counter { compare_and_set: false, delete: false, timeouts: 0, ..good };
    assert!(depth(&unfenced, "acknowledged-but-lost").is_some());
    holds("by write id", &good, losses);
    holds("told Unknown", &Counter { retry: Retry::Tell, ..good }, losses);
}

#[test]
fn h12_no_session_survives_the_revocation_of_all() {
    let (redis, sql) = (Users { crash: false, ..users() }, sql_users());
    let survives = "survives-revoke-all";
    assert_eq!(depth(&Users { user_lock: false, ..sql }, survives), Some(7));
    assert_eq!(depth(&Users { epoch: false, ..sql }, survives), Some(7));
    holds("SQL", &sql, &[survives]);
    for (name, without) in [
        ("index first", Users { index_first: false, ..redis }),
        ("tombstone on a missing record", Users { tombstone_on_missing: false, ..redis }),
        ("deadline on create", Users { create_deadline: false, ..redis }),
        ("index entry last", Users { index_last: false, ..redis }),
    ] {
        assert!(depth(&without, survives).is_some(), "{name}");
    }
    holds("Redis alone", &redis, &[survives, "alive-but-not-in-index"]);
}

#[test]
fn h13_never_more_sessions_than_allowed() {
    let (redis, sql) = (Users { revoke: false, ..users() }, sql_users());
    let many = "more-than-max";
    assert!(depth(&Users { recount: false, ..redis }, many).is_some());
    assert!(depth(&Users { user_lock: false, ..sql }, many).is_some());
    holds("Redis alone", &redis, &[many]);
    holds("SQL", &sql, &[many]);
}

#[test]
fn h14_a_user_who_is_active_stays_signed_in_when_redis_is_lost() {
    assert_eq!(touches(0).signed_out, 488);
    let with_grace = touches(DATABASE);
    assert_eq!((with_grace.patterns, with_grace.signed_out), (6_912, 0));
    assert_eq!(with_grace.late, DATABASE);
}

#[test]
fn h15_a_renewal_whose_reply_is_lost_leaves_a_cookie_that_works() {
    let r = renewal();
    assert_eq!(depth(&Renewal { two_steps: false, ..r }, "signed-out"), Some(1));
    assert_eq!(depth(&Renewal { tell: false, ..r }, "signed-out"), Some(2));
    holds("two steps", &r, &["signed-out", "old-id-alive"]);
}

/// The durable store, with one invariant more: the copies of all sessions are kept.
struct KeepsCopies(Durable);

impl Model for KeepsCopies {
    type State = State;
    type Label = <Durable as Model>::Label;

    fn init(&self) -> Vec<State> {
        self.0.init()
    }

    fn next(&self, state: &State, out: &mut Vec<(Self::Label, State)>) {
        self.0.next(state, out);
    }

    fn check(&self, state: &State, out: &mut Vec<&'static str>) {
        if state.db_generation != 0 {
            out.push("new-generation");
        }
    }
}

#[test]
fn h16_a_push_that_fails_costs_nobody_else_a_copy() {
    let refusals = &[(Fault::Refusal, 2)];
    let model = |protocol: Protocol| {
        let case = case("H16", protocol, &[SAVE_A, LOGOUT_A], refusals, &[]);
        KeepsCopies(case.lean_model(refusals))
    };
    assert!(depth(&model(leased()), "new-generation").is_some());
    holds("H16", &model(current()), &["new-generation"]);
}
