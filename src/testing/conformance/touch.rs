//! Touches, in sequence.

use std::time::Duration;

use crate::{
    store::{Expected, SaveOutcome, Touch},
    testing::conformance::{FENCED, Subject, TOUCH, active, demand, next},
};

const MINUTE: Duration = Duration::from_secs(60);

pub(super) async fn check(store: &Subject) {
    activity_is_written_in_place(store).await;
    no_end_moves_back(store).await;
    the_version_has_to_be_the_expected(store).await;
    nothing_is_created(store).await;
}

async fn activity_is_written_in_place(store: &Subject) {
    let (id, record) = store.stored("first").await;
    let activity = active(&record, MINUTE);
    let touched = store.touch(&id, 1, activity).await;
    demand(touched, TOUCH, || "a touch with a later end must return true".into());
    let mut expected = record.clone();
    let _ = expected.touch(activity);
    store.holds(&id, Some(&expected), TOUCH, "a touch").await;
    let outcome = store.save(&id, Expected::Version(1), &next(&record, "next")).await;
    demand(matches!(outcome, SaveOutcome::Saved), TOUCH, || {
        format!("a touch makes no new version, so a save at the old one is {outcome:?}")
    });
}

async fn no_end_moves_back(store: &Subject) {
    let (id, record) = store.stored("first").await;
    let earlier = Touch {
        last_activity: record.last_activity,
        idle_deadline: record.created,
        end: record.created,
    };
    for (name, activity) in [("an equal", active(&record, Duration::ZERO)), ("an earlier", earlier)]
    {
        let touched = store.touch(&id, 1, activity).await;
        demand(!touched, TOUCH, || format!("a touch with {name} end must return false"));
        store.holds(&id, Some(&record), TOUCH, &format!("a touch with {name} end")).await;
    }
}

async fn the_version_has_to_be_the_expected(store: &Subject) {
    let (id, first) = store.stored("first").await;
    let second = next(&first, "second");
    let _ = store.save(&id, Expected::Version(1), &second).await;
    for (name, version) in [("before", 1), ("after", 3)] {
        let touched = store.touch(&id, version, active(&second, MINUTE)).await;
        demand(!touched, FENCED, || format!("a touch at the version {name} must return false"));
        store.holds(&id, Some(&second), FENCED, "a touch at another version").await;
    }
}

async fn nothing_is_created(store: &Subject) {
    let id = store.fresh_id();
    let touched = store.touch(&id, 1, active(&store.record("none"), MINUTE)).await;
    demand(!touched, TOUCH, || "a touch of an absent record must return false".into());
    store.holds(&id, None, TOUCH, "a touch where nothing was").await;
}
