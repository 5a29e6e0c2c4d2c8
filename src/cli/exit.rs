//! Exit codes, and errors by exit code.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use serde_json::json;

use crate::error::{Causes, ConfigError, Error, ErrorKind};

/// The exit code of the process; documented in the help text and in `docs/command-line.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Exit {
    Done,
    Finding,
    Usage,
    Unavailable,
    Configuration,
    Unusable,
    Interrupted,
}

impl Exit {
    pub(super) fn of(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::Unavailable => Self::Unavailable,
            ErrorKind::Misconfigured => Self::Unusable,
            _ => Self::Finding,
        }
    }

    /// The word for an error with this code in JSON.
    pub(super) const fn kind(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Finding => "finding",
            Self::Usage => "usage",
            Self::Unavailable => "unavailable",
            Self::Configuration => "configuration",
            Self::Unusable => "unusable",
            Self::Interrupted => "interrupted",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Finding => 1,
            Exit::Usage => 2,
            Exit::Unavailable => 3,
            Exit::Configuration => 4,
            Exit::Unusable => 5,
            // As a shell reports it for SIGINT.
            Exit::Interrupted => 130,
        })
    }
}

/// Why a command has no result.
#[derive(Debug)]
pub(super) enum Failure {
    Configuration(ConfigError),
    Store(Error),
    System(io::Error),
}

impl Failure {
    /// Prints the error on standard error.
    pub(super) fn report(&self, json: bool) -> Exit {
        let (exit, text) = match self {
            // The reader has what it wanted: `list | head`.
            Self::System(error) if error.kind() == io::ErrorKind::BrokenPipe => return Exit::Done,
            Self::System(error) => (Exit::Finding, error.to_string()),
            Self::Configuration(error) => (Exit::Configuration, error.to_string()),
            Self::Store(error) => (Exit::of(error), Causes(error).to_string()),
        };
        let line = match (json, self) {
            (true, Self::Configuration(error)) => {
                let setting = error.setting();
                let error = json!({ "kind": exit.kind(), "text": text, "setting": setting });
                json!({ "error": error }).to_string()
            }
            (true, _) => json!({ "error": { "kind": exit.kind(), "text": text } }).to_string(),
            (false, _) => format!("error: {text}"),
        };
        complain(&line);
        exit
    }
}

/// A line on standard error, which may be closed.
pub(super) fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Configuration(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}
