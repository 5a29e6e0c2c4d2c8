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

use std::process::ExitCode;

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
    let config = EnvConfig::from_env()?;
    let store = config.maintenance()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(carry_out(command, &config, &*store, output, warnings));
    {
        // PostgreSQL's listener is given back to its pool, by a task.
        let _context = runtime.enter();
        drop(store);
    }
    // A name that is still being resolved is not waited for.
    runtime.shutdown_background();
    done
}

async fn carry_out(
    command: &Command,
    config: &EnvConfig,
    store: &dyn Maintenance,
    output: &mut Output,
    warnings: &Warnings,
) -> Result<Exit, Failure> {
    match command {
        Command::Check => check::check(store, output, warnings).await,
        Command::Schema { apply, all } => schema::schema(store, *apply, *all, output).await,
        Command::Status => status::status(store, output).await,
        Command::Validate(wanted) => {
            let idle_timeout = config.shortest_idle_timeout();
            validate::validate(store, wanted, idle_timeout, output, warnings).await
        }
        Command::Purge => purge::purge(store, output).await,
        Command::Sessions(sessions) => match sessions {
            Sessions::Count { user } => list::count(store, user.as_deref(), output).await,
            Sessions::List(wanted) => list::list(store, wanted, output).await,
            Sessions::Show { id, values } => show::show(store, id, *values, output).await,
            Sessions::Revoke { id } => revoke::one(store, id, output).await,
            Sessions::RevokeUser { user } => revoke::of_user(store, user, output).await,
            Sessions::RevokeAll { .. } => revoke::all(store, output).await,
        },
    }
}
