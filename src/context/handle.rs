//! The handle that a handler finds in the request extensions.

use std::{fmt, sync::Arc};

use crate::{
    error::{Error, ErrorKind},
    request::{
        RequestSession,
        commit::Applied,
        state::{Held, Presence, Stage, State},
    },
    session::{changes::Changes, record::Record, token::SessionId},
};

/// The session of one request.
///
/// Cheap to clone; clones share one session. Lazy: the first method that needs the record loads it,
/// in one round trip, once. A request that calls no method costs nothing. `insert`, `remove` and
/// similar methods buffer their changes: later reads in this request see them, and they are stored
/// before the response head is sent. If two requests of a session overlap, both keep their changes,
/// key by key.
///
/// ```
/// use http::{Request, Response};
/// use tower_redis_session::{Error, SessionContext};
///
/// async fn visits(request: Request<()>) -> Result<Response<String>, Error> {
///     let session = SessionContext::from_extensions(request.extensions())?;
///     let visits: u32 = session.update("visits", |visits| visits.unwrap_or(0) + 1).await?;
///     Ok(Response::new(format!("visit {visits}")))
/// }
/// # let (response, _) = tower_redis_session::testing::run(None, visits);
/// # assert_eq!(response.into_body(), "visit 1");
/// ```
///
/// # Errors
///
/// Every method that needs the session can fail with
///
/// - `Unavailable`: the store did not respond in time; the state is unknown, and the cookie stays,
/// - `Misconfigured`: the store is reachable, but not as configured,
/// - `Unsupported`: a newer version of this crate wrote the session,
/// - `Closed`: the response has been sent.
///
/// Other errors are listed at the method.
#[derive(Clone)]
pub struct SessionContext {
    pub(crate) session: Arc<RequestSession>,
}

impl SessionContext {
    pub(crate) fn new(session: Arc<RequestSession>) -> Self {
        Self { session }
    }

    /// The session of a request, from its extensions: `request.extensions()` of `http`, hyper,
    /// tonic and others. With axum it is an argument of the handler (feature `axum`).
    ///
    /// # Errors
    ///
    /// `Invalid`, a 500, if the session layer is not around this service.
    ///
    /// ```
    /// # use http::Request;
    /// # use tower_redis_session::{ErrorKind, SessionContext};
    /// let request = Request::new("no layer");
    /// let error = SessionContext::from_extensions(request.extensions()).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Invalid);
    /// ```
    pub fn from_extensions(extensions: &http::Extensions) -> Result<Self, Error> {
        let missing = || Error::new(ErrorKind::Invalid, "the session layer is missing");
        extensions.get().cloned().ok_or_else(missing)
    }

    /// The public id of the session in the store; `None` without a session, and for a new one until
    /// it is stored. Never the secret in the cookie.
    ///
    /// # Errors
    ///
    /// Those of [every method](Self#errors).
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// assert_eq!(session.id().await?, None);
    /// session.insert("theme", "dark").await?;
    /// session.save().await?;
    /// assert!(session.id().await?.is_some());
    /// # Ok(()) });
    /// ```
    pub async fn id(&self) -> Result<Option<SessionId>, Error> {
        self.read(|state| state.base().map(|_| state.held.as_ref().map(Held::live_id))).await?
    }

    /// Stores buffered changes now, without waiting for the response. They stay stored even if the
    /// handler then fails.
    ///
    /// # Errors
    ///
    /// `Absent` if the session has ended in the meantime, `Moved` if it got another id, which
    /// another response brings to the client: the changes are dropped. `TooLarge` as in
    /// [`insert`](Self::insert). With `Unavailable` the changes may have been stored; they stay
    /// buffered.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.insert("step", &3).await?;
    /// session.save().await?;
    /// # Ok(()) });
    /// ```
    pub async fn save(&self) -> Result<(), Error> {
        let losses = self.read(|state| state.losses).await?;
        let applied = self.session.commit().await?;
        // Also if a concurrent save by another task found the session ended and dropped these
        // changes.
        let lost = self.session.state().losses != losses;
        match applied {
            Applied::Moved => Err(Error::moved()),
            Applied::Gone => Err(Error::ended()),
            Applied::Done if lost => Err(Error::ended()),
            Applied::Done => Ok(()),
        }
    }

    /// Whether the client sends its token in the `Authorization` header.
    pub(crate) fn is_asked_by_authorization(&self) -> bool {
        *self.session.backend.rules.transport.request_header() == http::header::AUTHORIZATION
    }

    /// Keeps `value` until the request ends.
    pub(crate) fn remember<T: Send + Sync + 'static>(&self, value: T) -> Arc<T> {
        let value = Arc::new(value);
        self.session.remember(Arc::clone(&value) as _);
        value
    }

    /// A kept value of type `T` for which `is_it` returns true.
    pub(crate) fn remembered<T: Send + Sync + 'static>(
        &self,
        is_it: impl Fn(&T) -> bool,
    ) -> Option<Arc<T>> {
        self.session.remembered().into_iter().find_map(|kept| {
            let kept = kept.downcast::<T>().ok()?;
            is_it(&kept).then_some(kept)
        })
    }

    /// Reads from the loaded session.
    pub(crate) async fn read<R>(&self, ask: impl FnOnce(&mut State) -> R) -> Result<R, Error> {
        self.session.load().await?;
        let mut state = self.session.state();
        // The response may have ended while the record was loading.
        if state.stage == Stage::Closed {
            return Err(Error::closed());
        }
        Ok(ask(&mut state))
    }

    /// Applies a change to the record, unless the record would exceed its maximum size.
    pub(crate) async fn change(&self, change: impl FnOnce(&mut Changes)) -> Result<(), Error> {
        let backend = &self.session.backend;
        let change = |state: &mut State| {
            state.writable()?;
            state.change(backend, change)
        };
        self.read(change).await?
    }

    /// The loaded record, or the error that explains why there is none.
    pub(crate) async fn record(&self) -> Result<Arc<Record>, Error> {
        self.read(|state| match (&state.held, &state.presence) {
            (Some(held), _) => Ok(Arc::clone(&held.record)),
            (None, Presence::Expired) => {
                Err(Error::new(ErrorKind::Expired, "the session has expired"))
            }
            (None, Presence::Unreadable(error)) => Err(error.clone()),
            (None, Presence::Ambiguous) => Err(Error::new(
                ErrorKind::Ambiguous,
                "the request has several live session cookies",
            )),
            (None, Presence::Absent | Presence::Alive | Presence::Moved) => Err(Error::absent()),
        })
        .await?
    }
}

impl fmt::Debug for SessionContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionContext").field("session", &self.session).finish()
    }
}
