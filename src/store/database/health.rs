//! Whether the database answers, as far as requests have noticed.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, ErrorKind};

/// Failures in a row from which it does not.
const PATIENCE: u32 = 3;

#[derive(Debug, Default)]
pub(super) struct Health(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    last_cause: Option<Error>,
}

impl Health {
    /// A request was answered, or was not.
    pub(super) fn said(&self, error: Option<&Error>) {
        let away = |error: &&Error| {
            matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Misconfigured)
        };
        let mut state = self.state();
        match error.filter(away) {
            None => state.failures = 0,
            Some(error) => {
                state.failures = state.failures.saturating_add(1);
                state.last_cause = Some(error.clone());
            }
        }
    }

    pub(super) fn answers(&self) -> bool {
        self.state().failures < PATIENCE
    }

    pub(super) fn last_cause(&self) -> Option<String> {
        self.state().last_cause.as_ref().map(ToString::to_string)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_failures_in_a_row_and_no_bad_record_mean_that_it_does_not_answer() {
        let health = Health::default();
        let (down, corrupt) =
            (Error::unavailable("down"), Error::new(ErrorKind::Corrupt, "not a record"));
        for error in [&down, &down, &corrupt, &down, &down] {
            health.said(Some(error));
            assert!(health.answers());
        }
        health.said(Some(&down));
        assert!(!health.answers() && health.last_cause().is_some());
        health.said(None);
        assert!(health.answers());
    }
}
