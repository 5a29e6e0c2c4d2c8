//! Listing a user's sessions, and revoking all but one.

use std::collections::BTreeSet;

use crate::{
    SessionId,
    context::SessionCursor,
    store::{LoginWrite, Record, SaveOutcome},
    testing::conformance::{
        BY_USER, LISTED, Subject, demand, healthy, renewed, show, users::a_user,
    },
};

pub(super) async fn check(store: &Subject) {
    one_can_be_kept(store).await;
    who_is_kept_may_be_moving(store).await;
    the_end_of_the_old_is_the_end_of_the_new(store).await;
    the_list_has_heads_of_their_own_and_no_others(store).await;
    the_list_comes_in_pages(store).await;
}

impl Subject {
    async fn listed(&self, user: &str) -> Vec<SessionId> {
        let listed = healthy("sessions_of", self.0.sessions_of(user).await);
        listed.into_iter().map(|(id, _)| id).collect()
    }

    /// The whole list, in pages of `limit`.
    async fn paged(&self, user: &str, limit: usize, most: usize) -> Vec<SessionCursor> {
        let mut all: Vec<SessionCursor> = Vec::new();
        while all.len() <= most {
            let page = self.0.sessions_page(user, all.last(), limit).await;
            let page = healthy("sessions_page", page);
            all.extend(page.iter().map(|(id, head)| SessionCursor::new(head.created(), *id)));
            if page.len() < limit {
                break;
            }
        }
        all
    }
}

async fn one_can_be_kept(store: &Subject) {
    let user = a_user();
    let (kept, record) = store.signed_in(&user, 5, None).await;
    let (other, _) = store.signed_in(&user, 0, None).await;
    let epoch = store.revocation_epoch(&user).await;
    let count = healthy("revoke_all", store.0.revoke_all(&user, Some(&kept)).await);
    demand(count == 1, BY_USER, || format!("one session ended, and the result is {count}"));
    store.holds(&kept, Some(&record), BY_USER, "a revocation of all others").await;
    store.holds(&other, None, BY_USER, "a revocation of all but one").await;
    let now = store.revocation_epoch(&user).await;
    demand(now != epoch, BY_USER, || format!("the epoch must change, and is still {now}"));
    let listed = store.listed(&user).await;
    demand(listed == [kept], LISTED, || format!("one was kept, and {} are", listed.len()));
    // The kept session is still one of the user's.
    let count = store.revoke_all(&user).await;
    demand(count == 1, BY_USER, || format!("one was kept, and the result is {count}"));
    store.holds(&kept, None, BY_USER, "a revocation").await;
    let (_, record) = store.signed_in(&user, 0, None).await;
    let count = healthy("revoke_all", store.0.revoke_all(&user, Some(&store.fresh_id())).await);
    demand(count == 1, BY_USER, || {
        format!("no session has the id to keep, and {count} of {} ended", record.version)
    });
}

/// In a store that renews in two steps, between them: old and new are the kept session.
async fn who_is_kept_may_be_moving(store: &Subject) {
    let user = a_user();
    let (old, record) = store.signed_in(&user, 5, None).await;
    let (new, moved) = (store.fresh_id_of(&user), renewed(&record));
    let login = LoginWrite { old: Some((&old, 1)), ..LoginWrite::new(&new, &moved) };
    let _ = healthy("login", store.0.login(login).await);
    if store.load(&old).await.is_none() {
        return;
    }
    let count = healthy("revoke_all", store.0.revoke_all(&user, Some(&old)).await);
    demand(count == 0, BY_USER, || format!("there is no other session, and {count} ended"));
    store.holds(&old, Some(&record), BY_USER, "all others ended, between two steps,").await;
    let finished = store.finish(&old, 1, &new).await;
    demand(matches!(finished, SaveOutcome::Saved), BY_USER, || format!("finished: {finished:?}"));
    store.holds(&new, Some(&moved), BY_USER, "all others ended, between two steps,").await;
    store.holds(&old, None, BY_USER, "the second step").await;
}

