//! `sessions revoke`, `revoke-user` and `revoke-all`.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use serde_json::json;

use crate::{
    cli::{
        exit::{Exit, Failure},
        output::{Output, printable},
        show::none,
        walk::Walk,
    },
    error::Error,
    session::{record::Record, token::SessionId},
    store::maintenance::{Enumeration, Maintenance, Part},
};

/// Sessions that are ended concurrently.
const AT_ONCE: usize = 32;
/// Difference between the clocks of two instances up to which neither corrects its own.
const CLOCKS: Duration = Duration::from_secs(2);

pub(super) async fn one(
    store: &dyn Maintenance,
    id: &SessionId,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let ended = store.store().delete(id).await?;
    store.store().close().await?;
    if !ended {
        return Err(none(id));
    }
    output.say(&json!({ "ended": 1 }), format_args!("session {id} ended"))?;
    Ok(Exit::Done)
}

pub(super) async fn of_user(
    store: &dyn Maintenance,
    user: &str,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let ended = store.store().revoke_all(user, None).await?;
    store.store().close().await?;
    let text = format!("{ended} sessions of {} ended", printable(user));
    output.say(&json!({ "ended": ended }), text)?;
    Ok(Exit::Done)
}

pub(super) async fn all(store: &dyn Maintenance, output: &mut Output) -> Result<Exit, Failure> {
    let mut ended = 0;
    let done = end_all(store, &mut ended).await;
    store.store().close().await?;
    output.say(
        &json!({ "ended": ended, "complete": done.is_ok() }),
        match &done {
            Ok(()) => format!("{ended} sessions ended"),
            Err(_) => format!("{ended} sessions ended before an error: repeat the command"),
        },
    )?;
    done.map(|()| Exit::Done)
}

/// Ends every session that exists now, in passes until one ends none.
///
/// A renewal keeps the time of the sign-in, so a session that moves during a pass is known in the
/// next one. It is found in this one by its former id, if the pass takes less than a minute.
async fn end_all(store: &dyn Enumeration, ended: &mut u64) -> Result<(), Failure> {
    let latest = store.store().clock().now().saturating_add(CLOCKS);
    let (mut is_first, mut before) = (true, None);
    while before != Some(*ended) {
        before = Some(*ended);
        let mut walk = Walk::new(None);
        while let Some(page) = walk.page(store, Part::Head).await? {
            // Later ones would keep it busy for as long as users sign in.
            let existed = |record: &Record| is_first || record.created() <= latest;
            let known = |record: &Result<Record, Error>| record.as_ref().map_or(is_first, existed);
            let found = page.sessions.iter().filter(|(_, record)| known(record)).map(|(id, _)| id);
            let moved = page.moved.iter().filter(|(_, record)| existed(record)).map(|(id, _)| id);
            let ids = found.chain(moved);
            let ends: Vec<_> = ids.map(|id| store.store().delete(id)).collect();
            let mut ends = stream::iter(ends).buffer_unordered(AT_ONCE);
            while let Some(had) = ends.next().await {
                *ended += u64::from(had?);
            }
        }
        is_first = false;
    }
    Ok(())
}

#[cfg(test)]
#[path = "revoke/tests.rs"]
mod tests;
