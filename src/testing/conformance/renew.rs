//! Renewals in sequence, and operations between the two steps of one.

use crate::{
    SessionId,
    store::{Expected, Record, SaveOutcome},
    testing::conformance::{
        AGAIN, DELETE, FENCED, MOVED, RENEW, Subject, active, demand, healthy, ids::random_id,
        next, renewed, show,
    },
};

pub(super) async fn check(store: &Subject) {
    the_record_moves(store).await;
    what_has_moved_is_told_of(store).await;
    whoever_ends_the_old_id_ends_the_session(store).await;
    the_new_id_has_to_be_free(store).await;
    the_version_has_to_be_the_expected(store).await;
    nothing_comes_of_nothing(store).await;
    for of in [Of::User, Of::Visitor] {
        the_second_step_can_be_repeated(store, of).await;
        whoever_comes_with_the_new_id_ends_the_old(store, of).await;
        what_was_written_between_the_steps_stays(store, of).await;
        what_was_overtaken_opens_the_session_until_it_is_abandoned(store, of).await;
        what_ended_between_the_steps_has_ended(store, of).await;
    }
}

/// Whose session it is: in a store with placement the ids of a visitor's have tags of their own.
#[derive(Clone, Copy, Debug)]
enum Of {
    User,
    Visitor,
}

impl Subject {
    /// As the layer does after a `Conflict` of the second step.
    pub(super) async fn abandon(&self, old: &SessionId, new: &SessionId) {
        healthy("abandon_renew", self.0.abandon_renew(old, new).await);
    }
}

async fn the_record_moves(store: &Subject) {
    let (old, record) = store.stored("first").await;
    let (new, moved) = (store.fresh_id(), renewed(&record));
    let outcome = store.renew(&old, 1, &new, &moved).await;
    demand(matches!(outcome, SaveOutcome::Saved), RENEW, || {
        format!("a renewal at the current version: {outcome:?}")
    });
    store.holds(&old, None, RENEW, "a renewal, under the old id,").await;
    store.holds(&new, Some(&moved), RENEW, "a renewal, under the new id,").await;

    let outcome = store.save(&old, Expected::Version(1), &next(&record, "late")).await;
    demand(matches!(outcome, SaveOutcome::Gone), RENEW, || {
        format!("a save under the old id must return Gone, and returned {outcome:?}")
    });
    let again = store.fresh_id();
    let outcome = store.begin(&old, 1, &again, &renewed(&record)).await;
    demand(matches!(outcome, SaveOutcome::Gone), RENEW, || {
        format!("a second renewal of the old id must return Gone, and returned {outcome:?}")
    });
    let later = active(&record, std::time::Duration::from_secs(60));
    let touched = store.touch(&old, 1, later).await;
    demand(!touched, RENEW, || "a touch under the old id must return false".into());
    store.holds(&old, None, RENEW, "late writes under the old id").await;
    store.holds(&again, None, RENEW, "a second renewal").await;
    store.holds(&new, Some(&moved), RENEW, "late writes under the old id").await;

    let outcome = store.save(&new, Expected::Version(1), &next(&moved, "goes on")).await;
    demand(matches!(outcome, SaveOutcome::Saved), RENEW, || {
        format!("the session has to go on under its new id: {outcome:?}")
    });
}

async fn what_has_moved_is_told_of(store: &Subject) {
    let (old, record) = store.stored("first").await;
    let (new, moved) = (store.fresh_id(), renewed(&record));
    let _ = store.renew(&old, 1, &new, &moved).await;
    let before = store.find(&old).await;
    let told = before.as_ref().is_some_and(|before| {
        before.moved_to() == Some(&new) && before.to_bytes() == record.to_bytes()
    });
    let same = before.as_ref().is_some_and(|before| before.version == record.version);
    demand(told && same, MOVED, || format!("under the old id there is {}", show(&before)));
    let each = healthy("load_many", store.0.load_many(&[old, new]).await);
    let told: Vec<_> = each.into_iter().map(|one| healthy("one of several", one)).collect();
    let fair = matches!(told.as_slice(), [Some(one), Some(other)]
        if one.moved_to() == Some(&new) && *other == moved);
    demand(fair, MOVED, || format!("under both ids at once there is {}", show(&told)));
}

