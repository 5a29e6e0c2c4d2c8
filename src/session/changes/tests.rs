use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;

use crate::{
    clock::timestamp::Timestamp,
    error::ErrorKind,
    session::{
        changes::{plan::*, *},
        expiry::Deadlines,
        write_id::WriteId,
    },
};

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
    assert_eq!(record.end(), START.saturating_add(66 * SECOND));
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

/// What a handler can do to a session without a store.
#[derive(Clone, Debug)]
enum Act {
    Insert(&'static str, &'static str),
    Remove(&'static str),
    Clear,
    Login(&'static str, Option<&'static str>),
    Platform(Option<&'static str>),
    Renew,
    Expiry(u64),
}

impl Act {
    fn on(&self, changes: &mut Changes) {
        match self {
            Self::Insert(name, value) => changes.insert(name, json(value)),
            Self::Remove(name) => changes.remove(name),
            Self::Clear => changes.clear(),
            Self::Login(user, platform) => changes.login(user, *platform),
            Self::Platform(platform) => changes.set_platform(*platform),
            Self::Renew => changes.renew(),
            Self::Expiry(hours) => {
                changes.set_expiry(SessionExpiry::new(HOUR).absolute(HOUR * (*hours as u32)));
            }
        }
    }

    fn moves_the_absolute_end(&self) -> bool {
        matches!(self, Self::Login(..) | Self::Expiry(_))
    }
}

fn sampled<T: Clone + std::fmt::Debug + 'static>(of: &[T]) -> impl Strategy<Value = T> + use<T> {
    proptest::sample::select(of.to_vec())
}

fn act() -> impl Strategy<Value = Act> {
    let name = || sampled(&["a", "b", "c"]);
    let platform = || sampled(&[None, Some("p"), Some("q")]);
    prop_oneof![
        4 => (name(), sampled(&["1", "2", "3"])).prop_map(|(name, value)| Act::Insert(name, value)),
        2 => name().prop_map(Act::Remove),
        1 => Just(Act::Clear),
        1 => (sampled(&["alice", "bob"]), platform()).prop_map(|(user, p)| Act::Login(user, p)),
        1 => platform().prop_map(Act::Platform),
        1 => Just(Act::Renew),
        1 => (1..100u64).prop_map(Act::Expiry),
    ]
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    proptest::collection::vec(act(), 0..6)
}

fn done(acts: &[Act]) -> Changes {
    changes(|changes| acts.iter().for_each(|act| act.on(changes)))
}

fn some_base() -> impl Strategy<Value = Record> {
    let values = proptest::collection::btree_map(
        sampled(&["a", "b", "c", "d"]),
        sampled(&["1", "2", "3"]),
        0..4,
    );
    let user = sampled(&[None, Some("alice"), Some("bob")]);
    let platform = sampled(&[None, Some("p")]);
    (values, user, platform, 1..100u64).prop_map(|(values, user, platform, version)| {
        let edits = values.into_iter().map(|(name, value)| (name.into(), Some(json(value))));
        Record {
            version,
            platform: platform.map(Into::into),
            values: Values::default().edited(&edits.collect()),
            ..base(user)
        }
    })
}

/// The values after `acts` on `base`, by a map and the rules in words.
fn expected_values(acts: &[Act], base: &Record) -> BTreeMap<String, Bytes> {
    let login = acts.iter().rev().find_map(|act| match act {
        Act::Login(user, _) => Some(*user),
        _ => None,
    });
    let over_another = match (login, base.user()) {
        (Some(new), Some(old)) => new != old,
        _ => false,
    };
    let mut values = if over_another { BTreeMap::new() } else { all(&base.values) };
    for act in acts {
        match act {
            Act::Insert(name, value) => drop(values.insert((*name).into(), json(value))),
            Act::Remove(name) => drop(values.remove(*name)),
            Act::Clear => values.clear(),
            _ => {}
        }
    }
    values
}

fn record_of(plan: Plan, base: &Record) -> Option<Record> {
    match plan {
        Plan::Nothing | Plan::Touch(_) => Some(base.clone()),
        Plan::Create(record) | Plan::Update(record) | Plan::Renew(record) => Some(record),
        Plan::Destroy => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..<_>::default() })]

    #[test]
    fn a_plan_stores_what_the_handler_saw(acts in acts(), base in some_base(), after in 0..3_600u32) {
        let changes = done(&acts);
        let now = START.saturating_add(SECOND * after);
        let expected = expected_values(&acts, &base);
        let names: Vec<&String> = expected.keys().collect();
        prop_assert_eq!(changes.names(Some(&base)), names.iter().map(ToString::to_string).collect::<Vec<_>>());
        for name in ["a", "b", "c", "d"] {
            prop_assert_eq!(changes.get(Some(&base), name), expected.get(name).cloned());
        }
        let (user, platform) = (changes.user(Some(&base)), changes.platform(Some(&base)));
        match record_of(plan(&changes, Some(&base), now), &base) {
            Some(record) => {
                prop_assert_eq!(all(&record.values), expected);
                prop_assert_eq!(record.user(), user.as_deref());
                prop_assert_eq!(record.platform.as_deref(), platform.as_deref());
            }
            None => prop_assert!(expected.is_empty() && user.is_none() && platform.is_none()),
        }
    }

    /// Two requests of one session overlap: the loser of the race applies its changes to what the
    /// winner stored, and keeps the winner's names that it did not touch itself.
    #[test]
    fn rebased_changes_keep_the_names_of_both_sides(
        winner in acts(),
        loser in acts(),
        base in some_base(),
    ) {
        let first = plan(&done(&winner), Some(&base), START);
        let Some(fresh) = record_of(first, &base) else { return Ok(()) };
        let changes = done(&loser);
        let second = record_of(plan(&changes, Some(&fresh), START), &fresh);
        let values = second.as_ref().map(|record| all(&record.values)).unwrap_or_default();
        prop_assert_eq!(&values, &expected_values(&loser, &fresh));
        let loser_drops = loser.iter().any(|act| matches!(act, Act::Clear | Act::Login(..)));
        if !loser_drops {
            for (name, value) in all(&fresh.values) {
                let touched = loser.iter().any(|act| match act {
                    Act::Insert(mine, _) | Act::Remove(mine) => *mine == name,
                    _ => false,
                });
                prop_assert!(touched || values.get(&name) == Some(&value), "{} is lost", name);
            }
        }
        if let Some(record) = &second {
            let moved = changes.moves();
            let same = plan(&changes, Some(&fresh), START) == Plan::Nothing;
            let next = fresh.version + u64::from(!same);
            prop_assert_eq!(record.version, if moved { 1 } else { next });
        }
    }

    #[test]
    fn applying_the_same_changes_twice_is_no_further_change(acts in acts(), base in some_base()) {
        let changes = done(&acts);
        let Some(once) = record_of(plan(&changes, Some(&base), START), &base) else { return Ok(()) };
        let twice = plan(&changes, Some(&once), START);
        // A move is a move each time; all else is done once.
        prop_assert!(changes.moves() || twice == Plan::Nothing || once.is_vacant(), "{:?}", twice);
    }

    #[test]
    fn only_a_login_or_a_new_expiry_moves_the_absolute_end(
        acts in acts(),
        base in some_base(),
        after in 0..3_600u32,
    ) {
        let now = START.saturating_add(SECOND * after);
        let Some(record) = record_of(plan(&done(&acts), Some(&base), now), &base) else {
            return Ok(());
        };
        if !acts.iter().any(Act::moves_the_absolute_end) {
            prop_assert_eq!(record.deadlines.absolute_deadline, base.deadlines.absolute_deadline);
            prop_assert_eq!(record.created, base.created);
            prop_assert!(record.end() >= base.end());
        }
        prop_assert!(record.end() <= record.deadlines.absolute_deadline.unwrap());
        prop_assert!(record.last_activity >= base.last_activity);
    }

    #[test]
    fn changes_put_back_are_as_if_they_had_never_been_taken(
        earlier in acts(),
        later in acts(),
        base in some_base(),
    ) {
        let mut restored = done(&later);
        restored.restore_below(done(&earlier));
        let all = done(&[earlier, later].concat());
        for base in [None, Some(&base)] {
            prop_assert_eq!(plan(&restored, base, START), plan(&all, base, START));
            prop_assert_eq!(restored.names(base), all.names(base));
            prop_assert_eq!(restored.user(base), all.user(base));
            prop_assert_eq!(restored.platform(base), all.platform(base));
        }
        prop_assert_eq!(restored.is_empty(), all.is_empty());
        prop_assert_eq!(restored.is_wholesale(), all.is_wholesale());
    }

    /// One by one, and on whatever record is there at the time.
    #[test]
    fn an_insert_is_refused_if_the_plan_would_be_and_only_then(
        acts in proptest::collection::vec((act(), 0..3_usize), 0..12),
        bases in (some_base(), some_base()),
        (size, values) in (84..130_usize, 1..4_usize),
    ) {
        let policy = Policy { max_record_size: size, max_values: values, ..policy() };
        let mut changes = Changes::default();
        for (act, at) in acts {
            let base = [None, Some(&bases.0), Some(&bases.1)][at];
            if let Act::Insert(name, value) = &act {
                let checked = changes.check_insert(base, name, value.as_bytes(), &policy);
                let mut with = changes.clone();
                with.insert(name, json(value));
                let planned = with.plan(base, START, &policy, &writer()).map(drop);
                prop_assert_eq!(
                    checked.map_err(|error| error.to_string()),
                    planned.map_err(|error| error.to_string())
                );
            }
            act.on(&mut changes);
        }
    }

    #[test]
    fn a_size_is_what_the_bytes_take(acts in acts(), base in some_base()) {
        if let Some(record) = record_of(plan(&done(&acts), Some(&base), START), &base) {
            prop_assert_eq!(record.encoded_len(), record.to_bytes().len());
        }
    }
}
