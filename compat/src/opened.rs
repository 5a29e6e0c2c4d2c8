//! The `Session` of one request, and the store behind it. Compiled once for each version of
//! tower-sessions, whose types are in `theirs`.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use http::{Response, StatusCode, header::RETRY_AFTER};
use time::OffsetDateTime;
use tower_redis_session::{Error, Timestamp};

use super::theirs::{
    Expiry, Session, SessionStore,
    session::{self, Id, Record},
    session_store,
};
use crate::{
    bridge::{Bridge, Write},
    lifetime::Lifetime,
};

/// The `Session` of one request, until its response.
pub(super) struct Opened {
    pub(super) session: Session,
    store: Arc<Store>,
}

impl Opened {
    pub(super) async fn new(bridge: Bridge, expiry: Option<Expiry>) -> Self {
        let id = bridge.opened_id(|| Id::default().0).await.map(Id);
        let store = Arc::new(Store {
            bridge,
            session: Mutex::new(None),
            first_expiry: expiry,
            expiry: Mutex::new(expiry),
            with_response: AtomicBool::new(false),
        });
        let session = Session::new(id, Arc::clone(&store), expiry);
        *lock(&store.session) = Some(session.clone());
        Self { session, store }
    }

    /// Hands the changes to the layer around this one, which stores them before the head is sent.
    pub(super) async fn close<B: Default>(self, mut response: Response<B>) -> Response<B> {
        if self.session.is_modified() {
            let written = if self.session.is_empty().await {
                // Whatever the status: a flush is final at once.
                self.store.end_emptied().await
            } else if response.status().is_server_error() {
                Ok(())
            } else {
                self.store.with_response.store(true, Ordering::Release);
                let written = self.session.save().await;
                self.store.with_response.store(false, Ordering::Release);
                written
            };
            if let Err(error) = written {
                // Fails closed: a change that is not stored is never reported as stored.
                tracing::error!(error = %error, "session changes rejected");
                response = failure();
            }
        }
        if response.status() == StatusCode::INTERNAL_SERVER_ERROR
            && let Some(error) = self.store.bridge.outage()
        {
            *response.status_mut() = error.status();
            let wait = error.retry_after().map_or(1, |wait| wait.as_secs().max(1));
            let _ = response.headers_mut().insert(RETRY_AFTER, wait.into());
        }
        response
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // The two hold each other.
        *lock(&self.store.session) = None;
    }
}

/// The store behind the `Session` of one request.
struct Store {
    bridge: Bridge,
    /// While the handler runs.
    session: Mutex<Option<Session>>,
    /// The lifetime of new sessions.
    first_expiry: Option<Expiry>,
    /// The lifetime that was applied last.
    expiry: Mutex<Option<Expiry>>,
    /// The handler is done: the layer stores what is buffered.
    with_response: AtomicBool,
}

impl Store {
    async fn write(&self, record: &mut Record, creates: bool) -> Result<(), Error> {
        let wanted = lock(&self.session).as_ref().map(Session::expiry);
        let wanted = wanted.filter(|wanted| *wanted != *lock(&self.expiry));
        let write = Write {
            creates,
            lifetime: wanted.map(lifetime),
            first_lifetime: self.first_expiry.map(Some).map(lifetime),
        };
        self.bridge.write(&record.data, write).await?;
        if let Some(wanted) = wanted {
            *lock(&self.expiry) = wanted;
        }
        if !self.with_response.load(Ordering::Acquire) {
            self.bridge.save().await?;
            record.id = self.bridge.id().await?.map_or(record.id, Id);
        }
        Ok(())
    }

    /// Whether `Session::cycle_id` is calling: it takes the id out of the `Session` first.
    fn cycles(&self) -> bool {
        lock(&self.session).as_ref().is_some_and(|session| session.id().is_none())
    }

    async fn end_emptied(&self) -> Result<(), session::Error> {
        Ok(self.bridge.end_emptied().await.map_err(|error| self.failed(&error))?)
    }

    fn failed(&self, error: &Error) -> session_store::Error {
        self.bridge.failed(error);
        session_store::Error::Backend(error.to_string())
    }
}

#[async_trait]
impl SessionStore for Store {
    async fn create(&self, record: &mut Record) -> session_store::Result<()> {
        self.write(record, true).await.map_err(|error| self.failed(&error))
    }

    async fn save(&self, record: &Record) -> session_store::Result<()> {
        self.write(&mut record.clone(), false).await.map_err(|error| self.failed(&error))
    }

    async fn load(&self, id: &Id) -> session_store::Result<Option<Record>> {
        let loaded = self.bridge.load().await.map_err(|error| self.failed(&error))?;
        let record = |(data, end)| Record { id: *id, data, expiry_date: date(end) };
        Ok(loaded.map(record))
    }

    async fn delete(&self, _: &Id) -> session_store::Result<()> {
        let deleted =
            if self.cycles() { self.bridge.renew().await } else { self.bridge.end().await };
        deleted.map_err(|error| self.failed(&error))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the `Session`, which prints its store.
        f.debug_struct("Store").field("bridge", &self.bridge).finish_non_exhaustive()
    }
}

fn lifetime(expiry: Option<Expiry>) -> Lifetime {
    match expiry {
        Some(Expiry::OnInactivity(idle)) => Lifetime::Idle(idle),
        Some(Expiry::AtDateTime(end)) => Lifetime::Until(end),
        Some(Expiry::OnSessionEnd) | None => Lifetime::Browser,
    }
}

fn date(time: Timestamp) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + std::time::Duration::from_millis(time.as_millis())
}

pub(super) fn failure<B: Default>() -> Response<B> {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `Session` and store hold each other while the handler runs.
    #[test]
    fn neither_a_response_nor_a_request_that_is_dropped_leaves_a_session_behind() {
        tower_redis_session::testing::handle(|context| async move {
            for responds in [true, false] {
                let opened = Opened::new(Bridge::new(context.clone(), None), None).await;
                let (store, session) = (Arc::downgrade(&opened.store), opened.session.clone());
                if responds {
                    session.insert("n", 1).await.unwrap();
                    drop(opened.close(Response::new(())).await);
                } else {
                    drop(opened);
                }
                assert!(store.upgrade().is_some(), "a task of the handler may have it still");
                drop(session);
                assert!(store.upgrade().is_none(), "responds: {responds}");
            }
            Ok(())
        });
    }
}
