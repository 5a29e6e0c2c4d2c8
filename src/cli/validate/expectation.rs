//! What a function of a store should do, and what it did instead.

use crate::{
    cli::validate::interrupt::Interrupted,
    error::{Causes, Error},
    session::record::Record,
    store::SaveOutcome,
};

/// Result of one function.
pub(super) type Done = Result<(), Fault>;

/// Why a function is not done.
pub(super) enum Fault {
    Interrupted,
    Text(String),
    Store(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl From<Interrupted> for Fault {
    fn from(_: Interrupted) -> Self {
        Self::Interrupted
    }
}

/// Why a trial ended early: a fault, and the name of the function.
pub(super) enum Failed {
    Interrupted,
    /// What the function did instead.
    Function(&'static str, String),
    /// The store did not do it.
    Store(&'static str, Error),
}

/// Adds the name of a function to those that are done, or to its fault.
pub(super) fn note<T>(
    done: &mut Vec<&'static str>,
    name: &'static str,
    result: Result<T, Fault>,
) -> Result<T, Failed> {
    let result = result.map_err(|fault| match fault {
        Fault::Interrupted => Failed::Interrupted,
        Fault::Text(text) => Failed::Function(name, text),
        Fault::Store(error) => Failed::Store(name, error),
    })?;
    done.push(name);
    Ok(result)
}

/// The store may return a later activity.
pub(super) fn is_same(found: &Record, stored: &Record) -> bool {
    found.version == stored.version
        && found.writer == stored.writer
        && found.says_the_same_as(stored)
}

pub(super) fn saved(outcome: &SaveOutcome) -> Done {
    match outcome {
        SaveOutcome::Saved => Ok(()),
        other => Err(unexpected("the write", other)),
    }
}

pub(super) fn expect(holds: bool, text: &'static str) -> Done {
    if holds { Ok(()) } else { Err(Fault::Text(text.to_owned())) }
}

pub(super) fn gone() -> Fault {
    Fault::Text("the session is gone".to_owned())
}

pub(super) fn unexpected(what: &str, outcome: &SaveOutcome) -> Fault {
    let outcome = match outcome {
        SaveOutcome::Saved => "was accepted".to_owned(),
        SaveOutcome::Conflict(_) => "met another version".to_owned(),
        SaveOutcome::Gone => "met no session".to_owned(),
        SaveOutcome::IdInUse => "met an id in use, or came too late".to_owned(),
        SaveOutcome::Revoked => "met a revocation".to_owned(),
        SaveOutcome::Unknown(error) => format!("has no known outcome: {}", Causes(error)),
    };
    Fault::Text(format!("{what} {outcome}"))
}
