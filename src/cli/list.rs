//! `sessions count` and `sessions list`.

use serde::Serialize;
use serde_json::json;

use crate::{
    cli::{
        arguments::List,
        exit::{Exit, Failure, complain},
        output::{Output, or_dash, printable, seconds},
        show::{self, Head, Shown},
        walk::Walk,
    },
    error::{Causes, Error},
    session::{record::Record, token::SessionId},
    store::maintenance::{Maintenance, Part},
};

#[derive(Debug, Default, Serialize)]
struct Counts {
    sessions: u64,
    signed_in: u64,
    anonymous: u64,
    expired: u64,
    unreadable: u64,
}

pub(super) async fn count(
    store: &dyn Maintenance,
    user: Option<&str>,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let mut counts = Counts::default();
    let mut walk = Walk::new(user);
    while let Some(page) = walk.page(store, Part::Head).await? {
        let now = store.store().clock().now();
        for (_, record) in page.sessions {
            match record {
                Err(_) => counts.unreadable += 1,
                Ok(record) if record.deadlines.is_over(now) => counts.expired += 1,
                Ok(record) => {
                    counts.sessions += 1;
                    counts.signed_in += u64::from(record.user().is_some());
                    counts.anonymous += u64::from(record.user().is_none());
                }
            }
        }
    }
    if output.is_json() {
        output.json(&counts)?;
        return Ok(Exit::Done);
    }
    output.fields([
        ("sessions", counts.sessions.to_string()),
        ("  signed in", counts.signed_in.to_string()),
        ("  anonymous", counts.anonymous.to_string()),
        ("expired", counts.expired.to_string()),
        ("unreadable", counts.unreadable.to_string()),
    ])?;
    Ok(Exit::Done)
}

pub(super) async fn list(
    store: &dyn Maintenance,
    wanted: &List,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let part = if wanted.values { Part::Whole } else { Part::Head };
    let mut walk = Walk::new(wanted.user.as_deref());
    let mut left = wanted.limit();
    if !output.is_json() && !wanted.values {
        let columns = ["SESSION", "LAST ACTIVITY", "EXPIRES", "USER", "ADDRESS", "LABEL"];
        output.line(row(columns.map(str::to_owned)))?;
    }
    while let Some(page) = walk.page(store, part).await? {
        let now = store.store().clock().now();
        let live = |record: &Result<Record, Error>| {
            record.as_ref().map_or(true, |record| !record.deadlines.is_over(now))
        };
        for (id, record) in page.sessions.into_iter().filter(|(_, record)| live(record)) {
            if left == 0 {
                return more(wanted, output);
            }
            left -= 1;
            match record {
                Err(error) => unreadable(&id, &error, output)?,
                Ok(record) if !wanted.values => line(&Head::of(id, &record), output)?,
                Ok(record) => with_values(store, id, record, wanted, output).await?,
            }
        }
    }
    Ok(Exit::Done)
}

fn more(wanted: &List, output: &Output) -> Result<Exit, Failure> {
    if !output.is_json() {
        complain(&format!("more than {}: see --limit and --all", wanted.limit));
    }
    Ok(Exit::Done)
}

/// Of a user's sessions only the heads are read so far.
async fn with_values(
    store: &dyn Maintenance,
    id: SessionId,
    record: Record,
    wanted: &List,
    output: &mut Output,
) -> Result<(), Failure> {
    let record = match wanted.user {
        None => Some(record),
        Some(_) => match store.find(&id).await {
            Err(error) if error.is_unreadable() => return unreadable(&id, &error, output),
            // Without one that has ended or moved in the meantime.
            found => found?.filter(|found| found.moved_to().is_none()),
        },
    };
    let Some(record) = record else { return Ok(()) };
    let now = store.store().clock().now();
    show::print(&Shown::of(id, &record, true, now), output)?;
    if output.is_json() { Ok(()) } else { output.line("") }
}

fn line(head: &Head<'_>, output: &mut Output) -> Result<(), Failure> {
    let label = match (head.label, head.acting_as) {
        (label, Some(user)) => format!("{} (as {})", or_dash(label), printable(user)),
        (label, None) => or_dash(label),
    };
    let (last, expires) = (seconds(head.last_activity), seconds(head.expires_at));
    let (user, address) = (or_dash(head.user), or_dash(head.address));
    let columns = [head.id.to_string(), last, expires, user, address, label];
    output.say(head, row(columns))
}

fn unreadable(id: &SessionId, error: &Error, output: &mut Output) -> Result<(), Failure> {
    let text = Causes(error).to_string();
    output.say(&json!({ "id": id, "unreadable": text }), format_args!("{id}  unreadable: {text}"))
}

fn row([id, last, expires, user, address, label]: [String; 6]) -> String {
    format!("{id:<43}  {last:<20}  {expires:<20}  {user:<20}  {address:<15}  {label}")
}
