//! Loads, creates and saves, in sequence.

use crate::{
    Timestamp,
    session::values::Values,
    store::{Expected, Record, SaveOutcome},
    testing::conformance::{
        ABSENT, FENCED, FORGETFUL, IN_ORDER, KEPT, Subject, demand, healthy, next, values,
    },
};

pub(super) async fn check(store: &Subject) {
    a_record_is_kept_as_it_is(store).await;
    a_record_is_created_once(store).await;
    a_save_needs_the_version(store).await;
    several_come_in_order(store).await;
    an_ended_record_does_no_harm(store).await;
}

async fn a_record_is_kept_as_it_is(store: &Subject) {
    let full = store.record("\"text\"");
    let mut endless = full.clone();
    endless.deadlines.absolute_deadline = None;
    let every_byte: Vec<u8> = (0..=u8::MAX).cycle().take(60_000).collect();
    for (name, record) in [
        ("a full record", full.clone()),
        ("no user", Record { user: None, ..full.clone() }),
        ("no platform", Record { platform: None, ..full.clone() }),
        ("an empty platform", Record { platform: Some("".into()), ..full.clone() }),
        ("no values", Record { values: Values::default(), ..full.clone() }),
        ("every byte, 60,000 of them", Record { values: values(&every_byte), ..full.clone() }),
        ("no absolute end", endless),
    ] {
        let id = store.fresh_id();
        store.holds(&id, None, KEPT, "nothing").await;
        store.create(id, &record).await;
        store.holds(&id, Some(&record), KEPT, name).await;
        let next = next(&record, "\"next\"");
        let outcome = store.save(&id, Expected::Version(1), &next).await;
        demand(matches!(outcome, SaveOutcome::Saved), FENCED, || format!("{name}: {outcome:?}"));
        store.holds(&id, Some(&next), KEPT, name).await;
    }
}

async fn a_record_is_created_once(store: &Subject) {
    let (id, first) = store.stored("first").await;
    let outcome = store.save(&id, Expected::Absent, &store.record("second")).await;
    demand(matches!(outcome, SaveOutcome::IdInUse), ABSENT, || {
        format!("a create over a record must return IdInUse, and returned {outcome:?}")
    });
    store.holds(&id, Some(&first), ABSENT, "a second create").await;
}

async fn a_save_needs_the_version(store: &Subject) {
    let (id, first) = store.stored("first").await;
    let second = next(&first, "second");
    let outcome = store.save(&id, Expected::Version(1), &second).await;
    demand(matches!(outcome, SaveOutcome::Saved), FENCED, || {
        format!("a save at the current version: {outcome:?}")
    });
    store.holds(&id, Some(&second), FENCED, "a save").await;
    for (name, expected) in [("before", 1), ("after", 3), ("none", 0), ("the last", u64::MAX)] {
        let record = Record { version: expected.wrapping_add(1), ..next(&first, "other") };
        let outcome = store.save(&id, Expected::Version(expected), &record).await;
        let current = match &outcome {
            SaveOutcome::Conflict(current) => Some(current),
            _ => None,
        };
        demand(current == Some(&second), FENCED, || {
            format!(
                "a save at the version {name} must return a Conflict with the record: {outcome:?}"
            )
        });
        store.holds(&id, Some(&second), FENCED, "a save at another version").await;
    }
    let absent = store.fresh_id();
    let outcome = store.save(&absent, Expected::Version(1), &second).await;
    demand(matches!(outcome, SaveOutcome::Gone), FENCED, || {
        format!("a save of an absent record must return Gone, and returned {outcome:?}")
    });
    store.holds(&absent, None, FENCED, "a save where nothing was").await;
}

async fn several_come_in_order(store: &Subject) {
    let (one, first) = store.stored("first").await;
    let (two, second) = store.stored("second").await;
    let ids = [two, store.fresh_id(), one, store.fresh_id(), two];
    let found = healthy("load_many", store.0.load_many(&ids).await);
    let found: Vec<_> = found.into_iter().map(|one| healthy("load_many", one)).collect();
    let expected = [Some(second.clone()), None, Some(first), None, Some(second)];
    demand(found == expected, IN_ORDER, || format!("{found:?}, not {expected:?}"));
    let found = healthy("load_many", store.0.load_many(&[one]).await);
    demand(found.len() == 1, IN_ORDER, || format!("{} results for one id", found.len()));
}

/// A session may end while its last write is in flight.
async fn an_ended_record_does_no_harm(store: &Subject) {
    let id = store.fresh_id();
    let mut record = store.record("ended");
    let past = Timestamp::from_millis(store.now().as_millis().saturating_sub(1_000));
    record.deadlines.idle_deadline = past;
    let outcome = store.save(&id, Expected::Absent, &record).await;
    let found = store.load(&id).await;
    demand(is_none_or(&found, &record), FORGETFUL, || {
        format!("a save of an ended record returned {outcome:?} and left {found:?}")
    });
    let (id, first) = store.stored("first").await;
    let ended = Record { deadlines: record.deadlines, ..next(&first, "ended") };
    let outcome = store.save(&id, Expected::Version(1), &ended).await;
    demand(matches!(outcome, SaveOutcome::Saved), FORGETFUL, || {
        format!("to save what has just ended, over what has not: {outcome:?}")
    });
    let found = store.load(&id).await;
    demand(is_none_or(&found, &ended), FORGETFUL, || {
        format!("a record that ended in its last save left {found:?}")
    });
}

/// Gone, or as it was saved, except for an allowance for activity that reaches the store late.
fn is_none_or(found: &Option<Record>, saved: &Record) -> bool {
    let Some(mut found) = found.clone() else { return true };
    let later = found.deadlines.idle_deadline >= saved.deadlines.idle_deadline;
    found.deadlines.idle_deadline = saved.deadlines.idle_deadline;
    later && found == *saved
}
