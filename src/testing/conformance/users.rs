//! Sessions of a user: revocation of all, and the limit on their number.

use std::{num::NonZeroU32, time::Duration};

use crate::{
    SessionId,
    store::{Expected, LoginWrite, Record, SaveOutcome},
    testing::conformance::{
        BY_USER, Subject, demand, healthy, ids::random_id, known, next, renewed,
    },
};

pub(super) async fn check(store: &Subject) {
    all_end_and_nobody_elses(store).await;
    an_epoch_of_before_opens_nothing(store).await;
    a_renewal_moves_in_the_list(store).await;
    the_oldest_make_room(store).await;
    a_renewal_takes_no_more_room(store).await;
    nor_does_one_that_was_overtaken(store).await;
    nothing_slips_through_a_race(store).await;
    no_more_than_allowed_in_a_race(store).await;
}

impl Subject {
    /// A session of `user`, signed in to `ago`.
    fn record_of(&self, user: &str, ago: Duration) -> Record {
        let created = self.now().as_millis() - u64::try_from(ago.as_millis()).unwrap_or(0);
        let created = crate::Timestamp::from_millis(created);
        Record { user: Some(user.into()), created, ..self.record("of a user") }
    }

    pub(super) async fn login(&self, login: LoginWrite<'_>) -> SaveOutcome {
        known(healthy("login", self.0.login(login).await))
    }

    /// A session that `user` signed in to `ago`, without epoch and limit.
    pub(super) async fn signed_in(
        &self,
        user: &str,
        ago: u64,
        limit: Option<u32>,
    ) -> (SessionId, Record) {
        let (id, record) = (self.fresh_id_of(user), self.record_of(user, Duration::from_secs(ago)));
        let limit = limit.and_then(NonZeroU32::new);
        let outcome = self.login(LoginWrite { limit, ..LoginWrite::new(&id, &record) }).await;
        demand(matches!(outcome, SaveOutcome::Saved), BY_USER, || {
            format!("to sign in under a fresh id: {outcome:?}")
        });
        (id, record)
    }

    pub(super) async fn revoke_all(&self, user: &str) -> u64 {
        healthy("revoke_all", self.0.revoke_all(user, None).await)
    }

    pub(super) async fn revocation_epoch(&self, user: &str) -> u64 {
        healthy("epoch", self.0.revocation_epoch(user).await)
    }

    async fn alive(&self, ids: &[SessionId]) -> usize {
        let mut alive = 0;
        for id in ids {
            alive += usize::from(self.load(id).await.is_some());
        }
        alive
    }
}

/// A unique user, with characters that names may have.
pub(super) fn a_user() -> String {
    format!("{{us}} er:\u{1f980}\u{fffd}\0 {}", random_id())
}

async fn all_end_and_nobody_elses(store: &Subject) {
    let (user, other) = (a_user(), a_user());
    let mut ids = Vec::new();
    for ago in 0..3 {
        ids.push(store.signed_in(&user, ago, None).await);
    }
    let (elses, record) = store.signed_in(&other, 0, None).await;
    let epoch = store.revocation_epoch(&user).await;
    let count = store.revoke_all(&user).await;
    demand(count == 3, BY_USER, || format!("three sessions ended, and the result is {count}"));
    for (id, record) in &ids {
        store.holds(id, None, BY_USER, "a revocation").await;
        let late = store.save(id, Expected::Version(1), &next(record, "late")).await;
        demand(matches!(late, SaveOutcome::Gone), BY_USER, || {
            format!("a save after a revocation must return Gone, and returned {late:?}")
        });
        let (new, moved) = (store.fresh_id_of(&user), renewed(record));
        let login = LoginWrite { old: Some((id, 1)), ..LoginWrite::new(&new, &moved) };
        let late = store.login(login).await;
        demand(matches!(late, SaveOutcome::Gone), BY_USER, || {
            format!("a renewal after a revocation must return Gone, and returned {late:?}")
        });
        store.holds(&new, None, BY_USER, "a renewal after a revocation").await;
    }
    store.holds(&elses, Some(&record), BY_USER, "a revocation of another user").await;
    let now = store.revocation_epoch(&user).await;
    demand(now != epoch, BY_USER, || format!("the epoch must change, and is still {now}"));
    let again = store.revoke_all(&user).await;
    demand(again == 0, BY_USER, || format!("no session was left, and the result is {again}"));
}

