//! Dropped futures. The next operation determines whether they took effect: only one of the two can
//! succeed at the version that both expect.

use std::time::Duration;

use crate::{
    store::{Expected, SaveOutcome},
    testing::conformance::{HALF, Subject, active, demand, next, poll_and_drop, renewed},
};

/// More than any store needs to send its command.
const POLLS: usize = 12;

pub(super) async fn check(store: &Subject) {
    for polls in 0..POLLS {
        a_dropped_create(store, polls).await;
        a_dropped_save(store, polls).await;
        a_dropped_renewal(store, polls).await;
        a_dropped_end_of_a_renewal(store, polls).await;
        a_dropped_touch(store, polls).await;
        a_dropped_delete(store, polls).await;
        a_dropped_delete_if(store, polls).await;
    }
}

async fn a_dropped_create(store: &Subject, polls: usize) {
    let (id, first, second) = (store.fresh_id(), store.record("first"), store.record("second"));
    poll_and_drop(polls, store.0.save(&id, Expected::Absent, &first)).await;
    let outcome = store.save(&id, Expected::Absent, &second).await;
    let winner = match &outcome {
        SaveOutcome::Saved => Some(&second),
        SaveOutcome::IdInUse => Some(&first),
        _ => None,
    };
    demand(winner.is_some(), HALF, || format!("a create after a dropped one: {outcome:?}"));
    store.holds(&id, winner, HALF, "a create that was dropped").await;
}

async fn a_dropped_save(store: &Subject, polls: usize) {
    let (id, first) = store.stored("first").await;
    let (dropped, second) = (next(&first, "dropped"), next(&first, "second"));
    poll_and_drop(polls, store.0.save(&id, Expected::Version(1), &dropped)).await;
    let outcome = store.save(&id, Expected::Version(1), &second).await;
    let winner = match &outcome {
        SaveOutcome::Saved => Some(&second),
        SaveOutcome::Conflict(current) if *current == dropped => Some(&dropped),
        _ => None,
    };
    demand(winner.is_some(), HALF, || format!("a save after a dropped one: {outcome:?}"));
    store.holds(&id, winner, HALF, "a save that was dropped").await;
}

async fn a_dropped_renewal(store: &Subject, polls: usize) {
    let (old, first) = store.stored("first").await;
    let (one, two) = (store.fresh_id(), store.fresh_id());
    let (dropped, second) = (renewed(&first), renewed(&first));
    poll_and_drop(polls, store.0.begin_renew(&old, 1, &one, &dropped)).await;
    let outcome = store.renew(&old, 1, &two, &second).await;
    let happened = match &outcome {
        SaveOutcome::Saved => false,
        SaveOutcome::Gone => true,
        _ => return demand(false, HALF, || format!("a renewal after a dropped one: {outcome:?}")),
    };
    let after = "a renewal that was dropped, and another,";
    store.holds(&old, None, HALF, after).await;
    store.holds(&one, happened.then_some(&dropped), HALF, after).await;
    store.holds(&two, (!happened).then_some(&second), HALF, after).await;
}

async fn a_dropped_end_of_a_renewal(store: &Subject, polls: usize) {
    let (old, first) = store.stored("first").await;
    let (new, moved) = (store.fresh_id(), renewed(&first));
    let outcome = store.begin(&old, 1, &new, &moved).await;
    demand(matches!(outcome, SaveOutcome::Saved), HALF, || format!("a renewal: {outcome:?}"));
    poll_and_drop(polls, store.0.finish_renew(&old, 1, &new)).await;
    let outcome = store.finish(&old, 1, &new).await;
    demand(matches!(outcome, SaveOutcome::Saved), HALF, || {
        format!("a second step after a dropped one: {outcome:?}")
    });
    store.holds(&old, None, HALF, "the end of a renewal that was dropped, and another,").await;
    store.holds(&new, Some(&moved), HALF, "the end of a renewal that was dropped").await;
}

async fn a_dropped_touch(store: &Subject, polls: usize) {
    let (id, first) = store.stored("first").await;
    let (soon, later) = (Duration::from_secs(30), Duration::from_secs(60));
    poll_and_drop(polls, store.0.touch(&id, 1, active(&first, soon))).await;
    let touched = store.touch(&id, 1, active(&first, later)).await;
    demand(touched, HALF, || "a later touch after a dropped one must return true".into());
    let mut expected = first;
    let _ = expected.touch(active(&expected, later));
    store.holds(&id, Some(&expected), HALF, "a touch that was dropped, and a later one,").await;
}

async fn a_dropped_delete(store: &Subject, polls: usize) {
    let (id, first) = store.stored("first").await;
    poll_and_drop(polls, store.0.delete(&id)).await;
    let found = store.load(&id).await;
    demand(found.is_none() || found == Some(first), HALF, || {
        format!("a delete that was dropped left {found:?}")
    });
    store.delete(&id).await;
    store.holds(&id, None, HALF, "a delete that was dropped, and another,").await;
}

async fn a_dropped_delete_if(store: &Subject, polls: usize) {
    let (id, first) = store.stored("first").await;
    let second = next(&first, "second");
    poll_and_drop(polls, store.0.delete_version(&id, 1)).await;
    let outcome = store.save(&id, Expected::Version(1), &second).await;
    let left = match &outcome {
        SaveOutcome::Saved => Some(&second),
        SaveOutcome::Gone => None,
        _ => return demand(false, HALF, || format!("a save after a dropped delete: {outcome:?}")),
    };
    store.holds(&id, left, HALF, "a `delete_version` that was dropped, and a save,").await;
}
