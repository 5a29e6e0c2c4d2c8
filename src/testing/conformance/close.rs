//! Layers that share a store: each closes it, and the others are still served.

use crate::{
    store::{Expected, SaveOutcome},
    testing::conformance::{Subject, demand, next},
};

const SHARED: &str = "`close` can be repeated, and the store serves other layers afterwards";

pub(super) async fn check(store: &Subject) {
    let (id, first) = store.stored("before").await;
    for round in 1..=2 {
        let closed = store.0.close().await;
        demand(closed.is_ok(), SHARED, || format!("`close` number {round}: {closed:?}"));
    }
    let (new, second) = (store.fresh_id(), next(&first, "after"));
    let saved = store.0.save(&id, Expected::Version(1), &second).await;
    demand(matches!(saved, Ok(SaveOutcome::Saved)), SHARED, || format!("a save then: {saved:?}"));
    let saved = store.0.save(&new, Expected::Absent, &first).await;
    demand(matches!(saved, Ok(SaveOutcome::Saved)), SHARED, || format!("a create then: {saved:?}"));
    let found = store.0.load(&id).await;
    let there = found.as_ref().is_ok_and(|found| found.as_ref() == Some(&second));
    demand(there, SHARED, || format!("a load then: {found:?}"));
}
