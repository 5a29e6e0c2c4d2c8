use std::{collections::BTreeMap, time::Duration};

use crate::{
    clock::timestamp::Timestamp,
    error::ErrorKind,
    session::{
        changes::{plan::*, *},
        expiry::Deadlines,
        write_id::WriteId,
    },
};

#[path = "tests/properties.rs"]
mod properties;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
const START: Timestamp = Timestamp::from_millis(1_704_067_200_000);
const MARK: WriteId = [9; 16];
const OLD_MARK: WriteId = [1; 16];

fn policy() -> Policy {
    Policy {
        expiry: SessionExpiry::new(HOUR).absolute(DAY),
        touch_interval: MINUTE,
        max_record_size: 1 << 20,
        max_values: 100,
    }
}

fn writer() -> Writer {
    Writer { mark: MARK, device: None }
}

fn json(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn changes(make: impl FnOnce(&mut Changes)) -> Changes {
    let mut changes = Changes::default();
    make(&mut changes);
    changes
}

/// A record at version 5 with `a` = 1, created and used at `START`.
fn base(user: Option<&str>) -> Record {
    let edits: Edits = [("a".into(), Some(json("1")))].into();
    Record {
        version: 5,
        writer: OLD_MARK,
        created: START,
        last_activity: START,
        deadlines: Deadlines::start(policy().expiry, START, MINUTE),
        authenticated: user.map(|_| START),
        user: user.map(Into::into),
        device: None,
        platform: None,
        values: Values::default().edited(&edits),
        sealed: None,
        moved: None,
    }
}

fn plan(changes: &Changes, base: Option<&Record>, now: Timestamp) -> Plan {
    changes.plan(base, now, &policy(), &writer()).unwrap()
}

fn name_of(plan: &Plan) -> &'static str {
    match plan {
        Plan::Nothing => "nothing",
        Plan::Touch(_) => "touch",
        Plan::Create(_) => "create",
        Plan::Update(_) => "update",
        Plan::Renew(_) => "renew",
        Plan::Destroy => "destroy",
    }
}

fn all(values: &Values) -> BTreeMap<String, Bytes> {
    values.iter().map(|(name, value)| (name.to_owned(), Bytes::copy_from_slice(value))).collect()
}

#[test]
fn every_change_has_its_plan() {
    let anonymous = base(None);
    let alice = base(Some("alice"));
    let (none, anonymous, alice) = (None, Some(&anonymous), Some(&alice));
    let equal_expiry = policy().expiry;
    let soon = START.saturating_add(SECOND);
    let later = START.saturating_add(MINUTE);
    for (name, base, now, make, expected) in [
        ("no session, nothing", none, soon, (|_| ()) as fn(&mut Changes), "nothing"),
        ("no session, insert", none, soon, |c| c.insert("b", json("2")), "create"),
        ("no session, login", none, soon, |c| c.login("bob", None), "create"),
        ("no session, remove", none, soon, |c| c.remove("b"), "nothing"),
        ("no session, clear", none, soon, Changes::clear, "nothing"),
        ("no session, renew", none, soon, Changes::renew, "nothing"),
        ("no session, no platform", none, soon, |c| c.set_platform(None), "nothing"),
        ("no session, expiry", none, soon, |c| c.set_expiry(SessionExpiry::new(DAY)), "nothing"),
        (
            "no session, insert and remove",
            none,
            soon,
            |c| {
                c.insert("b", json("2"));
                c.remove("b");
            },
            "nothing",
        ),
        ("nothing, soon", anonymous, soon, |_| (), "nothing"),
        ("nothing, later", anonymous, later, |_| (), "touch"),
        ("equal value, soon", anonymous, soon, |c| c.insert("a", json("1")), "nothing"),
        ("equal value, later", anonymous, later, |c| c.insert("a", json("1")), "touch"),
        ("removal of nothing", anonymous, soon, |c| c.remove("b"), "nothing"),
        ("the same platform", alice, soon, |c| c.set_platform(None), "nothing"),
        ("another value", anonymous, soon, |c| c.insert("a", json("2")), "update"),
        ("the same in other JSON", anonymous, soon, |c| c.insert("a", json("1.0")), "update"),
        ("a new value", anonymous, soon, |c| c.insert("b", json("1")), "update"),
        ("a new value, later", anonymous, later, |c| c.insert("b", json("1")), "update"),
        ("platform", alice, soon, |c| c.set_platform(Some("p")), "update"),
        ("expiry", alice, soon, |c| c.set_expiry(SessionExpiry::new(DAY)), "update"),
        ("removal of one of a user", alice, soon, |c| c.remove("a"), "update"),
        ("clear of a user", alice, soon, Changes::clear, "update"),
        ("removal of the last", anonymous, soon, |c| c.remove("a"), "destroy"),
        ("clear", anonymous, soon, Changes::clear, "destroy"),
        (
            "clear, then insert",
            anonymous,
            soon,
            |c| {
                c.clear();
                c.insert("b", json("1"));
            },
            "update",
        ),
        (
            "clear, then the same again",
            anonymous,
            soon,
            |c| {
                c.clear();
                c.insert("a", json("1"));
            },
            "nothing",
        ),
        ("insert, then clear", anonymous, soon, |c| c.clear(), "destroy"),
        ("renew", anonymous, soon, Changes::renew, "renew"),
        ("login", anonymous, soon, |c| c.login("bob", None), "renew"),
        ("login again", alice, soon, |c| c.login("alice", None), "renew"),
        ("login over another", alice, soon, |c| c.login("bob", None), "renew"),
        (
            "clear and renew",
            anonymous,
            soon,
            |c| {
                c.clear();
                c.renew();
            },
            "destroy",
        ),
    ] {
        assert_eq!(name_of(&plan(&changes(make), base, now)), expected, "{name}");
    }
    let same = changes(|c| c.set_expiry(equal_expiry));
    assert_eq!(plan(&same, alice, soon), Plan::Nothing, "the same expiry");
}

