//! Credentials of a server by a function, for those that change while a service runs.

#![cfg_attr(
    not(feature = "redis"),
    allow(dead_code, reason = "a file has no credentials, and postgresql checks no expiry")
)]

use std::{
    error::Error as StdError,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    error::{Error, ErrorKind},
    sync::carried::Carried,
};

/// How long a result is reused: connections that are opened together share one call, and a server
/// that rejects every password causes few.
const REUSED: Duration = Duration::from_millis(100);
/// How long a result waits for a caller: all of them may have a shorter timeout than the function
/// takes, and would otherwise start it again and again.
const KEPT: Duration = Duration::from_secs(60);
/// Timeout of a call.
const LIMIT: Duration = Duration::from_secs(10);

/// User name and password of a connection, as the function returns them that
/// [`RedisConfig::credentials`](crate::RedisConfig::credentials) or `DatabaseConfig::credentials`
/// received. The password is redacted in `Debug`.
///
/// ```
/// use std::time::Duration;
/// use tower_redis_session::store::ServerCredentials;
///
/// let token = ServerCredentials::new("eyJ0..").expires_in(Duration::from_secs(900));
/// assert!(!format!("{token:?}").contains("eyJ0"));
/// ```
#[derive(Clone)]
#[must_use]
pub struct ServerCredentials {
    username: Option<String>,
    password: String,
    expires_in: Option<Duration>,
}

impl ServerCredentials {
    /// A password or token. The user name is that of the configuration.
    ///
    /// ```
    /// # use tower_redis_session::store::ServerCredentials;
    /// let credentials = ServerCredentials::new("secret");
    /// # drop(credentials);
    /// ```
    pub fn new(password: impl Into<String>) -> Self {
        Self { username: None, password: password.into(), expires_in: None }
    }

    /// The user. Defaults to that of the configuration.
    ///
    /// ```
    /// # use tower_redis_session::store::ServerCredentials;
    /// let credentials = ServerCredentials::new("secret").username("sessions-2");
    /// # drop(credentials);
    /// ```
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// How long they are valid, from the return of the function. An open connection to Redis calls
    /// the function again when three quarters of that time have passed, and authenticates with the
    /// result; PostgreSQL checks credentials only when a connection is opened. Defaults to no
    /// expiry.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_redis_session::store::ServerCredentials;
    /// let token = ServerCredentials::new("eyJ0..").expires_in(Duration::from_secs(900));
    /// # drop(token);
    /// ```
    pub fn expires_in(mut self, time: Duration) -> Self {
        self.expires_in = Some(time);
        self
    }
}

impl fmt::Debug for ServerCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ServerCredentials");
        debug.field("username", &self.username).field("expires_in", &self.expires_in);
        debug.finish_non_exhaustive()
    }
}

/// What a call returned.
#[derive(Clone)]
pub(crate) struct Obtained {
    pub(crate) username: Option<String>,
    pub(crate) password: String,
    pub(crate) expires: Option<Instant>,
}

/// Why a call returned none.
type Fault = (ErrorKind, Arc<dyn StdError + Send + Sync>);
type Call = dyn Fn() -> Pin<Box<dyn Future<Output = Outcome> + Send>> + Send + Sync;
type Outcome = Result<ServerCredentials, Fault>;

/// The function. Clones share its calls.
#[derive(Clone)]
pub(crate) struct CredentialSource(Arc<Inner>);

struct Inner {
    call: Box<Call>,
    state: Mutex<State>,
    ended: Notify,
}

#[derive(Default)]
struct State {
    /// Start of the call in progress.
    started: Option<Instant>,
    last: Option<Last>,
}

impl State {
    /// Start of the call in progress. One may hang in a runtime that is not driven.
    fn in_progress(&self) -> Option<Instant> {
        self.started.filter(|started| started.elapsed() < LIMIT)
    }
}

/// The last result.
struct Last {
    at: Instant,
    result: Result<Obtained, Fault>,
    /// Whether a caller has received it.
    is_received: bool,
}

