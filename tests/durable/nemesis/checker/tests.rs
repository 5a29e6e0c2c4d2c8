//! Each rule has a history that it must reject, and one like it that it must not.

/// Without a database.
mod alone;
/// Visitors who sign in.
mod visitors;

use super::super::history::{
    Answer, Cookie, Fault, History, Kind, MILLI, Op, Place, Pulse, REDIS, Site, Time,
};
use super::{Terms, check};

const TERMS: Terms = Terms {
    is_durable: true,
    strict: false,
    stretches: false,
    lease: 400 * MILLI,
    budget: 900 * MILLI,
};
const STRICT: Terms = Terms { strict: true, ..TERMS };
const STRETCHES: Terms = Terms { stretches: true, ..TERMS };

/// A request of 2 ms with the cookie `t`, answered 200 as the user's.
fn op(at: Site, kind: Kind, start: u64) -> Op {
    let start: Time = start * MILLI;
    Op {
        at,
        kind,
        client: "u".to_owned(),
        token: Some("t".to_owned()),
        start,
        end: start + 2 * MILLI,
        answer: said(200, Some("u"), None, Cookie::Kept),
    }
}

fn said(status: u16, user: Option<&str>, n: Option<u64>, cookie: Cookie) -> Answer {
    Answer::Said { status, user: user.map(str::to_owned), n, cookie }
}

fn set(token: &str) -> Cookie {
    Cookie::Set(token.to_owned())
}

impl Op {
    fn with(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    fn answered(mut self, answer: Answer) -> Self {
        self.answer = answer;
        self
    }

    fn nobody(self) -> Self {
        self.answered(said(200, None, None, Cookie::Kept))
    }

    fn failed(self) -> Self {
        self.answered(said(503, None, None, Cookie::Kept))
    }

    fn lost(self) -> Self {
        self.answered(Answer::Lost)
    }

    fn count(self, n: u64) -> Self {
        self.answered(said(200, Some("u"), Some(n), Cookie::Kept))
    }

    fn taking(mut self, millis: u64) -> Self {
        self.end = self.start + millis * MILLI;
        self
    }
}

/// Signed in at 0 with the cookie `t`.
fn login() -> Op {
    let answer = said(200, Some("u"), None, set("t"));
    Op { token: None, ..op(Site::A, Kind::Login, 0).answered(answer) }
}

fn renewed(start: u64) -> Op {
    op(Site::A, Kind::Renew, start).answered(said(200, Some("u"), None, set("t2")))
}

fn fault(on: Place, from: u64, to: u64) -> Fault {
    let (from, to) = (from * MILLI, to * MILLI);
    Fault { what: String::new(), on, from, to, loses: false }
}

fn history(ops: impl IntoIterator<Item = Op>) -> History {
    let mut ops: Vec<Op> = std::iter::once(login()).chain(ops).collect();
    ops.sort_by_key(|op| op.start);
    History { ops, ..History::default() }
}

fn broken(history: &History, terms: &Terms) -> Vec<&'static str> {
    check(history, terms).0.into_iter().map(|violation| violation.rule).collect()
}

#[track_caller]
fn assert_rules(cases: &[(&str, History, Terms, &[&str])]) {
    for (name, history, terms, expected) in cases {
        let mut found = broken(history, terms);
        // What a store refuses, or the machine loses, is not what these are about.
        found.retain(|rule| ![COMES, WRITES, COULD].contains(rule) || expected.contains(rule));
        assert_eq!(found, *expected, "{name}");
    }
}

const DEAD: &str = "the dead stay dead";
const ALIVE: &str = "the signed in stay so";
const SENSE: &str = "an answer makes sense";
const ONCE: &str = "each update counts once";
const FRESH: &str = "a read is fresh";
const LONG: &str = "nobody waits too long";
const SERVES: &str = "a store that could serves";

const COMES: &str = "an answer comes";
const COULD: &str = "a primary that could serves";
const WRITES: &str = "a database that could writes";

use Kind::{Logout, Read, Renew, Revoke, Update};
use Site::{A, B};