async fn an_epoch_of_before_opens_nothing(store: &Subject) {
    let user = a_user();
    let before = store.revocation_epoch(&user).await;
    store.revoke_all(&user).await;
    let (id, record) = (store.fresh_id_of(&user), store.record_of(&user, Duration::ZERO));
    let login = LoginWrite { epoch: Some(before), ..LoginWrite::new(&id, &record) };
    let outcome = store.login(login).await;
    demand(matches!(outcome, SaveOutcome::Revoked), BY_USER, || {
        format!("a login with an earlier epoch must return Revoked, and returned {outcome:?}")
    });
    store.holds(&id, None, BY_USER, "a rejected login").await;
    let anonymous = Record { user: None, ..store.record("anonymous") };
    let old = store.fresh_id();
    store.create(old, &anonymous).await;
    let outcome = store.login(LoginWrite { old: Some((&old, 1)), ..login }).await;
    demand(matches!(outcome, SaveOutcome::Revoked), BY_USER, || {
        format!("the same from an anonymous session must return Revoked, and returned {outcome:?}")
    });
    store.holds(&old, Some(&anonymous), BY_USER, "a rejected login").await;
    store.holds(&id, None, BY_USER, "a rejected login").await;
    let now = Some(store.revocation_epoch(&user).await);
    let outcome = store.login(LoginWrite { epoch: now, ..login }).await;
    demand(matches!(outcome, SaveOutcome::Saved), BY_USER, || {
        format!("a login with the current epoch must return Saved, and returned {outcome:?}")
    });
}

async fn a_renewal_moves_in_the_list(store: &Subject) {
    let user = a_user();
    let (old, record) = store.signed_in(&user, 0, None).await;
    let (new, moved) = (store.fresh_id_of(&user), renewed(&record));
    let login = LoginWrite { old: Some((&old, 1)), ..LoginWrite::new(&new, &moved) };
    let outcome = store.login(login).await;
    demand(matches!(outcome, SaveOutcome::Saved), BY_USER, || format!("a renewal: {outcome:?}"));
    let outcome = store.finish(&old, 1, &new).await;
    demand(matches!(outcome, SaveOutcome::Saved), BY_USER, || {
        format!("the second step: {outcome:?}")
    });
    store.holds(&old, None, BY_USER, "a renewal, under the old id,").await;
    store.holds(&new, Some(&moved), BY_USER, "a renewal, under the new id,").await;
    let count = store.revoke_all(&user).await;
    demand(count == 1, BY_USER, || format!("one session was renewed, and the result is {count}"));
    store.holds(&new, None, BY_USER, "a revocation of what was renewed").await;
}

async fn the_oldest_make_room(store: &Subject) {
    let (user, other) = (a_user(), a_user());
    let (elses, record) = store.signed_in(&other, 100, Some(1)).await;
    let mut ids = Vec::new();
    // Not in order of age.
    for ago in [30, 50, 40, 20, 10] {
        ids.push(store.signed_in(&user, ago, None).await.0);
    }
    ids.push(store.signed_in(&user, 0, Some(3)).await.0);
    for (id, stays) in ids.iter().zip([false, false, false, true, true, true]) {
        let there = store.load(id).await.is_some();
        demand(there == stays, BY_USER, || {
            format!("of too many sessions the oldest have to end: {stays}, and is {there}")
        });
    }
    store.holds(&elses, Some(&record), BY_USER, "a login of another user").await;
    let (last, _) = store.signed_in(&user, 0, Some(1)).await;
    demand(store.alive(&ids).await == 0, BY_USER, || "one was allowed, and more are there".into());
    demand(store.alive(&[last]).await == 1, BY_USER, || "who signs in is not there".into());
}

