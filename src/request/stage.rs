//! Stage of a response, readable without a lock.

use std::sync::atomic::{AtomicU8, Ordering};

/// Stage of the response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// The handler runs.
    #[default]
    Open,
    /// The head is sent: the cookie can no longer be changed.
    Streaming,
    /// The response is over, or was never created.
    Closed,
}

/// The stage of a request, readable without a lock.
#[derive(Debug, Default)]
pub(crate) struct AtomicStage(AtomicU8);

impl AtomicStage {
    pub(crate) fn get(&self) -> Stage {
        match self.0.load(Ordering::Acquire) {
            0 => Stage::Open,
            1 => Stage::Streaming,
            _ => Stage::Closed,
        }
    }

    pub(crate) fn set(&self, stage: Stage) {
        let number = match stage {
            Stage::Open => 0,
            Stage::Streaming => 1,
            Stage::Closed => 2,
        };
        self.0.store(number, Ordering::Release);
    }
}