#[test]
fn who_is_signed_out_stays_so() {
    let out = || op(A, Logout, 10);
    let read = |at, start| op(at, Read, start);
    let cut = |mut history: History| {
        history.faults.push(fault(Place::ToDatabase(B), 5, 2_000));
        history
    };
    let untold = |mut history: History| {
        history.faults.push(fault(Place::ToRedis(A, 0), 5, 100));
        history
    };
    assert_rules(&[
        ("at the same instance", history([out(), read(A, 20)]), TERMS, &[DEAD]),
        ("in flight", history([out(), op(A, Read, 11)]), TERMS, &[]),
        ("at the other, within the lease", history([out(), read(B, 20)]), TERMS, &[]),
        ("at the other, after it", history([out(), read(B, 450)]), TERMS, &[DEAD]),
        ("at the other, strict", history([out(), read(B, 20)]), STRICT, &[DEAD]),
        ("a second logout", history([out(), op(B, Logout, 450)]), TERMS, &[DEAD]),
        ("as it should be", history([out(), read(A, 20).nobody()]), STRICT, &[]),
        ("not acknowledged", history([out().failed(), read(A, 450)]), STRICT, &[]),
        ("seen once", history([out().lost(), read(A, 20).nobody(), read(A, 450)]), TERMS, &[DEAD]),
        ("cut off, which is told", cut(history([out(), read(B, 450)])), STRETCHES, &[DEAD]),
        (
            "cut off, which may be behind",
            untold(cut(history([out(), read(B, 450)]))),
            STRETCHES,
            &[],
        ),
        ("cut off, which may not", cut(history([out(), read(B, 450)])), TERMS, &[DEAD]),
        ("no longer cut off", cut(history([out(), read(B, 2_800)])), STRETCHES, &[DEAD]),
        ("the acknowledging one", cut(history([out(), read(A, 20)])), STRETCHES, &[DEAD]),
    ]);
}

#[test]
fn a_renewed_cookie_is_as_dead() {
    let old = |at, start| op(at, Read, start);
    let told = said(503, None, None, set("t2"));
    let half = || op(A, Renew, 10).answered(told.clone());
    assert_rules(&[
        ("at the same instance", history([renewed(10), old(A, 20)]), TERMS, &[DEAD]),
        ("at the other, strict", history([renewed(10), old(B, 20)]), STRICT, &[DEAD]),
        ("half done", history([half(), old(A, 500)]), STRICT, &[]),
        (
            "half done, and the new one used",
            history([half(), old(B, 30).with("t2"), old(B, 500)]),
            TERMS,
            &[DEAD],
        ),
        ("the new one", history([renewed(10), old(A, 20).with("t2")]), STRICT, &[]),
    ]);
}

#[test]
fn nobody_is_signed_out_who_did_not_ask() {
    let gone = |start| op(A, Read, start).nobody();
    let removed = said(200, Some("u"), None, Cookie::Removed);
    let ended = said(401, None, None, Cookie::Removed);
    let second = |status| op(A, Renew, 6).answered(said(status, Some("u"), None, set("t3")));
    assert_rules(&[
        ("a read", history([gone(10)]), TERMS, &[ALIVE]),
        ("a removal cookie", history([op(A, Read, 10).answered(removed)]), TERMS, &[ALIVE]),
        ("an update", history([op(A, Update, 10).answered(ended)]), TERMS, &[ALIVE]),
        (
            "after a logout nobody confirmed",
            history([op(B, Logout, 5).failed(), gone(20)]),
            TERMS,
            &[],
        ),
        ("after a lost renewal", history([op(B, Renew, 5).lost(), gone(20)]), TERMS, &[]),
        ("after a refused one", history([op(B, Renew, 5).failed(), gone(20)]), TERMS, &[ALIVE]),
        ("with a new cookie", history([renewed(5), gone(20).with("t2")]), TERMS, &[ALIVE]),
        (
            "with that of a move beside another one",
            history([renewed(5), second(503), gone(20).with("t3")]),
            TERMS,
            &[],
        ),
        (
            "which was acknowledged",
            history([renewed(5), second(200), gone(20).with("t3")]),
            TERMS,
            &[ALIVE],
        ),
        ("a cookie of nobody's", history([gone(20).with("?")]), TERMS, &[]),
    ]);
}

