//! `migrate`: copies the sessions of one store to another.
//!
//! A run is one pass over the source, and one over what was copied. `docs/command-line.md` states
//! what holds while a service uses the source, or the target.
//!
//! | file | holds |
//! |---|---|
//! | `stores` | source and target, and their variables in files |
//! | `state_file` | what was copied in which state, and how far |
//! | `line` | its lines |
//! | `decision` | pure: what a session of the source needs in the target |
//! | `copying` | the pass over the source |
//! | `comparing` | what an earlier run may have copied |
//! | `writing` | one session, written to the target |
//! | `ending` | what has ended in the source is ended in the target |
//! | `patience` | attempts while a server is unavailable |
//! | `progress` | the progress bar |
//! | `report` | the result in numbers |

use std::time::Instant;

use crate::{
    cli::{
        arguments::Migrate,
        exit::{Exit, Failure},
        migrate::{
            copying::Copying,
            ending::Ending,
            line::Line,
            patience::patiently,
            report::Counts,
            state_file::StateFile,
            stores::{Stores, place},
        },
        output::Output,
    },
    error::ConfigError,
    store::maintenance::Status,
};

mod comparing;
mod copying;
mod decision;
mod ending;
mod line;
mod patience;
mod progress;
mod report;
mod state_file;
mod stores;
mod writing;

/// Sessions that the target may lack for whatever reason.
const MISSING_FEW: u64 = 100;

pub(super) async fn migrate(options: &Migrate, output: &mut Output) -> Result<Exit, Failure> {
    let started = Instant::now();
    let stores = &Stores::open(options)?;
    let (from, to) = tokio::join!(stores.from.status(), stores.to.status());
    differ(&from, &to)?;
    if !options.dry_run {
        for checked in stores.to.check().await {
            checked.result?;
        }
    }
    let places = [&*place(&from), &*place(&to)];
    let state = StateFile::open(&options.state, places, options.dry_run)?;
    let mut copying = Copying::new(stores, state, options, output.is_json());
    let done = run(&mut copying, options).await;
    let closed = stores.to.store().close().await;
    let outcome = (done.is_ok(), options.dry_run);
    let exit = copying.counts.print(outcome, started.elapsed(), output)?;
    let complete = done?;
    closed?;
    Ok(exit.max(complete))
}

async fn run(copying: &mut Copying<'_>, options: &Migrate) -> Result<Exit, Failure> {
    let (stores, dry_run) = (copying.stores, copying.dry_run);
    let target = async || stores.to.run().await;
    let before = patiently(target).await?;
    if let (None, Some(run)) = (&copying.state.target, &before) {
        copying.state.append(&[Line::Target(run.clone())])?;
    }
    copying.pass().await?;
    let (state, counts) = (&copying.state, &mut copying.counts);
    Ending { stores, state, counts, dry_run, even_most: options.end_most }.pass().await?;
    let after = patiently(target).await?;
    let known = copying.state.target.as_ref().or(before.as_ref());
    let restarted = before != after || known != before.as_ref();
    if before != after || !options.copy_missing && has_lost(&copying.counts, restarted) {
        tracing::warn!(
            "the target no longer has sessions that were copied, or restarted in the meantime: if \
             it lost its data, --copy-missing copies them again"
        );
        return Ok(Exit::Finding);
    }
    if let Some(run) = after.filter(|_| restarted) {
        copying.state.append(&[Line::Target(run)])?;
    }
    Ok(Exit::Done)
}

/// Whether what the target lacks was lost there, and not ended.
const fn has_lost(counts: &Counts, restarted: bool) -> bool {
    let missing = counts.ended_in_target;
    (restarted && missing > 0) || (missing > MISSING_FEW && missing > counts.sessions / 2)
}

/// Two stores with one database have the same sessions.
fn differ(from: &Status, to: &Status) -> Result<(), Failure> {
    let database = |status: &Status| status.database.as_ref().map(|found| found.address.clone());
    let same = match (database(from), database(to)) {
        (None, None) => place(from) == place(to),
        (from, to) => from == to,
    };
    if same {
        return Err(ConfigError::new("--to", "is the store of --from").into());
    }
    Ok(())
}
