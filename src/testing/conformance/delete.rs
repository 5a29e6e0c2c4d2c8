//! Deletions, with and without a version, in sequence.

use std::time::Duration;

use crate::{
    store::{Expected, SaveOutcome},
    testing::conformance::{DELETE, FENCED, FINAL, Subject, active, demand, next, renewed},
};

pub(super) async fn check(store: &Subject) {
    a_deleted_record_stays_gone(store).await;
    delete_removes_one_and_can_be_repeated(store).await;
    delete_if_needs_the_version(store).await;
}

async fn a_deleted_record_stays_gone(store: &Subject) {
    let (id, record) = store.stored("first").await;
    store.delete(&id).await;
    store.holds(&id, None, FINAL, "a delete").await;
    let outcome = store.save(&id, Expected::Version(1), &next(&record, "late")).await;
    demand(matches!(outcome, SaveOutcome::Gone), FINAL, || {
        format!("a save of a deleted record must return Gone, and returned {outcome:?}")
    });
    let new = store.fresh_id();
    let outcome = store.begin(&id, 1, &new, &renewed(&record)).await;
    demand(matches!(outcome, SaveOutcome::Gone), FINAL, || {
        format!("a renewal of a deleted record must return Gone, and returned {outcome:?}")
    });
    let later = active(&record, Duration::from_secs(60));
    let outcome = store.delete_version(&id, 1).await;
    demand(matches!(outcome, SaveOutcome::Gone), FINAL, || {
        format!("a `delete_version` of a deleted record must return Gone, and returned {outcome:?}")
    });
    let touched = store.touch(&id, 1, later).await;
    demand(!touched, FINAL, || "a touch of a deleted record must return false".into());
    store.holds(&id, None, FINAL, "a late save, renew and touch").await;
    store.holds(&new, None, FINAL, "a late renew, under the new id").await;
}

async fn delete_removes_one_and_can_be_repeated(store: &Subject) {
    let (id, _) = store.stored("goes").await;
    let (other, stays) = store.stored("stays").await;
    for (id, there) in [(store.fresh_id(), false), (id, true), (id, false)] {
        let ended = store.delete(&id).await;
        demand(ended == there, DELETE, || {
            format!("a delete returns {ended}, the record exists: {there}")
        });
    }
    store.holds(&id, None, DELETE, "two deletes").await;
    store.holds(&other, Some(&stays), DELETE, "the delete of another").await;
}

async fn delete_if_needs_the_version(store: &Subject) {
    let (id, first) = store.stored("first").await;
    let second = next(&first, "second");
    let _ = store.save(&id, Expected::Version(1), &second).await;
    for (name, expected) in [("before", 1), ("after", 3)] {
        let outcome = store.delete_version(&id, expected).await;
        let current = match &outcome {
            SaveOutcome::Conflict(current) => Some(current),
            _ => None,
        };
        demand(current == Some(&second), FENCED, || {
            format!("`delete_version` at the version {name} must return a Conflict: {outcome:?}")
        });
        store.holds(&id, Some(&second), FENCED, "`delete_version` at another version").await;
    }
    let outcome = store.delete_version(&id, 2).await;
    demand(matches!(outcome, SaveOutcome::Saved), FENCED, || {
        format!("`delete_version` at the current version: {outcome:?}")
    });
    store.holds(&id, None, FINAL, "`delete_version`").await;
    let outcome = store.save(&id, Expected::Version(2), &next(&second, "late")).await;
    demand(matches!(outcome, SaveOutcome::Gone), FINAL, || {
        format!(
            "a save of what `delete_version` deleted must return Gone, and returned {outcome:?}"
        )
    });
    let outcome = store.delete_version(&store.fresh_id(), 1).await;
    demand(matches!(outcome, SaveOutcome::Gone), FENCED, || {
        format!("`delete_version` of an absent record must return Gone, and returned {outcome:?}")
    });
}
