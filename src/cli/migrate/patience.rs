//! Repeats what failed while a server was unavailable: a failover is no reason to end a run.

use std::time::Duration;

use crate::error::{Error, ErrorKind};

/// Pauses between attempts.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(50),
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
];

/// The result of the first attempt that does not fail with `Unavailable`, or of the last one.
pub(super) async fn patiently<T>(
    mut attempt: impl AsyncFnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    for pause in PAUSES {
        match attempt().await {
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                tokio::time::sleep(pause).await;
            }
            result => return result,
        }
    }
    attempt().await
}
