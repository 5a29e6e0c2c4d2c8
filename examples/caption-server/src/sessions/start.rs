//! Start-up check of the session store, and creation of its tables.

use std::{error::Error, time::Duration};

use tower_redis_session::{Error as SessionError, ErrorKind, RedisSessionLayer};

use crate::with_causes;

/// An unavailable store does not prevent the start: it may recover, and until then clients get a
/// page that reports the outage. An unusable one is an error at once.
pub(crate) async fn check(sessions: &RedisSessionLayer) -> Result<(), Box<dyn Error>> {
    match prepare(sessions).await {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::Unavailable => {
            let error = with_causes(&error);
            tracing::warn!(error, "session store unavailable: starting without it");
            drop(tokio::spawn(prepare_later(sessions.clone())));
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// A database that comes up after the server has no tables yet.
async fn prepare_later(sessions: RedisSessionLayer) {
    while let Err(error) = prepare(&sessions).await {
        if error.kind() != ErrorKind::Unavailable {
            tracing::error!(error = with_causes(&error), "session store unusable");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    tracing::info!("session store available");
}

async fn prepare(sessions: &RedisSessionLayer) -> Result<(), SessionError> {
    sessions.migrate().await?;
    sessions.check().await
}
