//! What the handlers share.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_redis_session::{RedisSessionLayer, limiter::SignInLimiter, session_api::SessionApi};

use crate::{
    captions::{Captioner, tasks::Tasks},
    data::{Data, People, passwords::Passwords},
    pages::templates::Pages,
    sessions::outage::Outage,
};

/// Each writes to the disk while it arrives.
const UPLOADS_AT_ONCE: usize = 16;
const STREAMS_AT_ONCE: usize = 256;
/// For the database, at the end.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// The server's parts.
pub(crate) struct App {
    pub(crate) pages: Pages,
    pub(crate) data: Data,
    /// The same data, from the cache where there is one.
    pub(crate) people: People,
    pub(crate) passwords: Passwords,
    /// Wrong passwords, by account and by network; in the store of the sessions.
    pub(crate) attempts: SignInLimiter,
    pub(crate) tasks: Tasks,
    pub(crate) sessions: RedisSessionLayer,
    pub(crate) session_api: SessionApi,
    pub(crate) outage: Option<Outage>,
    pub(crate) uploads: Semaphore,
    pub(crate) streams: Arc<Semaphore>,
    /// Ends the streams, so that nobody waits for them.
    pub(crate) ending: CancellationToken,
}

impl App {
    pub(crate) fn new(
        data: Data,
        people: People,
        captioner: Box<dyn Captioner>,
        sessions: RedisSessionLayer,
        outage: Option<Outage>,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let tasks = Tasks::new(data.clone(), captioner);
        tasks.watch();
        Ok(Self {
            pages: Pages::new()?,
            tasks,
            data,
            people,
            passwords: Passwords::new().map_err(|error| error.to_string())?,
            attempts: sessions.sign_in_limiter().build()?,
            sessions,
            session_api: SessionApi::new().interval(std::time::Duration::from_secs(1)),
            outage,
            uploads: Semaphore::new(UPLOADS_AT_ONCE),
            streams: Arc::new(Semaphore::new(STREAMS_AT_ONCE)),
            ending: CancellationToken::new(),
        })
    }

    /// Before the server waits for its connections: streams would hold it up.
    pub(crate) fn end_streams(&self) {
        self.session_api.end_streams();
        self.ending.cancel();
    }

    /// After it has.
    pub(crate) async fn shutdown(&self) {
        self.tasks.shutdown().await;
        // Requests are over, but a commit whose client left early may still be on its way.
        self.sessions.shutdown().await;
        if tokio::time::timeout(PATIENCE, self.data.close()).await.is_err() {
            tracing::warn!("database connections not closed in time");
        }
        if let Some(outage) = &self.outage {
            outage.shutdown().await;
        }
    }
}