impl Last {
    fn is_usable(&self) -> bool {
        let is_kept = self.result.as_ref().is_ok_and(|given| {
            !self.is_received
                && self.at.elapsed() < KEPT
                && given.expires.is_none_or(|expires| expires > Instant::now())
        });
        is_kept || self.at.elapsed() < REUSED
    }
}

impl CredentialSource {
    pub(crate) fn new<F, R, E>(source: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<ServerCredentials, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let call = move || -> Pin<Box<dyn Future<Output = Outcome> + Send>> {
            let credentials = source();
            Box::pin(async move { credentials.await.map_err(|cause| typed(cause.into())) })
        };
        let (state, ended) = Default::default();
        Self(Arc::new(Inner { call: Box::new(call), state, ended }))
    }

    /// Credentials for a connection that is being opened, or is about to lose its own. `server` is
    /// its name in an error.
    ///
    /// Cancellation safety: a call that has started runs to its end, and its result is kept for the
    /// next caller; a call that is slower than every caller would never return one otherwise.
    pub(crate) async fn obtain(&self, server: &str) -> Result<Obtained, Error> {
        self.obtained().await.map_err(|(kind, cause)| {
            Error::new(kind, format!("the function for the {server} credentials failed"))
                .with_source(cause)
        })
    }

    /// Whether a call is in progress.
    pub(crate) fn is_called(&self) -> bool {
        self.0.state().in_progress().is_some()
    }

    async fn obtained(&self) -> Result<Obtained, Fault> {
        loop {
            let mut ended = std::pin::pin!(self.0.ended.notified());
            let _ = ended.as_mut().enable();
            let started = {
                let mut state = self.0.state();
                if let Some(last) = state.last.as_mut().filter(|last| last.is_usable()) {
                    last.is_received = true;
                    return last.result.clone();
                }
                state.in_progress().map_or_else(|| Err(Turn::start(&self.0, &mut state)), Ok)
            };
            match started {
                Err(turn) => {
                    let result = Carried::new(turn.call()).await;
                    if let Some(last) = &mut self.0.state().last {
                        last.is_received = true;
                    }
                    return result;
                }
                Ok(started) => {
                    let _ = timeout_at(started + LIMIT, ended).await;
                }
            }
        }
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The call in progress, until it is dropped.
struct Turn {
    inner: Arc<Inner>,
    started: Instant,
}

impl Turn {
    fn start(inner: &Arc<Inner>, state: &mut State) -> Self {
        let started = Instant::now();
        state.started = Some(started);
        Self { inner: Arc::clone(inner), started }
    }

    async fn call(self) -> Result<Obtained, Fault> {
        let called = timeout(LIMIT, (self.inner.call)()).await;
        let outcome = called.unwrap_or_else(|_| Err(typed("it has not returned in 10 s".into())));
        let now = Instant::now();
        let result = outcome.map(|ServerCredentials { username, password, expires_in }| {
            let expires = expires_in.and_then(|time| now.checked_add(time));
            Obtained { username, password, expires }
        });
        self.ended(now, result.clone());
        result
    }

    fn ended(&self, at: Instant, result: Result<Obtained, Fault>) {
        self.inner.state().last = Some(Last { at, result, is_received: false });
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Without a result every caller that waits would call it again at once.
        if std::thread::panicking() {
            self.ended(Instant::now(), Err(typed("it panicked".into())));
        }
        let mut state = self.inner.state();
        // After a call that hung another one may have started.
        if state.started == Some(self.started) {
            state.started = None;
        }
        drop(state);
        self.inner.ended.notify_waiters();
    }
}

/// An error of this crate remains `Misconfigured`. Other kinds may be about a session, which this
/// one is not: a `Corrupt` one is opened as no session.
fn typed(cause: Box<dyn StdError + Send + Sync>) -> Fault {
    let kind = cause.downcast_ref::<Error>().map(Error::kind);
    let kind = kind.filter(|kind| *kind == ErrorKind::Misconfigured);
    (kind.unwrap_or(ErrorKind::Unavailable), Arc::from(cause))
}

impl fmt::Debug for CredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialSource(..)")
    }
}

#[cfg(test)]
#[path = "credentials/tests.rs"]
mod tests;
