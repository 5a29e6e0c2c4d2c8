//! Commands and options: what is documented here is printed by `--help`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, builder::NonEmptyStringValueParser};

use crate::session::token::SessionId;

const ENVIRONMENT: &str = "\
Environment:
  The store is configured by the variables of the service; run the command with the same.
  SESSION_STORAGE         redis, database or durable (a database with Redis in front)
  SESSION_DATABASE_URL    sqlite:FILE or postgres://user:password@host/database
  DATABASE_URL            the same, if the one above is not set
  REDIS_URL               redis://, rediss:// or unix://; or REDIS_HOST, REDIS_PORT, REDIS_DB
  REDIS_CLUSTER           some nodes of a cluster, a:6379,b:6379, instead of one address
  REDIS_SENTINEL          NAME@HOST:PORT,HOST:PORT, in place of an address; with
  REDIS_SENTINEL_USERNAME, REDIS_SENTINEL_PASSWORD, REDIS_SENTINEL_SSL,
  REDIS_SENTINEL_SSL_CA_CERTS, REDIS_SENTINEL_SSL_CERTFILE, REDIS_SENTINEL_SSL_KEYFILE
  REDIS_USERNAME, REDIS_PASSWORD, REDIS_SSL, REDIS_SSL_CA_CERTS, REDIS_SSL_CERTFILE,
  REDIS_SSL_KEYFILE, REDIS_CONNECT_TIMEOUT_MS, REDIS_CONFIRM_REPLICAS
  SESSION_KEY_PREFIX      prefix of the keys in Redis; session: by default

  Secrets are read from variables only and never printed.

Exit codes:
  0  done
  1  a finding, or no such session
  2  invalid arguments
  3  a server is unavailable: try again
  4  a variable has an invalid value
  5  a server is unusable: wrong password, missing right, missing tables
  130  validate was interrupted: it has deleted its own sessions

A session is named by its public id, as in logs and in lists of devices. It opens no session.";

/// Inspects and maintains the sessions of a service that uses tower-redis-session.
#[derive(Debug, Parser)]
#[command(name = "tower-redis-session", version, after_help = ENVIRONMENT)]
pub(super) struct Arguments {
    /// Print JSON: one object, or for a list one object a line
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check that each server is reachable and usable, as the service does at its start
    ///
    /// With Redis every command and script that sessions need is sent once, in keys of their own
    /// that are removed again. Warnings are findings: exit code 1.
    Check,
    /// Print the SQL that the configured database still needs, or apply it
    ///
    /// The SQL is one transaction. If the tables are current, only the right to read trs_migrations
    /// is needed.
    Schema {
        /// Create or migrate the tables
        #[arg(long)]
        apply: bool,
        /// Print the SQL for an empty database, without a connection
        #[arg(long, conflicts_with = "apply")]
        all: bool,
    },
    /// Print the state of each server, and with a database behind Redis that of the copies
    ///
    /// Changes nothing. The exit code is 3 if a server is unavailable, 5 if its tables are missing
    /// or of another version.
    Status,
    /// Examine the stored data, and try every function and the fallback with sessions of its own
    ///
    /// Reads all keys and rows, or a sample, and compares indexes, records and copies. Sessions of
    /// its own belong to a user that does not exist, and are deleted at the end, also after SIGINT.
    /// Each finding is named, with examples and what to do; exit code 1. To be run while the
    /// service runs, with its exact variables.
    Validate(Validate),
    /// Count, list, show and end sessions
    #[command(subcommand)]
    Sessions(Sessions),
    /// Delete what has ended and is not needed any more
    ///
    /// Services do this by themselves while they write to the database; in Redis keys expire.
    Purge,
    /// Copy all sessions to another store, while a service uses the source or not
    ///
    /// A run copies what the target lacks, and ends in the target what has ended in the source
    /// since it was copied. It can be interrupted and repeated at any time. Run it while the
    /// service is in use, until a run has little to do; stop the service; run it once more; start
    /// the service on the target. What was used in the target is never overwritten.
    Migrate(Migrate),
}

#[derive(Debug, Args)]
pub(super) struct Migrate {
    /// The variables of the source, NAME=VALUE a line; the environment by default
    #[arg(long, value_name = "FILE", required_unless_present = "to")]
    pub(super) from: Option<PathBuf>,
    /// The variables of the target, NAME=VALUE a line; the environment by default
    #[arg(long, value_name = "FILE")]
    pub(super) to: Option<PathBuf>,
    /// What was copied: keep it from the first run to the last; public ids, and no secret
    #[arg(long, value_name = "FILE", default_value = "tower-redis-session.migration")]
    pub(super) state: PathBuf,
    /// Change nothing, and print what a run would do
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Copy again what was copied and is no longer in the target, which lost its data; also what
    /// was ended there
    #[arg(long)]
    pub(super) copy_missing: bool,
    /// Sign users out in the target even if the source has lost most of the sessions
    #[arg(long)]
    pub(super) end_most: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Sessions {
    /// Count live sessions, signed in or not, and those that have expired and are still stored
    Count {
        /// Only sessions of this user
        #[arg(long, value_parser = NonEmptyStringValueParser::new(), allow_hyphen_values = true)]
        user: Option<String>,
    },
    /// List live sessions: of a user the latest sign-in first, else in no order
    List(List),
    /// Show one session: times, user, device, names and sizes of its values
    Show {
        /// Public id of the session
        #[arg(allow_hyphen_values = true)]
        id: SessionId,
        /// Print the values too; those of a sealed session cannot be read
        #[arg(long)]
        values: bool,
    },
    /// End one session, in all instances
    Revoke {
        /// Public id of the session
        #[arg(allow_hyphen_values = true)]
        id: SessionId,
    },
    /// End all sessions of a user, in all instances; a sign-in in progress fails
    RevokeUser {
        /// The user, as the application names it
        #[arg(value_parser = NonEmptyStringValueParser::new(), allow_hyphen_values = true)]
        user: String,
    },
    /// End every session of every user and visitor, in all instances
    ///
    /// Ends all sessions that exist when it starts, also those that move to another id in the
    /// meantime. Sessions that begin while it runs may end too.
    RevokeAll {
        /// Confirm that all users are to be signed out
        #[arg(long, required = true)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct Validate {
    /// Examine about that many keys and that many rows; ids are hashes, so it is a random sample
    #[arg(long, value_name = "NUMBER")]
    pub(super) sample: Option<u64>,
    /// Shortest idle timeout of a session, if it is not SESSION_IDLE_TIMEOUT: a listed session that
    /// is younger and gone is a finding
    #[arg(long, value_name = "SECONDS")]
    pub(super) idle_timeout: Option<u64>,
    /// Try no function: create no session
    #[arg(long)]
    pub(super) read_only: bool,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only sessions of this user
    #[arg(long, value_parser = NonEmptyStringValueParser::new(), allow_hyphen_values = true)]
    pub(super) user: Option<String>,
    /// At most that many
    #[arg(long, default_value_t = 100)]
    pub(super) limit: usize,
    /// Without a limit
    #[arg(long, conflicts_with = "limit")]
    pub(super) all: bool,
    /// Print values too; those of a sealed session cannot be read
    #[arg(long)]
    pub(super) values: bool,
}

impl List {
    pub(super) fn limit(&self) -> usize {
        if self.all { usize::MAX } else { self.limit }
    }
}
