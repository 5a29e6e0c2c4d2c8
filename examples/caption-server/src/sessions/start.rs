//! The session store at the start: its tables, and whether it will do.

use std::{error::Error, time::Duration};

use tower_redis_session::{Error as SessionError, ErrorKind, RedisSessionLayer};

use crate::with_causes;

/// A store that is down is no reason not to start: it may come back, and until then people get a
/// page that says so. One that can never work is told at once.
pub(crate) async fn check(sessions: &RedisSessionLayer) -> Result<(), Box<dyn Error>> {
    match prepare(sessions).await {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::Unavailable => {
            let error = with_causes(&error);
            tracing::warn!(error, "the session store cannot be reached; starting without it");
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
            tracing::error!(error = with_causes(&error), "the session store will not do");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    tracing::info!("the session store is there");
}

async fn prepare(sessions: &RedisSessionLayer) -> Result<(), SessionError> {
    sessions.migrate().await?;
    sessions.check().await
}
