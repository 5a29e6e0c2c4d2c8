//! Duration and span of a call of the database.

use std::future::Future;

use crate::{
    error::Error,
    store::database::{
        engine::Engine,
        failure::fault,
        write::{Executed, Failed},
    },
    telemetry::{
        in_span::SpanExt as _,
        instruments::{Stopwatch, System},
    },
};

impl Engine {
    pub(super) const fn system(&self) -> System {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => System::Sqlite,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => System::Postgresql,
        }
    }

    /// A statement that reads.
    pub(super) async fn select<T>(
        &self,
        read: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let (watch, command) = (Stopwatch::start(), || "SELECT".as_bytes());
        let result = read.in_span(self.system().span(command)).await;
        watch.call(self.system(), command, result.as_ref().err().map(fault));
        result
    }

    /// A transaction of several writes.
    pub(super) async fn batch(
        &self,
        write: impl Future<Output = Result<Executed, Failed>>,
    ) -> Result<Executed, Failed> {
        let (watch, command) = (Stopwatch::start(), || "BATCH".as_bytes());
        let result = write.in_span(self.system().span(command)).await;
        let failed = result.as_ref().err().map(|failed| fault(failed.fault.error()));
        watch.call(self.system(), command, failed);
        result
    }
}
