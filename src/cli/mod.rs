//! The command `tower-redis-session`, for operators. `docs/command-line.md` documents it.

// | file | holds |
// |---|---|
// | `arguments` | commands and options, with their help texts |
// | `exit` | exit codes, and errors by exit code |
// | `output` | text and JSON on standard output |
// | `warnings` | the library's warnings, on standard error |
// | `check` | `check` |
// | `schema` | `schema` |
// | `status` | `status` |
// | `walk` | all sessions or those of a user, page by page |
// | `list` | `sessions count` and `sessions list` |
// | `show` | `sessions show` |
// | `revoke` | `sessions revoke`, `revoke-user` and `revoke-all` |
// | `purge` | `purge` |
// | `validate` | `validate` |
// | `migrate` | `migrate` |

use std::{process::ExitCode, sync::Arc};

use clap::Parser as _;

use crate::{
    cli::{
        arguments::{Arguments, Command, Sessions},
        exit::{Exit, Failure},
        output::Output,
        warnings::Warnings,
    },
    env::EnvConfig,
    store::maintenance::Maintenance,
};

mod arguments;
mod check;
mod exit;
mod list;
mod migrate;
mod output;
mod purge;
mod revoke;
mod schema;
mod show;
mod status;
mod validate;
mod walk;
mod warnings;

/// Runs the command with the arguments and variables of this process; returns its exit code.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors. A closed pipe is none either.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Done }.into();
        }
    };
    let warnings = Warnings::install(arguments.json);
    let mut output = Output::new(arguments.json);
    let done = perform(&arguments.command, &mut output, &warnings);
    let flushed = output.flush();
    match done.and_then(|exit| flushed.map(|()| exit)) {
        Ok(exit) => exit,
        Err(failure) => failure.report(arguments.json),
    }
    .into()
}

fn perform(command: &Command, output: &mut Output, warnings: &Warnings) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(carry_out(command, output, warnings));
    // A name that is still being resolved is not waited for.
    runtime.shutdown_background();
    done
}

async fn carry_out(
    command: &Command,
    output: &mut Output,
    warnings: &Warnings,
) -> Result<Exit, Failure> {
    let sessions = match command {
        Command::Sessions(sessions) => sessions,
        Command::Check => return check::check(&*configured()?, output, warnings).await,
        Command::Schema { apply, all } => {
            return schema::schema(&*configured()?, *apply, *all, output).await;
        }
        Command::Status => return status::status(&*configured()?, output).await,
        Command::Validate(wanted) => {
            let config = EnvConfig::from_env()?;
            let (store, idle_timeout) = (config.maintenance()?, config.shortest_idle_timeout());
            return validate::validate(&*store, wanted, idle_timeout, output, warnings).await;
        }
        Command::Purge => return purge::purge(&*configured()?, output).await,
        Command::Migrate(options) => return migrate::migrate(options, output).await,
    };
    let store = &*configured()?;
    match sessions {
        Sessions::Count { user } => list::count(store, user.as_deref(), output).await,
        Sessions::List(wanted) => list::list(store, wanted, output).await,
        Sessions::Show { id, values } => show::show(store, id, *values, output).await,
        Sessions::Revoke { id } => revoke::one(store, id, output).await,
        Sessions::RevokeUser { user } => revoke::of_user(store, user, output).await,
        Sessions::RevokeAll { .. } => revoke::all(store, output).await,
    }
}

/// The store of the environment.
fn configured() -> Result<Arc<dyn Maintenance>, Failure> {
    Ok(EnvConfig::from_env()?.maintenance()?)
}
