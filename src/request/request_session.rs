//! One request's session: loaded at the first access, then kept here.

use std::{
    any::Any,
    fmt, mem,
    pin::pin,
    sync::{
        Arc, Mutex as StdMutex, MutexGuard as StdMutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{Method, Request, uri::PathAndQuery};
use tokio::sync::{Mutex, OnceCell};

use crate::{
    error::Error,
    request::{
        client::{ClientHead, DeviceConfig},
        cookie_echo::PlainClient,
        found::Found,
        header_lines::{Credentials, HeaderLines},
        place,
        shared::Backend,
        state::{AtomicStage, Held, Stage, State},
    },
    session::{
        changes::plan,
        device::Device,
        record::Touch,
        token::{SessionId, Token},
    },
    telemetry::{
        in_span::SpanExt as _,
        instruments::{Operation, Stopwatch},
    },
    transport::cookie::DomainPlace,
};

/// One request's session. The layer, the handler's handles, the response future and the body
/// share it.
pub(crate) struct RequestSession {
    pub(crate) backend: Arc<Backend>,
    pub(crate) credentials: Credentials,
    /// Path and query of the original request. Shares the bytes that the server has read.
    pub(crate) asked: Option<PathAndQuery>,
    /// The domain of its cookie.
    pub(crate) domain: DomainPlace,
    client_head: Option<Box<ClientHead>>,
    pub(crate) is_head: bool,
    pub(crate) plain_client: PlainClient,
    /// What the signature of another library's cookie includes.
    pub(super) old_signed_parts: Option<Box<str>>,
    /// Hashed when they are first asked for, which is no access.
    pub(super) presented: OnceLock<Vec<(SessionId, Token)>>,
    stage: AtomicStage,
    /// Created on first access: a request without one is small, and takes no lock.
    accessed: OnceLock<Box<Accessed>>,
}

/// State of a request that accesses its session.
#[derive(Default)]
pub(crate) struct Accessed {
    /// Set by the first load; an error is kept: a request waits for an unreachable store once.
    pub(crate) loaded: OnceCell<Result<(), Error>>,
    /// Whether there was a token to load.
    asked_store: AtomicBool,
    /// One store operation of this request at a time.
    pub(crate) operation_lock: Mutex<()>,
    state: StdMutex<State>,
    /// Values that the request remembers for later calls.
    kept: StdMutex<Vec<Kept>>,
}

pub(crate) type Kept = Arc<dyn Any + Send + Sync>;

impl RequestSession {
    pub(crate) fn new<B>(backend: Arc<Backend>, request: &Request<B>) -> Arc<Self> {
        let (headers, rules) = (request.headers(), &backend.rules);
        let credentials =
            Credentials::Lines(HeaderLines::of(headers, rules.transport.request_header()));
        let capture = |devices: &DeviceConfig| devices.capture(headers, request.extensions());
        let client_head = rules.devices.as_ref().map(|devices| Box::new(capture(devices)));
        let asked = place::outermost(request.uri().path_and_query(), request.extensions()).cloned();
        let domain = rules.transport.place_of(request);
        let plain_client = backend.cookie_echo.client(request);
        let is_head = request.method() == Method::HEAD;
        let old_signed_parts = rules
            .take_over
            .as_ref()
            .and_then(|rules| rules.library.signed_parts(headers, request.extensions()));
        let (stage, accessed) = (AtomicStage::default(), OnceLock::new());
        Arc::new(Self {
            backend,
            credentials,
            asked,
            domain,
            client_head,
            is_head,
            plain_client,
            old_signed_parts,
            presented: OnceLock::new(),
            stage,
            accessed,
        })
    }

    /// One call on a connection that outlives its request: the same session, loaded again. No
    /// response head is left to carry a cookie.
    pub(crate) fn of_connection(backend: Arc<Backend>, token: Token) -> Arc<Self> {
        let stage = AtomicStage::default();
        stage.set(Stage::Streaming);
        Arc::new(Self {
            backend,
            credentials: Credentials::Token(token),
            asked: None,
            domain: DomainPlace::default(),
            client_head: None,
            is_head: false,
            plain_client: PlainClient::default(),
            old_signed_parts: None,
            presented: OnceLock::new(),
            stage,
            accessed: OnceLock::new(),
        })
    }

    /// The client's device, if the layer records it.
    pub(crate) fn device(&self) -> Option<Arc<Device>> {
        self.backend.rules.devices.as_ref()?.device(self.client_head.as_ref()?)
    }

    pub(crate) fn accessed(&self) -> &Accessed {
        self.accessed.get_or_init(Box::default)
    }

    /// Whether the session was accessed at all.
    pub(crate) fn is_accessed(&self) -> bool {
        self.accessed.get().is_some()
    }

    /// Known state and buffered changes. Counts as access.
    pub(crate) fn state(&self) -> StdMutexGuard<'_, State> {
        // Nothing that can panic runs under this lock but arithmetic of this crate.
        let mut state = self.accessed().state.lock().unwrap_or_else(PoisonError::into_inner);
        state.stage = self.stage.get();
        state
    }

    pub(crate) fn remember(&self, value: Kept) {
        self.accessed().kept.lock().unwrap_or_else(PoisonError::into_inner).push(value);
    }

    pub(crate) fn remembered(&self) -> Vec<Kept> {
        self.accessed().kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether there is something to store.
    pub(crate) fn is_dirty(&self) -> bool {
        self.is_accessed() && self.stage.get() != Stage::Closed && self.state().is_dirty()
    }

    pub(crate) fn set_stage(&self, stage: Stage) {
        self.stage.set(stage);
    }

    /// Finds and loads the session, once; a second caller waits for the first.
    ///
    /// Cancellation safety: if the caller that loads is dropped, the next one loads.
    pub(crate) async fn load(&self) -> Result<(), Error> {
        if self.state().stage == Stage::Closed {
            return Err(Error::closed());
        }
        let loaded = &self.accessed().loaded;
        if let Some(result) = loaded.get() {
            return result.clone();
        }
        // The wait is bounded here, not in the load, so that it also bounds callers that wait for a
        // load of another task that is not polled.
        let load = pin!(async { loaded.get_or_init(|| self.load_now()).await.clone() });
        let watch = Stopwatch::start();
        let (result, start) = self.timed(Duration::ZERO, load).await;
        // Without a token there is nothing to load.
        if self.accessed().asked_store.load(Ordering::Relaxed) {
            watch.operation(Operation::Load, self.backend.store_name, result.as_ref().err());
        }
        if result.is_err() {
            let _ = loaded.set(result.clone());
        }
        let mut state = self.state();
        state.spent = state.spent.max(start.elapsed());
        result
    }

    /// Loads again, for a caller that needs the store's current state.
    pub(crate) async fn reload(&self) -> Result<(), Error> {
        let held = {
            let state = self.state();
            state
                .held
                .clone()
                .filter(|_| self.accessed().loaded.initialized() && state.stage != Stage::Closed)
        };
        // Without an id to load again, the first load's result is current.
        let Some(held) = held else { return self.load().await };
        let loaded = self.backend.store.load(&held.id).await;
        self.settle([Found::of(&self.backend, (held.id, held.token), loaded).await?])
    }

    pub(super) async fn load_now(&self) -> Result<(), Error> {
        let presented = self.presented();
        let ids: Vec<SessionId> = presented.iter().map(|(id, _)| *id).collect();
        let span = tracing::debug_span!("session_load", session.id = ids.first().map(display));
        let (store, echo) = (&self.backend.store, &self.backend.cookie_echo);
        if ids.is_empty() {
            let _ = echo.came_without(self.plain_client);
        } else {
            self.accessed().asked_store.store(true, Ordering::Relaxed);
            echo.came_back();
        }
        if self.backend.rules.transport.successor().is_some() {
            self.state().twins.extend(self.outdated());
        }
        match ids.as_slice() {
            [] => {}
            [id] => {
                let loaded = store.load(id).in_span(span).await;
                let Some(presented) = presented.first() else { return Ok(()) };
                self.settle([Found::of(&self.backend, presented.clone(), loaded).await?])?;
            }
            _ => {
                let loaded = store.load_many(&ids).in_span(span).await;
                let loaded = loaded.inspect_err(|error| {
                    self.backend.log_failure("session load failed", ids.first(), error);
                })?;
                let mut found = Vec::with_capacity(presented.len());
                for (presented, loaded) in presented.iter().zip(loaded) {
                    found.push(Found::of(&self.backend, presented.clone(), loaded).await?);
                }
                self.settle(found)?;
            }
        }
        if self.has_old_cookie() {
            // Boxed: rare, and the usual load stays small.
            return Box::pin(self.take_over()).await;
        }
        Ok(())
    }

    /// The activity of this request, if it counts and is due to be stored.
    pub(crate) fn due_use(&self) -> Option<(Held, Touch)> {
        // Not in one expression: the lock would be held for all of it.
        let used = self.state().used();
        used.and_then(|_| self.due_touch())
    }

    /// The activity that is due to be stored, if there is nothing else to store.
    pub(crate) fn due_touch(&self) -> Option<(Held, Touch)> {
        let held = self.state().held.clone()?;
        let (now, policy) = (self.backend.clock.now(), &self.backend.rules.policy);
        if held.record.deadlines.is_over(now) || held.heir.is_some() {
            return None;
        }
        let activity = plan::due_touch(&held.record, now, policy)?;
        Some((held, activity))
    }

    /// Closes the handle: changes that are not committed by now are dropped.
    pub(crate) fn close(&self) {
        self.set_stage(Stage::Closed);
        if !self.is_accessed() {
            return;
        }
        let mut state = self.state();
        let lost = mem::take(&mut state.changes);
        if !lost.is_empty() {
            tracing::debug!("session changes dropped with the response");
        }
    }
}

impl fmt::Debug for RequestSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Formatting is not an access.
        let id = self.is_accessed().then(|| self.state().held.as_ref().map(|held| held.id));
        f.debug_struct("RequestSession").field("id", &id.flatten()).finish_non_exhaustive()
    }
}
