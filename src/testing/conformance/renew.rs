//! Renewals, one after the other.

use crate::{
    Expected, SaveOutcome,
    testing::conformance::{FENCED, RENEW, Subject, active, demand, fresh_id, next, renewed},
};

pub(super) async fn check(store: &Subject) {
    the_record_moves(store).await;
    the_new_id_has_to_be_free(store).await;
    the_version_has_to_be_the_expected(store).await;
    nothing_comes_of_nothing(store).await;
}

async fn the_record_moves(store: &Subject) {
    let (old, record) = store.stored("first").await;
    let (new, moved) = (fresh_id(), renewed(&record));
    let outcome = store.renew(&old, 1, &new, &moved).await;
    demand(matches!(outcome, SaveOutcome::Saved), RENEW, || {
        format!("to renew at the version that is there: {outcome:?}")
    });
    store.holds(&old, None, RENEW, "a renewal, under the old id,").await;
    store.holds(&new, Some(&moved), RENEW, "a renewal, under the new id,").await;

    let outcome = store.save(&old, Expected::Version(1), &next(&record, "late")).await;
    demand(matches!(outcome, SaveOutcome::Gone), RENEW, || {
        format!("a save under the old id has to be Gone, and was {outcome:?}")
    });
    let again = fresh_id();
    let outcome = store.renew(&old, 1, &again, &renewed(&record)).await;
    demand(matches!(outcome, SaveOutcome::Gone), RENEW, || {
        format!("a second renewal of the old id has to be Gone, and was {outcome:?}")
    });
    let later = active(&record, std::time::Duration::from_secs(60));
    let touched = store.touch(&old, 1, later).await;
    demand(!touched, RENEW, || "a touch under the old id has to be false".into());
    store.holds(&old, None, RENEW, "late writes under the old id").await;
    store.holds(&again, None, RENEW, "a second renewal").await;
    store.holds(&new, Some(&moved), RENEW, "late writes under the old id").await;

    let outcome = store.save(&new, Expected::Version(1), &next(&moved, "goes on")).await;
    demand(matches!(outcome, SaveOutcome::Saved), RENEW, || {
        format!("the session has to go on under its new id: {outcome:?}")
    });
}

async fn the_new_id_has_to_be_free(store: &Subject) {
    let (old, record) = store.stored("first").await;
    let (taken, other) = store.stored("other").await;
    let outcome = store.renew(&old, 1, &taken, &renewed(&record)).await;
    demand(matches!(outcome, SaveOutcome::Taken), RENEW, || {
        format!("to renew onto a record has to be Taken, and was {outcome:?}")
    });
    store.holds(&old, Some(&record), RENEW, "a renewal onto a record, under the old id,").await;
    store.holds(&taken, Some(&other), RENEW, "a renewal onto it").await;
}

async fn the_version_has_to_be_the_expected(store: &Subject) {
    let (old, first) = store.stored("first").await;
    let second = next(&first, "second");
    let _ = store.save(&old, Expected::Version(1), &second).await;
    for (name, expected) in [("before", 1), ("after", 3)] {
        let new = fresh_id();
        let outcome = store.renew(&old, expected, &new, &renewed(&first)).await;
        let current = match &outcome {
            SaveOutcome::Conflict(current) => Some(current),
            _ => None,
        };
        demand(current == Some(&second), FENCED, || {
            format!(
                "to renew at the version {name} has to be a Conflict with what is there: {outcome:?}"
            )
        });
        store.holds(&old, Some(&second), FENCED, "a renewal at another version").await;
        store.holds(&new, None, FENCED, "a renewal at another version, under the new id,").await;
    }
}

async fn nothing_comes_of_nothing(store: &Subject) {
    let (old, new) = (fresh_id(), fresh_id());
    let outcome = store.renew(&old, 1, &new, &store.record("nothing")).await;
    demand(matches!(outcome, SaveOutcome::Gone), RENEW, || {
        format!("to renew where nothing is has to be Gone, and was {outcome:?}")
    });
    store.holds(&old, None, RENEW, "a renewal of nothing").await;
    store.holds(&new, None, RENEW, "a renewal of nothing, under the new id,").await;
}