async fn whoever_ends_the_old_id_ends_the_session(store: &Subject) {
    for moves in 1..=3 {
        let (first, record) = store.stored("first").await;
        let (mut old, mut ids) = (first, vec![first]);
        for _ in 0..moves {
            let new = store.fresh_id();
            let _ = store.renew(&old, 1, &new, &renewed(&record)).await;
            ids.push(new);
            old = new;
        }
        let (other, kept) = store.stored("another").await;
        let ended = store.delete(&first).await;
        demand(ended, MOVED, || format!("to end by the first id after {moves} moves is false"));
        for id in &ids {
            store.holds(id, None, MOVED, "the end by the first id of several").await;
        }
        let again = store.delete(&first).await;
        demand(!again, DELETE, || "to end a second time by the first id is true".into());
        store.holds(&other, Some(&kept), MOVED, "the end of a session that had moved").await;
    }
}

async fn the_new_id_has_to_be_free(store: &Subject) {
    let (old, record) = store.stored("first").await;
    let (taken, other) = store.stored("other").await;
    let outcome = store.begin(&old, 1, &taken, &renewed(&record)).await;
    demand(matches!(outcome, SaveOutcome::IdInUse), RENEW, || {
        format!("a renewal onto a record must return IdInUse, and returned {outcome:?}")
    });
    store.holds(&old, Some(&record), RENEW, "a renewal onto a record, under the old id,").await;
    store.holds(&taken, Some(&other), RENEW, "a renewal onto it").await;
}

async fn the_version_has_to_be_the_expected(store: &Subject) {
    let (old, first) = store.stored("first").await;
    let second = next(&first, "second");
    let _ = store.save(&old, Expected::Version(1), &second).await;
    for (name, expected) in [("before", 1), ("after", 3)] {
        let new = store.fresh_id();
        let outcome = store.begin(&old, expected, &new, &renewed(&first)).await;
        let current = match &outcome {
            SaveOutcome::Conflict(current) => Some(current),
            _ => None,
        };
        demand(current == Some(&second), FENCED, || {
            format!("a renewal at the version {name} must return a Conflict: {outcome:?}")
        });
        store.holds(&old, Some(&second), FENCED, "a renewal at another version").await;
        store.holds(&new, None, FENCED, "a renewal at another version, under the new id,").await;
    }
}

async fn nothing_comes_of_nothing(store: &Subject) {
    let (old, new) = (store.fresh_id(), store.fresh_id());
    let outcome = store.begin(&old, 1, &new, &store.record("nothing")).await;
    demand(matches!(outcome, SaveOutcome::Gone), RENEW, || {
        format!("a renewal of an absent record must return Gone, and returned {outcome:?}")
    });
    store.holds(&old, None, RENEW, "a renewal of nothing").await;
    store.holds(&new, None, RENEW, "a renewal of nothing, under the new id,").await;
}

async fn the_second_step_can_be_repeated(store: &Subject, of: Of) {
    let (old, _, new, moved) = begun(store, of).await;
    for _ in 0..2 {
        let outcome = store.finish(&old, 1, &new).await;
        demand(matches!(outcome, SaveOutcome::Saved), AGAIN, || {
            format!("a second step must return Saved each time, and returned {outcome:?}")
        });
        store.holds(&old, None, RENEW, "the second step, under the old id,").await;
    }
    let later = next(&moved, "goes on");
    let _ = store.save(&new, Expected::Version(1), &later).await;
    let outcome = store.finish(&old, 1, &new).await;
    demand(matches!(outcome, SaveOutcome::Saved), AGAIN, || {
        format!("a late second step must return Saved, and returned {outcome:?}")
    });
    store.holds(&new, Some(&later), AGAIN, "a second step that came late").await;
}

