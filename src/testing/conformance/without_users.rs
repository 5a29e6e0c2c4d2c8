//! A store of records alone: sign-in works, and operations on the list of sessions are rejected.

use std::num::NonZeroU32;

use crate::{
    Error, ErrorKind,
    store::{LoginWrite, SaveOutcome},
    testing::conformance::{Subject, demand, ids::random_id, renewed, show},
};

const WITHOUT: &str = "a store that lists no sessions fails with `Misconfigured` where the list is \
    needed, and signs users in without it";

pub(super) async fn check(store: &Subject) {
    what_needs_the_list_fails(store).await;
    a_login_needs_none(store).await;
}

fn demand_misconfigured<T: std::fmt::Debug>(what: &str, result: Result<T, Error>) {
    let kind = result.as_ref().map_err(Error::kind).err();
    let told = kind == Some(ErrorKind::Misconfigured);
    demand(told, WITHOUT, || format!("{what}: {}", show(&result)));
}

async fn what_needs_the_list_fails(store: &Subject) {
    // A store that misreports its index loses no other user's sessions.
    let user = random_id().to_string();
    demand_misconfigured("an epoch", store.0.revocation_epoch(&user).await);
    demand_misconfigured("a list", store.0.sessions_of(&user).await);
    demand_misconfigured("a page", store.0.sessions_page(&user, None, 1).await);
    demand_misconfigured("a revocation", store.0.revoke_all(&user, None).await);
    let (id, record) = (store.fresh_id(), store.record("limited"));
    let plain = LoginWrite::new(&id, &record);
    let limited = LoginWrite { limit: NonZeroU32::new(1), ..plain };
    demand_misconfigured("a limit", store.0.login(limited).await);
    let held = LoginWrite { epoch: Some(0), ..plain };
    demand_misconfigured("a login with an epoch", store.0.login(held).await);
    store.holds(&id, None, WITHOUT, "logins that failed").await;
}

async fn a_login_needs_none(store: &Subject) {
    let (old, first) = (store.fresh_id(), store.record("signed in"));
    let outcome = store.login(LoginWrite::new(&old, &first)).await;
    let saved = matches!(outcome, SaveOutcome::Saved);
    demand(saved, WITHOUT, || format!("to sign in under a fresh id: {outcome:?}"));
    store.holds(&old, Some(&first), WITHOUT, "a sign-in").await;
    let (new, second) = (store.fresh_id(), renewed(&first));
    let login = LoginWrite { old: Some((&old, 1)), ..LoginWrite::new(&new, &second) };
    let outcome = store.login(login).await;
    let saved = matches!(outcome, SaveOutcome::Saved);
    demand(saved, WITHOUT, || format!("to sign in from a session: {outcome:?}"));
    let outcome = store.finish(&old, 1, &new).await;
    let saved = matches!(outcome, SaveOutcome::Saved);
    demand(saved, WITHOUT, || format!("to end the old session: {outcome:?}"));
    store.holds(&old, None, WITHOUT, "a sign-in from a session, under the old id,").await;
    store.holds(&new, Some(&second), WITHOUT, "a sign-in from a session").await;
}
