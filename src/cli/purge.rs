//! `purge`: deletes what has ended.

use serde_json::json;

use crate::{
    cli::{
        exit::{Exit, Failure},
        output::Output,
    },
    store::maintenance::Maintenance,
};

pub(super) async fn purge(store: &dyn Maintenance, output: &mut Output) -> Result<Exit, Failure> {
    let removed = store.purge().await?;
    let text = removed.map_or_else(
        || "nothing to purge: keys in redis expire by themselves".to_owned(),
        |removed| {
            let (sessions, users) = (removed.sessions, removed.users);
            format!("{sessions} rows of ended sessions and {users} of users deleted")
        },
    );
    output.say(&json!({ "removed": removed }), text)?;
    Ok(Exit::Done)
}