/// The same state: ending the old id ends the session, under any id.
async fn the_end_of_the_old_is_the_end_of_the_new(store: &Subject) {
    for conditional in [false, true] {
        let user = a_user();
        let (old, record) = store.signed_in(&user, 5, None).await;
        let (new, moved) = (store.fresh_id_of(&user), renewed(&record));
        let login = LoginWrite { old: Some((&old, 1)), ..LoginWrite::new(&new, &moved) };
        let _ = healthy("login", store.0.login(login).await);
        if store.load(&old).await.is_none() {
            return;
        }
        if conditional {
            let ended = store.delete_version(&old, 1).await;
            demand(matches!(ended, SaveOutcome::Saved), BY_USER, || {
                format!("a delete of the old id: {ended:?}")
            });
        } else {
            store.delete(&old).await;
        }
        let finished = store.finish(&old, 1, &new).await;
        demand(matches!(finished, SaveOutcome::Gone), BY_USER, || {
            format!("the second step after the end must return Gone, and returned {finished:?}")
        });
        store.holds(&new, None, BY_USER, "the end of the old id between two steps,").await;
    }
}

async fn the_list_has_heads_of_their_own_and_no_others(store: &Subject) {
    let (user, other) = (a_user(), a_user());
    let listed = store.listed(&user).await;
    demand(listed.is_empty(), LISTED, || {
        format!("there is no session, and {} are listed", listed.len())
    });
    let (one, _) = store.signed_in(&user, 5, None).await;
    let (two, record) = store.signed_in(&user, 0, None).await;
    let (elses, _) = store.signed_in(&other, 0, None).await;
    let listed = healthy("sessions_of", store.0.sessions_of(&user).await);
    let ids: BTreeSet<_> = listed.iter().map(|(id, _)| *id).collect();
    demand(ids == [one, two].into(), LISTED, || {
        format!("there are two sessions, and {ids:?} are listed")
    });
    demand(!ids.contains(&elses), LISTED, || "another user's is among them".into());
    let head = listed.iter().find(|(id, _)| *id == two).map(|(_, head)| head);
    let told = |head: &Record| {
        (head.created, head.last_activity, head.deadlines, head.authenticated, head.device.clone())
    };
    demand(head.map(told) == Some(told(&record)), LISTED, || {
        format!("the head is not that of the record: {}", show(&head))
    });
    store.delete(&one).await;
    let listed = store.listed(&user).await;
    demand(listed == [two], LISTED, || format!("one of two has ended, and {listed:?} are listed"));
}

/// Each session once, the latest first, with any page size; one that ends in between leaves no gap.
async fn the_list_comes_in_pages(store: &Subject) {
    let (user, other) = (a_user(), a_user());
    let mut all = Vec::new();
    for ago in [3, 1, 4, 1, 5, 1] {
        let (id, record) = store.signed_in(&user, ago, None).await;
        all.push(SessionCursor::new(record.created(), id));
        let _ = store.signed_in(&other, ago, None).await;
    }
    all.sort_by_key(SessionCursor::order);
    for limit in [1, 2, 3, 5, 6, 7, 100] {
        let paged = store.paged(&user, limit, all.len() + 2).await;
        demand(paged == all, LISTED, || {
            format!("in pages of {limit} the list is {paged:?}, and not {all:?}")
        });
    }
    let [_, two, three, four, five, ..] = all.as_slice() else { return };
    store.delete(three.id()).await;
    let next = healthy("sessions_page", store.0.sessions_page(&user, Some(two), 2).await);
    let next: Vec<_> = next.iter().map(|(id, _)| *id).collect();
    demand(next == [*four.id(), *five.id()], LISTED, || {
        format!("after the cursor of an ended session the list is {next:?}")
    });
}