#[test]
fn an_answer_is_the_users_own() {
    let other = said(200, Some("v"), None, Cookie::Kept);
    let odd = said(500, None, None, Cookie::Kept);
    assert_rules(&[
        ("another's", history([op(A, Read, 10).answered(other)]), TERMS, &[SENSE]),
        ("a status", history([op(A, Update, 10).answered(odd)]), TERMS, &[SENSE]),
        ("a renewal to nothing", history([op(A, Renew, 10)]), TERMS, &[SENSE]),
        ("one that a logout overtakes", history([op(A, Renew, 10), op(B, Logout, 10)]), TERMS, &[]),
    ]);
}

#[test]
fn updates_are_counted_once_and_kept() {
    let update = |at, start, n| op(at, Update, start).count(n);
    let read = |at, start, n| op(at, Read, start).count(n);
    let behind = |n| history([update(A, 10, 1), update(A, 20, 2), read(B, 450, n)]);
    assert_rules(&[
        ("in order", behind(2), STRICT, &[]),
        ("twice the same", history([update(A, 10, 1), update(B, 11, 1)]), TERMS, &[ONCE]),
        (
            "backwards",
            history([update(A, 10, 2), update(A, 5, 1), update(B, 20, 1)]),
            TERMS,
            &[ONCE, ONCE],
        ),
        ("lost", behind(1), TERMS, &[FRESH]),
        ("too many", behind(3), TERMS, &[FRESH]),
        ("one unknown", history([op(A, Update, 5).lost(), read(A, 500, 1)]), TERMS, &[]),
        (
            "one unknown, which was not",
            history([op(A, Update, 5).lost(), read(A, 500, 0)]),
            TERMS,
            &[],
        ),
        ("at once elsewhere", history([update(A, 10, 1), read(B, 20, 0)]), TERMS, &[]),
        (
            "at once elsewhere, strict",
            history([update(A, 10, 1), read(B, 20, 0)]),
            STRICT,
            &[FRESH],
        ),
        ("at once here", history([update(A, 10, 1), read(A, 20, 0)]), TERMS, &[FRESH]),
        (
            "under the next cookie",
            history([update(A, 5, 1), renewed(10), read(B, 500, 0).with("t2")]),
            TERMS,
            &[FRESH],
        ),
    ]);
}

#[test]
fn waiting_has_a_bound() {
    let slow = |kind, millis| history([op(A, kind, 10).taking(millis)]);
    let mut stalled = slow(Read, 1_000);
    stalled.pulses.push(Pulse { at: A, start: 100 * MILLI, end: 200 * MILLI });
    let mut halted = slow(Read, 3_000);
    halted.pulses.push(Pulse { at: A, start: 2_000 * MILLI, end: 2_300 * MILLI });
    let mut stopped = slow(Read, 1_500);
    stopped.faults.push(fault(Place::Instance(A), 0, 700));
    assert_rules(&[
        ("a read", slow(Read, 1_000), TERMS, &[LONG]),
        ("a write", slow(Update, 1_000), TERMS, &[LONG]),
        ("a strict write", slow(Update, 1_000), STRICT, &[]),
        ("a strict read", slow(Read, 1_000), STRICT, &[LONG]),
        ("within", slow(Read, 940), TERMS, &[]),
        ("a busy machine", stalled, TERMS, &[]),
        ("a machine that halts", halted, TERMS, &[]),
        ("a stopped instance", stopped, TERMS, &[]),
    ]);
}