#[test]
fn a_session_begins_with_the_times_of_the_policy_and_version_1() {
    let now = START.saturating_add(HOUR);
    let make = changes(|c| {
        c.insert("b", json("2"));
        c.login("bob", Some("p"));
    });
    let Plan::Create(record) = plan(&make, None, now) else { panic!("no create") };
    assert_eq!((record.version, record.writer), (1, MARK));
    assert_eq!((record.created, record.last_activity), (now, now));
    assert_eq!(record.deadlines, Deadlines::start(policy().expiry, now, MINUTE));
    assert_eq!((record.user(), record.platform.as_deref()), (Some("bob"), Some("p")));
    assert_eq!(all(&record.values), [("b".to_owned(), json("2"))].into());
}

#[test]
fn a_session_begins_with_its_own_expiry_if_it_was_given_one() {
    let make = changes(|c| {
        c.login("bob", None);
        c.set_expiry(SessionExpiry::new(MINUTE));
    });
    let Plan::Create(record) = plan(&make, None, START) else { panic!("no create") };
    assert_eq!(record.end(), START.saturating_add(63 * SECOND));
}

#[test]
fn an_update_gets_the_next_version_and_slides_the_idle_end_only() {
    let base = base(Some("alice"));
    let now = START.saturating_add(30 * MINUTE);
    let make = changes(|c| c.insert("b", json("2")));
    let Plan::Update(record) = plan(&make, Some(&base), now) else { panic!("no update") };
    assert_eq!((record.version, record.writer), (6, MARK));
    assert_eq!((record.created, record.last_activity), (START, now));
    assert_eq!(record.end(), now.saturating_add(HOUR + MINUTE));
    assert_eq!(record.deadlines.absolute_deadline, base.deadlines.absolute_deadline);
    assert_eq!(record.user(), Some("alice"));
    assert_eq!(all(&record.values), [("a".into(), json("1")), ("b".into(), json("2"))].into());
}

#[test]
fn an_update_under_a_clock_that_stepped_back_takes_no_time_away() {
    let base = base(None);
    let past = Timestamp::from_millis(START.as_millis() - 60_000);
    let make = changes(|c| c.insert("b", json("2")));
    let Plan::Update(record) = plan(&make, Some(&base), past) else { panic!("no update") };
    assert_eq!(record.last_activity, START);
    assert_eq!(record.end(), base.end());
}

