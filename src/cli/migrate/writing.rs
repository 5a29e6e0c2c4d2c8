//! Writes one session to the target.

use std::time::Duration;

use crate::{
    cli::migrate::{
        decision::{Need, need},
        patience::patiently,
        report::Counts,
        stores::Stores,
    },
    error::Error,
    session::token::SessionId,
    store::{
        Expected, SaveOutcome,
        maintenance::{Found, Maintenance, Stored},
    },
};

/// Redis rejects a new session like a used id if the command was late.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(100);

/// A session of the source, and what it needs.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) id: SessionId,
    pub(super) source: Stored,
    pub(super) target: Option<Stored>,
    pub(super) need: Need,
}

/// Writes it, and returns what was done as counts. An attempt may find what an earlier one, whose
/// reply was lost, has stored.
pub(super) async fn write(stores: &Stores, planned: &Planned) -> Result<Counts, Error> {
    let to = &*stores.to;
    match planned.need {
        Need::Renew(old) => patiently(async || renew(stores, planned, &old).await).await,
        Need::Finish => patiently(async || finish(to, planned).await).await,
        _ => patiently(async || write_once(to, planned).await).await,
    }
}

async fn write_once(to: &dyn Maintenance, planned: &Planned) -> Result<Counts, Error> {
    let Planned { id, source, need, .. } = planned;
    let (store, record) = (to.store(), &source.record);
    let outcome = match need {
        Need::Create | Need::Renew(_) => return create(to, planned).await,
        Need::Save(expected) => store.save(id, Expected::Version(*expected), record).await?,
        Need::Touch => {
            let _ = store.touch(id, record.version(), record.activity()).await?;
            return Ok(done(*need));
        }
        Need::Nothing | Need::Keep | Need::Finish => return Ok(done(*need)),
    };
    match outcome {
        SaveOutcome::Saved => Ok(done(*need)),
        SaveOutcome::Unknown(error) => Err(error),
        _ => Ok(instead(planned, &find(to, id).await?)),
    }
}

async fn create(to: &dyn Maintenance, planned: &Planned) -> Result<Counts, Error> {
    let Planned { id, source, .. } = planned;
    let mut left = TRIES;
    loop {
        match to.store().save(id, Expected::Absent, &source.record).await? {
            SaveOutcome::Saved => return Ok(done(Need::Create)),
            SaveOutcome::Unknown(error) => return Err(error),
            _ => {}
        }
        let found = find(to, id).await?;
        left -= 1;
        if left == 0 || !matches!(found, Ok(None)) {
            return Ok(instead(planned, &found));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The first step of a renewal, as in the source: either id may be the one that the client has.
async fn renew(stores: &Stores, planned: &Planned, old: &SessionId) -> Result<Counts, Error> {
    let Planned { id, source, .. } = planned;
    let to = &*stores.to;
    if matches!(find(&*stores.from, old).await?, Ok(None)) {
        return if outlives(&*stores.from, id).await? {
            create(to, planned).await
        } else {
            Ok(Counts::default())
        };
    }
    let Ok(Some(before)) = find(to, old).await? else {
        // The old one has ended there, and with it the renewal.
        return Ok(Counts { ended_in_target: 1, ..Counts::default() });
    };
    let version = before.record.version();
    match to.store().begin_renew(old, version, id, &source.record).await? {
        SaveOutcome::Saved => Ok(done(Need::Create)),
        SaveOutcome::Unknown(error) => Err(error),
        _ => Ok(instead(planned, &find(to, id).await?)),
    }
}

/// Whether the session lives whose former id has ended: by the renewal, or together with it. Read
/// as by its client, which finishes the renewal: no other id is left to be lost.
pub(super) async fn outlives(from: &dyn Maintenance, id: &SessionId) -> Result<bool, Error> {
    let found = from.store().load(id).await?;
    Ok(found.is_some_and(|found| found.moved_to().is_none()))
}

/// Finishes the renewal, and writes what the session got since.
async fn finish(to: &dyn Maintenance, planned: &Planned) -> Result<Counts, Error> {
    let Planned { id, source, .. } = planned;
    // As when its client comes: a store with two steps takes the second one then.
    let _ = to.store().load(id).await?;
    let target = find(to, id).await?.ok().flatten();
    let need = need(source, target.as_ref());
    if matches!(need, Need::Create | Need::Finish) {
        // It has ended there.
        return Ok(Counts { ended_in_target: 1, ..Counts::default() });
    }
    let again = Planned { id: *id, source: source.clone(), target, need };
    let written = write_once(to, &again).await?;
    Ok(if need == Need::Nothing { done(Need::Finish) } else { written })
}

async fn find(store: &dyn Maintenance, id: &SessionId) -> Result<Found, Error> {
    let mut found = store.find_each(std::slice::from_ref(id)).await?;
    Ok(found.pop().unwrap_or(Ok(None)))
}

/// The target has this, where something else was expected.
fn instead(planned: &Planned, found: &Found) -> Counts {
    match found {
        Err(_) => Counts { unreadable: 1, ..Counts::default() },
        // The target rejected it, and may accept it later.
        Ok(None) if matches!(planned.need, Need::Create | Need::Renew(_)) => {
            Counts { not_stored: 1, ..Counts::default() }
        }
        Ok(None) => Counts { ended_in_target: 1, ..Counts::default() },
        Ok(Some(target)) if need(&planned.source, Some(target)) == Need::Nothing => {
            done(planned.need)
        }
        Ok(Some(_)) => done(Need::Keep),
    }
}

/// As counts.
pub(super) fn done(need: Need) -> Counts {
    let none = Counts::default();
    match need {
        Need::Nothing => Counts { unchanged: 1, ..none },
        Need::Create | Need::Renew(_) => Counts { copied: 1, ..none },
        Need::Save(_) | Need::Finish => Counts { changed: 1, ..none },
        Need::Touch => Counts { touched: 1, ..none },
        Need::Keep => Counts { kept: 1, ..none },
    }
}
