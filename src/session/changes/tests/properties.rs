//! Any changes, on any record, by the rules in words.

use proptest::prelude::*;

use crate::session::changes::tests::*;

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