#[test]
fn a_renewal_keeps_everything_but_id_and_version() {
    let base = base(Some("alice"));
    let now = START.saturating_add(MINUTE);
    let Plan::Renew(record) = plan(&changes(Changes::renew), Some(&base), now) else {
        panic!("no renewal")
    };
    assert_eq!((record.version, record.created), (1, START));
    assert_eq!(record.deadlines.absolute_deadline, base.deadlines.absolute_deadline);
    assert_eq!((record.user(), &record.values), (Some("alice"), &base.values));
}

#[test]
fn a_login_starts_the_absolute_time_afresh_by_the_sessions_own_policy() {
    let now = START.saturating_add(12 * HOUR);
    let remember = SessionExpiry::new(7 * DAY).absolute(30 * DAY);
    let own = |expiry: SessionExpiry, user| Record {
        deadlines: Deadlines::start(expiry, START, MINUTE),
        ..base(user)
    };
    let login = changes(|c| c.login("alice", None));
    let login_as_told = changes(|c| {
        c.login("alice", None);
        c.set_expiry(SessionExpiry::new(HOUR).absolute(2 * HOUR));
    });
    let long = SessionExpiry::new(30 * DAY);
    for (name, base, make, idle, absolute) in [
        ("anonymous", own(policy().expiry, None), &login, HOUR, Some(DAY)),
        ("the same user", own(remember, Some("alice")), &login, 7 * DAY, Some(30 * DAY)),
        (
            "without an absolute end of its own",
            own(long, Some("alice")),
            &login,
            30 * DAY,
            Some(DAY),
        ),
        ("over another user", own(remember, Some("bob")), &login, HOUR, Some(DAY)),
        ("as told", own(remember, Some("alice")), &login_as_told, HOUR, Some(2 * HOUR)),
    ] {
        let Plan::Renew(record) = plan(make, Some(&base), now) else { panic!("{name}") };
        assert_eq!(record.created, now, "{name}");
        assert_eq!(record.deadlines.idle, idle, "{name}");
        let end = absolute.map(|absolute| now.saturating_add(absolute));
        assert_eq!(record.deadlines.absolute_deadline, end, "{name}");
    }
}

#[test]
fn a_login_over_another_user_drops_values_and_platform() {
    let mut base = base(Some("alice"));
    base.platform = Some("hers".into());
    for (name, user, platform, kept) in [
        ("the same", "alice", None, true),
        ("another", "bob", None, false),
        ("another in case only", "Alice", None, false),
        ("another with a platform", "bob", Some("his"), false),
    ] {
        let make = changes(|c| {
            c.login(user, platform);
            c.insert("b", json("2"));
        });
        let Plan::Renew(record) = plan(&make, Some(&base), START) else { panic!("{name}") };
        assert_eq!(record.values.get("a").is_some(), kept, "{name}");
        assert_eq!(make.get(Some(&base), "a").is_some(), kept, "{name}: as a handler sees it");
        assert_eq!(make.names(Some(&base)).contains(&"a".to_owned()), kept, "{name}");
        assert_eq!(record.values.get("b"), Some(json("2")), "{name}");
        assert_eq!(record.platform.as_deref(), platform, "{name}");
    }
}

#[test]
fn a_handler_sees_what_it_did_on_top_of_what_was_there() {
    let base = base(Some("alice"));
    let base = Some(&base);
    let mut changes = Changes::default();
    assert_eq!(changes.get(base, "a"), Some(json("1")));
    changes.insert("b", json("2"));
    assert_eq!(changes.names(base), ["a", "b"]);
    changes.remove("a");
    assert_eq!(changes.get(base, "a"), None);
    changes.insert("a", json("3"));
    assert_eq!(changes.get(base, "a"), Some(json("3")));
    changes.clear();
    assert_eq!((changes.get(base, "a"), changes.names(base)), (None, vec![]));
    assert_eq!(changes.user(base).as_deref(), Some("alice"));
    changes.login("bob", Some("p"));
    assert_eq!(changes.user(base).as_deref(), Some("bob"));
    assert_eq!(changes.platform(base).as_deref(), Some("p"));
    changes.set_platform(None);
    assert_eq!(changes.platform(base), None);
}

