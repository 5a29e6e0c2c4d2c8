use super::super::super::history::{Arrival, MILLI};
use super::*;

const ALONE: Terms = Terms { is_durable: false, strict: true, lease: 0, ..TERMS };

/// A replica takes over between 1,000 and 2,000.
fn failover(mut history: History) -> History {
    history.faults.push(Fault { loses: true, ..fault(REDIS, 1_000, 2_000) });
    history
}

/// The first instance starts at that time.
fn started(mut history: History, at: u64) -> History {
    let killed = fault(Place::Instance(A), at - 200, at);
    history.faults.push(Fault { what: "Kill".to_owned(), ..killed });
    history
}

fn update(start: u64, n: u64) -> Op {
    op(A, Update, start).count(n)
}

fn read(start: u64, n: u64) -> Op {
    op(B, Read, start).count(n)
}

#[test]
fn a_failover_costs_the_writes_of_its_last_moments_and_no_others() {
    let cases = [
        ("nothing", history([update(900, 1), read(4_000, 1)]), &[][..], 0),
        ("the last moments", history([update(900, 1), read(4_000, 0)]), &[], 1),
        ("the old primary", history([update(3_000, 1), read(4_000, 0)]), &[], 1),
        ("read from it", history([update(100, 1), read(3_000, 0)]), &[], 0),
        ("before", history([update(100, 1), read(4_000, 0)]), &[FRESH], 0),
        ("after", history([update(3_600, 1), read(4_000, 0)]), &[FRESH], 0),
        ("counted again", history([update(900, 1), update(4_000, 1)]), &[], 1),
        ("twice, after", history([update(3_600, 1), update(4_000, 1)]), &[ONCE], 0),
        ("more than were tried", history([update(900, 1), read(4_000, 2)]), &[FRESH], 0),
    ];
    for (name, history, expected, lost) in cases {
        let (violations, count) = check(&failover(history), &ALONE);
        let found: Vec<_> = violations.into_iter().map(|violation| violation.rule).collect();
        assert_eq!((found.as_slice(), count), (expected, lost), "{name}");
    }
}

#[test]
fn a_failover_undoes_no_acknowledged_end() {
    let out = |start| op(A, Logout, start);
    let old = |start| op(B, Read, start);
    let renewed = || renewed(1_500);
    let signs_in = |start| {
        let answer = said(200, Some("u"), None, set("t2"));
        Op { token: None, ..op(A, Kind::Login, start).answered(answer) }
    };
    let gone = |start| op(B, Read, start).with("t2").nobody();
    let seen = || op(A, Read, 1_500).nobody();
    let not_confirmed = || op(A, Logout, 900).failed();
    assert_rules(&[
        ("undone", failover(history([out(1_500), old(4_000)])), ALONE, &[DEAD]),
        ("read from the old primary", failover(history([out(1_500), old(3_000)])), ALONE, &[]),
        ("undone without one", history([out(1_500), old(1_600)]), ALONE, &[DEAD]),
        (
            "by an instance that has just started",
            started(failover(history([out(1_500), old(4_000)])), 1_200),
            ALONE,
            &[],
        ),
        (
            "by one that has started before",
            started(failover(history([out(1_500), old(4_000)])), 900),
            ALONE,
            &[DEAD],
        ),
        (
            "found to be over",
            failover(history([not_confirmed(), out(1_500).nobody(), old(4_000)])),
            ALONE,
            &[],
        ),
        ("moved", failover(history([renewed(), old(4_000)])), ALONE, &[DEAD]),
        (
            "only seen, and not acknowledged",
            failover(history([not_confirmed(), seen(), old(4_000)])),
            ALONE,
            &[],
        ),
        ("signed in, and lost", failover(history([signs_in(900), gone(4_000)])), ALONE, &[]),
        ("signed in before", failover(history([signs_in(100), gone(4_000)])), ALONE, &[ALIVE]),
        ("signed in after", failover(history([signs_in(3_600), gone(4_000)])), ALONE, &[ALIVE]),
    ]);
}

const TOKEN: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAb3c";

/// Of a session in a cluster.
fn in_cluster(place: Place, kind: Kind) -> History {
    let mut history = history([op(A, kind, 5_000).with(TOKEN).failed()]);
    // Who it is says which slot may move.
    history.ops.iter_mut().for_each(|op| op.client = "u7".to_owned());
    history.ops[0].answer = said(200, Some("u7"), None, set("t"));
    history.faults.push(fault(place, 4_000, 5_100));
    history.shards = 3;
    history
}

fn moved(mut history: History, shards: &[usize]) -> History {
    let (tag, at) = ("b3c".to_owned(), 1_000 * MILLI);
    history.arrivals.push(Arrival { tag, at, shards: shards.to_vec() });
    history
}

#[test]
fn a_request_is_refused_for_a_fault_at_its_place_alone() {
    let own = in_cluster(REDIS, Read).shards_of("b3c", 0, 1)[0];
    let (other, third) = ((own + 1) % 3, (own + 2) % 3);
    let at = |place| in_cluster(place, Read);
    let sentinel = |mut history: History| {
        history.shards = 0;
        history
    };
    assert_rules(&[
        ("its primary", at(Place::Redis(own)), ALONE, &[]),
        ("another", at(Place::Redis(other)), ALONE, &[COULD]),
        ("its way", at(Place::ToRedis(A, own)), ALONE, &[]),
        ("the way to another", at(Place::ToRedis(A, other)), ALONE, &[COULD]),
        ("the way of the other instance", at(Place::ToRedis(B, own)), ALONE, &[COULD]),
        ("its instance", at(Place::Instance(A)), ALONE, &[]),
        ("its slot moves", at(Place::Slot(7)), ALONE, &[COULD]),
        ("its slot moves, of all", in_cluster(Place::Slot(7), Revoke), ALONE, &[]),
        ("another slot", in_cluster(Place::Slot(8), Revoke), ALONE, &[COULD]),
        ("where it is now", moved(at(Place::Redis(other)), &[other]), ALONE, &[]),
        ("where it was", moved(at(Place::Redis(own)), &[other]), ALONE, &[COULD]),
        ("where it goes", moved(at(Place::Redis(third)), &[own, third]), ALONE, &[]),
        ("the only primary", sentinel(at(REDIS)), ALONE, &[]),
        ("a sentinel", sentinel(at(Place::Sentinel(1))), ALONE, &[COULD]),
        ("with a database", sentinel(at(REDIS)), TERMS, &[SERVES]),
    ]);
}

#[test]
fn a_move_of_unknown_outcome_may_have_ended_a_session() {
    let renewal = || op(B, Renew, 5).failed();
    let gone = || op(A, Read, 20).nobody();
    let cut = |mut history: History| {
        history.faults.push(fault(Place::ToRedis(B, 0), 0, 30));
        history
    };
    assert_rules(&[
        ("alone", cut(history([renewal(), gone()])), ALONE, &[]),
        ("with a database", cut(history([renewal(), gone()])), STRICT, &[ALIVE]),
    ]);
}