#[test]
fn a_read_is_served_while_one_store_is_there() {
    let with = |faults: &[Fault], ops: Vec<Op>| History { faults: faults.to_vec(), ..history(ops) };
    let fails = || op(A, Read, 5_000).failed();
    let copied = || vec![op(A, Read, 4_000), op(A, Read, 4_100), fails()];
    let mut written = copied();
    written.push(op(B, Update, 4_050).failed());
    let (redis, database) = (REDIS, Place::ToDatabase(A));
    let both = [fault(redis, 4_500, 5_100), fault(database, 4_500, 5_100)];
    let away = [fault(database, 4_500, 5_100)];
    let earlier = [fault(database, 4_500, 5_100), fault(redis, 2_900, 3_000)];
    let elsewhere = [fault(Place::ToDatabase(B), 4_500, 5_100), fault(redis, 4_500, 5_100)];
    assert_rules(&[
        ("all is well", with(&[], vec![fails()]), TERMS, &[SERVES]),
        ("Redis is away", with(&[fault(redis, 4_000, 5_100)], vec![fails()]), TERMS, &[SERVES]),
        ("another's way", with(&elsewhere, vec![fails()]), TERMS, &[SERVES]),
        ("just back", with(&[fault(database, 4_000, 4_500)], vec![fails()]), TERMS, &[]),
        ("both are away", with(&both, copied()), STRETCHES, &[]),
        ("the database is away", with(&away, copied()), STRETCHES, &[SERVES]),
        ("no copy", with(&away, vec![fails()]), STRETCHES, &[]),
        ("perhaps no copy", with(&away, written), STRETCHES, &[]),
        ("a copy of another life", with(&earlier, copied()), STRETCHES, &[]),
        ("not served alone", with(&away, copied()), TERMS, &[]),
        ("a write", with(&[], vec![op(A, Update, 5_000).failed()]), TERMS, &[]),
    ]);
}

#[test]
fn all_that_a_user_has_ends_at_once() {
    let second = || {
        let answer = said(200, Some("u"), None, set("t2"));
        Op { token: None, ..op(B, Kind::Login, 5).answered(answer) }
    };
    let out = |at, start| op(at, Revoke, start);
    let read = |at, start| op(at, Read, start).with("t2");
    let late = || Op { start: 9 * MILLI, end: 11 * MILLI, ..second() };
    assert_rules(&[
        ("its own", history([out(A, 10), op(A, Read, 20)]), TERMS, &[DEAD]),
        ("another, here", history([second(), out(A, 10), read(A, 20)]), TERMS, &[DEAD]),
        ("another, there", history([second(), out(A, 10), read(B, 20)]), TERMS, &[]),
        ("another, there, later", history([second(), out(A, 10), read(B, 450)]), TERMS, &[DEAD]),
        ("another, there, strict", history([second(), out(A, 10), read(B, 20)]), STRICT, &[DEAD]),
        ("one that began beside it", history([late(), out(A, 10), read(A, 450)]), TERMS, &[]),
        ("refused", history([second(), out(A, 10).failed(), read(A, 450)]), TERMS, &[]),
        ("by nobody", history([second(), out(A, 10).nobody(), read(A, 450)]), TERMS, &[]),
        ("signed out so", history([second(), out(A, 10), read(A, 20).nobody()]), TERMS, &[]),
        (
            "signed out by what nobody confirmed",
            history([second(), out(A, 10).lost(), read(A, 20).nobody()]),
            TERMS,
            &[],
        ),
    ]);
}

#[test]
fn an_answer_comes_and_a_write_is_taken() {
    let lost = || history([op(A, Read, 500).lost()]);
    let refused = || history([op(A, Update, 5_000).failed()]);
    let with = |on, mut history: History| {
        history.faults.push(fault(on, 450, 5_001));
        history
    };
    for (name, history, expected) in [
        ("lost", lost(), &[COMES][..]),
        ("lost with its instance", with(Place::Instance(A), lost()), &[]),
        ("lost beside another", with(Place::Instance(B), lost()), &[COMES]),
        ("refused", refused(), &[WRITES]),
        ("refused without redis", with(REDIS, refused()), &[WRITES]),
        ("refused without the database", with(Place::ToDatabase(A), refused()), &[]),
        ("refused beside another", with(Place::ToDatabase(B), refused()), &[WRITES]),
    ] {
        assert_eq!(broken(&history, &TERMS), expected, "{name}");
    }
}
