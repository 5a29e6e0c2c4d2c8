//! Concurrent operations.

use std::{future::Future, time::Duration};

use tokio::task::{JoinError, JoinSet};

use crate::{
    store::{Expected, SaveOutcome},
    testing::conformance::{ABSENT, FENCED, FINAL, RENEW, Subject, active, demand, next, renewed},
};

const WRITERS: usize = 64;
const ROUNDS: usize = 32;

pub(super) async fn check(store: &Subject) {
    one_of_many_creates(store).await;
    one_of_many_saves(store).await;
    one_of_many_renews(store).await;
    no_acknowledged_save_is_lost(store).await;
    a_save_and_a_renewal_exclude_each_other(store).await;
    a_save_and_a_delete_of_its_version_exclude_each_other(store).await;
    nothing_outlives_a_delete(store).await;
}

/// Runs all concurrently; returns the results in order of completion.
async fn together<T, F>(work: impl IntoIterator<Item = F>) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for one in work {
        let _ = tasks.spawn(one);
    }
    let mut answers = Vec::new();
    while let Some(answer) = tasks.join_next().await {
        answers.push(answer.unwrap_or_else(failed));
    }
    answers
}

fn saved<T>(answers: &[(SaveOutcome, T)]) -> Vec<&T> {
    let saved = answers.iter().filter(|(outcome, _)| matches!(outcome, SaveOutcome::Saved));
    saved.map(|(_, what)| what).collect()
}

fn exactly_one<'a, T>(answers: &'a [(SaveOutcome, T)], rule: &str, what: &str) -> Option<&'a T> {
    let saved = saved(answers);
    demand(saved.len() == 1, rule, || {
        format!("of {} {what} {} were Saved, not one", answers.len(), saved.len())
    });
    saved.first().copied()
}

async fn one_of_many_creates(store: &Subject) {
    let id = store.fresh_id();
    let answers = together((0..WRITERS).map(|writer| {
        let (store, record) = (store.clone(), store.record(&writer.to_string()));
        async move { (store.save(&id, Expected::Absent, &record).await, record) }
    }));
    let answers = answers.await;
    let winner = exactly_one(&answers, ABSENT, "creates of one id at once");
    store.holds(&id, winner, ABSENT, "many creates").await;
    let taken = answers.iter().filter(|(outcome, _)| matches!(outcome, SaveOutcome::IdInUse));
    demand(taken.count() == WRITERS - 1, ABSENT, || {
        "every other create must return IdInUse".into()
    });
}

async fn one_of_many_saves(store: &Subject) {
    let (id, first) = store.stored("first").await;
    let answers = together((0..WRITERS).map(|writer| {
        let (store, record) = (store.clone(), next(&first, &writer.to_string()));
        async move { (store.save(&id, Expected::Version(1), &record).await, record) }
    }));
    let answers = answers.await;
    let winner = exactly_one(&answers, FENCED, "saves at one version at once");
    store.holds(&id, winner, FENCED, "many saves").await;
    for (outcome, _) in &answers {
        let fair = match outcome {
            SaveOutcome::Saved => true,
            SaveOutcome::Conflict(current) => Some(current) == winner,
            _ => false,
        };
        demand(fair, FENCED, || {
            format!("the others have to meet a Conflict with the winner: {outcome:?}")
        });
    }
}

async fn one_of_many_renews(store: &Subject) {
    let (old, first) = store.stored("first").await;
    let answers = together((0..WRITERS).map(|_| {
        let (store, new, record) = (store.clone(), store.fresh_id(), renewed(&first));
        async move { (store.renew(&old, 1, &new, &record).await, (new, record)) }
    }));
    let answers = answers.await;
    let winner = exactly_one(&answers, RENEW, "renewals of one record at once").map(|won| won.0);
    store.holds(&old, None, RENEW, "many renewals, under the old id,").await;
    for (outcome, (new, record)) in &answers {
        let won = Some(*new) == winner;
        let fair = won || matches!(outcome, SaveOutcome::Gone);
        demand(fair, RENEW, || format!("the other renewals have to be Gone: {outcome:?}"));
        store.holds(new, won.then_some(record), RENEW, "many renewals").await;
    }
}

/// Writers that retry on conflict, as the layer does: versions count the acknowledged saves.
async fn no_acknowledged_save_is_lost(store: &Subject) {
    const TASKS: usize = 8;
    const EACH: usize = 4;
    let (id, first) = store.stored("first").await;
    let tasks = together((0..TASKS).map(|_| {
        let (store, mut base) = (store.clone(), first.clone());
        async move {
            let mut acknowledged = 0;
            while acknowledged < EACH {
                let record = next(&base, "counted");
                match store.save(&id, Expected::Version(base.version), &record).await {
                    SaveOutcome::Saved => {
                        acknowledged += 1;
                        base = record;
                    }
                    SaveOutcome::Conflict(current) => base = current,
                    outcome => demand(false, FENCED, || format!("no saver may see {outcome:?}")),
                }
            }
        }
    }));
    let _ = tasks.await;
    let found = store.load(&id).await.map(|record| record.version);
    demand(found == u64::try_from(1 + TASKS * EACH).ok(), FENCED, || {
        format!("after {} acknowledged saves of version 1 there is {found:?}", TASKS * EACH)
    });
}