async fn whoever_comes_with_the_new_id_ends_the_old(store: &Subject, of: Of) {
    let (old, _, new, moved) = begun(store, of).await;
    store.holds(&new, Some(&moved), RENEW, "the first step, under the new id,").await;
    store.holds(&old, None, RENEW, "the new id was seen, under the old one,").await;
    let outcome = store.finish(&old, 1, &new).await;
    demand(matches!(outcome, SaveOutcome::Saved), AGAIN, || {
        format!("a second step after the end must return Saved, and returned {outcome:?}")
    });
    store.holds(&new, Some(&moved), RENEW, "the second step, under the new id,").await;
}

/// Only in stores with two steps: otherwise the old id is gone.
async fn what_was_written_between_the_steps_stays(store: &Subject, of: Of) {
    let (old, record, new, _) = begun(store, of).await;
    let written = next(&record, "written");
    let saved = store.save(&old, Expected::Version(1), &written).await;
    if matches!(saved, SaveOutcome::Gone) {
        return;
    }
    demand(matches!(saved, SaveOutcome::Saved), RENEW, || {
        format!("a save between the steps must return Saved or Gone, and returned {saved:?}")
    });
    let outcome = store.finish(&old, 1, &new).await;
    let current = match &outcome {
        SaveOutcome::Conflict(current) => Some(current),
        _ => None,
    };
    demand(current == Some(&written), FENCED, || {
        format!(
            "a second step after a write must return a Conflict with it, and returned {outcome:?}"
        )
    });
    store.abandon(&old, &new).await;
    store.holds(&old, Some(&written), FENCED, "a renewal that was overtaken").await;
    store.holds(&new, None, FENCED, "a renewal that was abandoned, under the new id,").await;
}

/// A request that is cut off in the second step has sent the new id.
async fn what_was_overtaken_opens_the_session_until_it_is_abandoned(store: &Subject, of: Of) {
    let (old, record, new, _) = begun(store, of).await;
    let written = next(&record, "written");
    let saved = store.save(&old, Expected::Version(1), &written).await;
    if matches!(saved, SaveOutcome::Gone) {
        return;
    }
    let _ = store.finish(&old, 1, &new).await;
    let there = store.load(&new).await.is_some();
    demand(there, FENCED, || {
        "a renewal that was overtaken must be there until it is abandoned".to_owned()
    });
    store.holds(&old, None, RENEW, "the new id was seen, under the old one,").await;
}

/// Ending the old id then ends the session, under any id.
async fn what_ended_between_the_steps_has_ended(store: &Subject, of: Of) {
    for conditional in [false, true] {
        let (old, _, new, moved) = begun(store, of).await;
        let ended = if conditional {
            matches!(store.delete_version(&old, 1).await, SaveOutcome::Saved)
        } else {
            // A store with one step has nothing under the old id, and deletes nothing.
            let there = store.load(&old).await.is_some();
            if there { store.delete(&old).await } else { false }
        };
        let outcome = store.finish(&old, 1, &new).await;
        let fair = match outcome {
            SaveOutcome::Gone => ended,
            SaveOutcome::Saved => !ended,
            _ => false,
        };
        demand(fair, RENEW, || {
            format!("the second step after the old id ended ({ended}) between the two: {outcome:?}")
        });
        store.holds(&old, None, RENEW, "the end of the old id between two steps").await;
        let left = (!ended).then_some(&moved);
        store.holds(&new, left, RENEW, "the end of the old id between two steps,").await;
    }
}

/// A session after the first step of a renewal: the old id and record, the new ones.
async fn begun(store: &Subject, of: Of) -> (SessionId, Record, SessionId, Record) {
    let (old, new, record) = match of {
        Of::User => (store.fresh_id(), store.fresh_id(), store.record("first")),
        Of::Visitor => (random_id(), random_id(), Record { user: None, ..store.record("first") }),
    };
    store.create(old, &record).await;
    let moved = renewed(&record);
    let outcome = store.begin(&old, 1, &new, &moved).await;
    demand(matches!(outcome, SaveOutcome::Saved), RENEW, || {
        format!("the first step at the current version: {outcome:?}")
    });
    (old, record, new, moved)
}