async fn a_renewal_takes_no_more_room(store: &Subject) {
    let user = a_user();
    let (old, record) = store.signed_in(&user, 20, Some(2)).await;
    let (other, beside) = store.signed_in(&user, 10, Some(2)).await;
    let (new, moved) = (store.fresh_id_of(&user), renewed(&record));
    let limit = NonZeroU32::new(2);
    let login = LoginWrite { old: Some((&old, 1)), limit, ..LoginWrite::new(&new, &moved) };
    let outcome = store.login(login).await;
    demand(matches!(outcome, SaveOutcome::Saved), BY_USER, || format!("a renewal: {outcome:?}"));
    let _ = store.finish(&old, 1, &new).await;
    store.holds(&new, Some(&moved), BY_USER, "a renewal at the limit").await;
    store.holds(&other, Some(&beside), BY_USER, "a renewal beside it at the limit").await;
}

/// A concurrent write to the old session between the two steps, if there are two.
async fn nor_does_one_that_was_overtaken(store: &Subject) {
    let user = a_user();
    let (beside, record) = store.signed_in(&user, 10, Some(2)).await;
    let anonymous = Record { user: None, ..store.record("anonymous") };
    let (old, limit) = (store.fresh_id(), NonZeroU32::new(2));
    store.create(old, &anonymous).await;
    let (first, second) = (store.fresh_id_of(&user), store.fresh_id_of(&user));
    let signed_in = store.record_of(&user, Duration::ZERO);
    let login = LoginWrite { old: Some((&old, 1)), limit, ..LoginWrite::new(&first, &signed_in) };
    let _ = store.login(login).await;
    let written = store.save(&old, Expected::Version(1), &next(&anonymous, "written")).await;
    if !matches!(written, SaveOutcome::Saved) {
        return;
    }
    let outcome = store.finish(&old, 1, &first).await;
    demand(matches!(outcome, SaveOutcome::Conflict(_)), BY_USER, || {
        format!("a second step after a write must return a Conflict, and returned {outcome:?}")
    });
    store.abandon(&old, &first).await;
    store.holds(&first, None, BY_USER, "a renewal that was abandoned, under the new id,").await;
    let login = LoginWrite { old: Some((&old, 2)), limit, ..LoginWrite::new(&second, &signed_in) };
    let outcome = store.login(login).await;
    demand(matches!(outcome, SaveOutcome::Saved), BY_USER, || format!("once more: {outcome:?}"));
    let _ = store.finish(&old, 2, &second).await;
    store.holds(&beside, Some(&record), BY_USER, "a renewal that was overtaken").await;
    let alive = store.alive(&[old, first, second]).await;
    demand(alive == 1, BY_USER, || format!("one of the three is to be alive, and {alive} are"));
}

async fn nothing_slips_through_a_race(store: &Subject) {
    let user = a_user();
    let epoch = store.revocation_epoch(&user).await;
    let mut logins = Vec::new();
    for _ in 0..16 {
        let (store, user) = (store.clone(), user.clone());
        logins.push(tokio::spawn(async move {
            let (id, record) = (store.fresh_id_of(&user), store.record_of(&user, Duration::ZERO));
            let _ = store
                .login(LoginWrite { epoch: Some(epoch), ..LoginWrite::new(&id, &record) })
                .await;
            id
        }));
    }
    // Some of them are in progress.
    tokio::task::yield_now().await;
    store.revoke_all(&user).await;
    let mut ids = Vec::new();
    for login in logins {
        ids.extend(login.await.ok());
    }
    let alive = store.alive(&ids).await;
    demand(alive == 0, BY_USER, || format!("{alive} logins slipped through a revocation"));
}

async fn no_more_than_allowed_in_a_race(store: &Subject) {
    let user = a_user();
    let mut logins = Vec::new();
    for _ in 0..20 {
        let (store, user) = (store.clone(), user.clone());
        logins.push(tokio::spawn(async move { store.signed_in(&user, 0, Some(5)).await.0 }));
    }
    let mut ids = Vec::new();
    for login in logins {
        ids.extend(login.await.ok());
    }
    let alive = store.alive(&ids).await;
    demand(ids.len() == 20 && alive == 5, BY_USER, || {
        format!("of twenty logins at once five have to be alive, and {alive} are")
    });
}