async fn a_save_and_a_renewal_exclude_each_other(store: &Subject) {
    for round in 0..ROUNDS {
        let (old, first) = store.stored("first").await;
        let (new, moved, second) = (store.fresh_id(), renewed(&first), next(&first, "second"));
        let (saver, save) = (store.clone(), second.clone());
        let (renewer, renew) = (store.clone(), moved.clone());
        let save = async move { saver.save(&old, Expected::Version(1), &save).await };
        let renew = async move { renewer.renew(&old, 1, &new, &renew).await };
        let (save, renew) = both(save, renew, round % 2 == 0).await;
        match (&save, &renew) {
            (SaveOutcome::Saved, SaveOutcome::Conflict(_)) => {
                store.abandon(&old, &new).await;
                store.holds(&old, Some(&second), FENCED, "a save before a renewal").await;
                store.holds(&new, None, FENCED, "a save before a renewal").await;
            }
            (SaveOutcome::Gone, SaveOutcome::Saved) => {
                store.holds(&old, None, RENEW, "a renewal before a save").await;
                store.holds(&new, Some(&moved), RENEW, "a renewal before a save").await;
            }
            _ => demand(false, FENCED, || {
                format!("a save and a renewal of one version at once: {save:?} and {renew:?}")
            }),
        }
    }
}

async fn a_save_and_a_delete_of_its_version_exclude_each_other(store: &Subject) {
    for round in 0..ROUNDS {
        let (id, first) = store.stored("first").await;
        let second = next(&first, "second");
        let (saver, deleter, save) = (store.clone(), store.clone(), second.clone());
        let save = async move { saver.save(&id, Expected::Version(1), &save).await };
        let delete = async move { deleter.delete_version(&id, 1).await };
        let (save, delete) = both(save, delete, round % 2 == 0).await;
        let left = match (&save, &delete) {
            (SaveOutcome::Saved, SaveOutcome::Conflict(_)) => Some(&second),
            (SaveOutcome::Gone, SaveOutcome::Saved) => None,
            _ => {
                return demand(false, FENCED, || {
                    format!("a save and a `delete_version` of one version: {save:?} and {delete:?}")
                });
            }
        };
        store.holds(&id, left, FENCED, "a save and a `delete_version` of one version").await;
    }
}

async fn nothing_outlives_a_delete(store: &Subject) {
    for round in 0..ROUNDS {
        let (id, first) = store.stored("first").await;
        let (new, renew) = (store.fresh_id(), renewed(&first));
        let (deleter, writer) = (store.clone(), store.clone());
        let second = next(&first, "second");
        let delete = async move {
            deleter.delete(&id).await;
            deleter.load(&id).await
        };
        let write = async move {
            let _ = writer.touch(&id, 1, active(&first, Duration::from_secs(60))).await;
            if round % 4 < 2 {
                let _ = writer.save(&id, Expected::Version(1), &second).await;
            }
            writer.renew(&id, if round % 4 < 2 { 2 } else { 1 }, &new, &renew).await
        };
        let (found, renewal) = both(delete, write, round % 2 == 0).await;
        demand(found.is_none(), FINAL, || format!("right after a delete there is {found:?}"));
        store.holds(&id, None, FINAL, "a delete beside writers").await;
        // Also if the renewal came first: the session ends under any id.
        let after = format!("a delete beside a renewal that was {renewal:?}, under the new id,");
        store.holds(&new, None, FINAL, &after).await;
    }
}

/// Both concurrently, in separate tasks; the caller chooses which starts first.
async fn both<A, B>(
    one: impl Future<Output = A> + Send + 'static,
    two: impl Future<Output = B> + Send + 'static,
    one_first: bool,
) -> (A, B)
where
    A: Send + 'static,
    B: Send + 'static,
{
    let (one, two) = if one_first {
        let one = tokio::spawn(one);
        (one, tokio::spawn(two))
    } else {
        let two = tokio::spawn(two);
        (tokio::spawn(one), two)
    };
    (one.await.unwrap_or_else(failed), two.await.unwrap_or_else(failed))
}

/// A failed check fails the test, from a task too.
fn failed<T>(error: JoinError) -> T {
    match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(error) => panic!("a task of the check: {error}"),
    }
}