#[test]
fn a_record_of_the_bound_is_taken_and_one_byte_more_is_not() {
    let limit = |max_record_size| Policy { max_record_size, ..policy() };
    let base = base(Some("alice"));
    for (name, base, make) in [
        ("create", None, changes(|c| c.insert("b", json("123456")))),
        ("update", Some(&base), changes(|c| c.insert("b", json("123456")))),
        ("login", Some(&base), changes(|c| c.login("alice", Some("platform")))),
    ] {
        let record = match plan(&make, base, START) {
            Plan::Create(record) | Plan::Update(record) | Plan::Renew(record) => record,
            other => panic!("{name}: {other:?}"),
        };
        let size = record.to_bytes().len();
        assert!(make.plan(base, START, &limit(size), &writer()).is_ok(), "{name}");
        let error = make.plan(base, START, &limit(size - 1), &writer()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{name}");
        assert!(error.to_string().contains(&size.to_string()), "{name}: {error}");
    }
}

#[test]
fn a_record_above_a_lowered_bound_may_shrink_and_move_but_not_grow() {
    let base = base(Some("alice"));
    let lowered = Policy { max_record_size: base.encoded_len() - 1, ..policy() };
    let allowed = "allowed";
    for (name, make, expected) in [
        ("nothing", (|_| ()) as fn(&mut Changes), "nothing"),
        ("renewal", Changes::renew, allowed),
        ("login", |c| c.login("alice", None), allowed),
        ("login of another", |c| c.login("bob", None), allowed),
        ("removal", |c| c.remove("a"), allowed),
        ("a value of the same size", |c| c.insert("a", json("2")), allowed),
        ("a larger value", |c| c.insert("a", json("11")), "too large"),
        ("another value", |c| c.insert("b", json("1")), "too large"),
        ("a platform", |c| c.set_platform(Some("p")), "too large"),
    ] {
        let plan = changes(make).plan(Some(&base), START, &lowered, &writer());
        let seen = match &plan {
            Ok(Plan::Nothing) => "nothing",
            Ok(Plan::Update(_) | Plan::Renew(_)) => allowed,
            Err(error) if error.kind() == ErrorKind::TooLarge => "too large",
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(seen, expected, "{name}");
    }
}

#[test]
fn activity_is_written_down_once_an_interval_and_not_past_the_absolute_end() {
    let base = base(None);
    let millisecond = Duration::from_millis(1);
    for (name, after, end) in [
        ("at once", Duration::ZERO, None),
        ("before", MINUTE - millisecond, None),
        ("at the interval", MINUTE, Some(HOUR + 2 * MINUTE)),
        ("after", 2 * MINUTE, Some(HOUR + 3 * MINUTE)),
        ("near the absolute end", DAY - MINUTE, Some(DAY)),
    ] {
        let now = START.saturating_add(after);
        let activity = due_touch(&base, now, &policy());
        let ends = activity.map(|activity| activity.end);
        assert_eq!(ends, end.map(|end| START.saturating_add(end)), "{name}");
        assert!(activity.is_none_or(|activity| activity.last_activity == now), "{name}");
    }
    let past = Timestamp::from_millis(0);
    assert_eq!(due_touch(&base, past, &policy()), None, "a clock that stepped back");
}

#[test]
fn what_single_names_can_be_saved_before() {
    for (name, make, wholesale, moves, empty) in [
        ("nothing", (|_| ()) as fn(&mut Changes), false, false, true),
        ("insert", |c| c.insert("b", json("2")), false, false, false),
        ("remove", |c| c.remove("b"), false, false, false),
        ("platform", |c| c.set_platform(None), false, false, false),
        ("expiry", |c| c.set_expiry(SessionExpiry::new(DAY)), false, false, false),
        ("clear", Changes::clear, true, false, false),
        ("renew", Changes::renew, true, true, false),
        ("login", |c| c.login("bob", None), true, true, false),
    ] {
        let changes = changes(make);
        assert_eq!(changes.is_wholesale(), wholesale, "{name}");
        assert_eq!(changes.moves(), moves, "{name}");
        assert_eq!(changes.is_empty(), empty, "{name}");
    }
}

#[test]
fn taking_one_name_leaves_the_others() {
    let mut rest = changes(|c| {
        c.insert("b", json("2"));
        c.remove("a");
    });
    let base = base(None);
    let taken = rest.take_name("b");
    assert_eq!(taken.names(Some(&base)), ["a", "b"]);
    assert_eq!(rest.names(Some(&base)), Vec::<String>::new());
    assert!(rest.take_name("c").is_empty());
}
