//! The handle that a handler finds in the request extensions.

pub(crate) mod authentication;
pub(crate) mod devices;
pub(crate) mod login_attempt;
pub(crate) mod timing;

use std::{fmt, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::{Error, ErrorKind},
    request::{
        RequestSession,
        commit::Applied,
        state::{Presence, Stage, State},
    },
    session::{
        changes::Changes,
        json::{decode, encode},
        record::Record,
        token::SessionId,
        values::NAME_MAX,
    },
};

/// The session of one request.
///
/// Cheap to clone; clones are one session. Lazy: the first method that needs the record loads it,
/// in one round trip, once; a request that asks for nothing costs nothing. What `insert`, `remove`
/// and the like change is buffered, seen by this request at once, and stored before the head of
/// the response leaves; if two requests of a session overlap, both keep their changes, name by
/// name.
///
/// Every method can fail with `Unavailable` (the store did not answer; nothing is known and the
/// cookie stays) and `Closed` (the response is over). Where a method says nothing else, that is
/// all.
///
/// ```
/// use http::{Request, Response};
/// use tower_redis_session::{Error, SessionContext};
///
/// async fn visits(request: Request<()>) -> Result<Response<String>, Error> {
///     let session = request.extensions().get::<SessionContext>().unwrap();
///     let visits: u32 = session.update("visits", |visits| visits.unwrap_or(0) + 1).await?;
///     Ok(Response::new(format!("visit {visits}")))
/// }
/// # let (response, _) = tower_redis_session::testing::run(None, visits);
/// # assert_eq!(response.into_body(), "visit 1");
/// ```
#[derive(Clone)]
pub struct SessionContext {
    pub(crate) session: Arc<RequestSession>,
}

impl SessionContext {
    pub(crate) fn new(session: Arc<RequestSession>) -> Self {
        Self { session }
    }

    /// The public id of the session as the store has it; `None` if there is none, and for a new
    /// session until it is stored. Never the secret of the cookie.
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
        self.read(|state| state.base().map(|_| state.held.as_ref().map(|held| held.id))).await?
    }

    /// The value under `name`, decoded from JSON; `None` if there is none.
    ///
    /// # Errors
    ///
    /// `Value` if what is there is not a `T`.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.insert("theme", "dark").await?;
    /// assert_eq!(session.get::<String>("theme").await?.as_deref(), Some("dark"));
    /// assert_eq!(session.get::<u32>("visits").await?, None);
    /// # Ok(()) });
    /// ```
    pub async fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let json = self.read(|state| Ok(state.changes.get(state.base()?, name))).await??;
        json.map(|json| decode(&json)).transpose()
    }

    /// Puts `value` under `name`, as JSON. Buffered; an equal value is no change.
    ///
    /// # Errors
    ///
    /// `TooLarge` if the record would pass its bound, `Value` if `value` does not become JSON,
    /// `Invalid` for an empty name or one above 65,535 bytes, `Corrupt`, `Unsupported` and
    /// `Ambiguous` where there is something that must not be overwritten, `Closed` for a new
    /// session after the head. Nothing is changed then.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.insert("cart", &["tea", "milk"]).await?;
    /// assert_eq!(session.keys().await?, ["cart"]);
    /// # Ok(()) });
    /// ```
    pub async fn insert<T>(&self, name: &str, value: &T) -> Result<(), Error>
    where
        T: Serialize + ?Sized,
    {
        check_name(name)?;
        let json = encode(value)?;
        self.change(|changes| changes.insert(name, json)).await
    }

    /// Removes the value under `name`; answers whether there was one. Buffered.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.insert("theme", "dark").await?;
    /// assert!(session.remove("theme").await?);
    /// assert!(!session.remove("theme").await?);
    /// # Ok(()) });
    /// ```
    pub async fn remove(&self, name: &str) -> Result<bool, Error> {
        let remove = |state: &mut State| {
            let there = state.changes.get(state.base()?, name).is_some();
            if there {
                state.writable()?;
                state.changes.remove(name);
            }
            Ok(there)
        };
        self.read(remove).await?
    }

    /// Changes the value under `name` in the store, at once and atomically across all processes:
    /// `change` gets the value there and gives the new one, which is returned once it is stored.
    ///
    /// `change` runs again when somebody else was faster, so it should only compute. A change is
    /// never counted twice. It stays even if the handler then fails. After a buffered login or
    /// renewal everything buffered is stored with it.
    ///
    /// # Errors
    ///
    /// Those of [`insert`](Self::insert); `Absent` if the session ended meanwhile. With
    /// `Unavailable` the change may have happened.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// let count = |count: Option<u32>| count.unwrap_or(0) + 1;
    /// assert_eq!(session.update("count", count).await?, 1);
    /// assert_eq!(session.update("count", count).await?, 2);
    /// # Ok(()) });
    /// ```
    pub async fn update<T, F>(&self, name: &str, change: F) -> Result<T, Error>
    where
        T: Serialize + DeserializeOwned,
        F: FnMut(Option<T>) -> T,
    {
        check_name(name)?;
        self.session.update(name, change).await
    }

    /// The names of all values, in ascending order.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.insert("b", &1).await?;
    /// session.insert("a", &2).await?;
    /// assert_eq!(session.keys().await?, ["a", "b"]);
    /// # Ok(()) });
    /// ```
    pub async fn keys(&self) -> Result<Vec<String>, Error> {
        self.read(|state| Ok(state.changes.names(state.base()?))).await?
    }

    /// Removes all values; user, platform and id stay. A session that has nothing left ends.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.insert("cart", &["tea"]).await?;
    /// session.clear().await?;
    /// assert!(session.keys().await?.is_empty());
    /// # Ok(()) });
    /// ```
    pub async fn clear(&self) -> Result<(), Error> {
        let clear = |state: &mut State| {
            if state.base()?.is_none() && state.changes.is_empty() {
                return Ok(());
            }
            state.writable()?;
            state.changes.clear();
            Ok(())
        };
        self.read(clear).await?
    }

    /// Stores now what is buffered, without waiting for the response. It stays even if the
    /// handler then fails.
    ///
    /// # Errors
    ///
    /// `Absent` if the session ended meanwhile: the changes are dropped. `TooLarge` as in
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
        // Also if it was another task's save that met the end, and took what was buffered here.
        let lost = self.session.state().losses != losses;
        if applied == Applied::Gone || lost { Err(Error::ended()) } else { Ok(()) }
    }

    /// Whether the client sends its token in `Authorization`.
    pub(crate) fn is_asked_by_authorization(&self) -> bool {
        *self.session.backend.rules.transport.request_header() == http::header::AUTHORIZATION
    }

    /// Asks for something of the loaded session.
    pub(crate) async fn read<R>(&self, ask: impl FnOnce(&mut State) -> R) -> Result<R, Error> {
        self.session.load().await?;
        let mut state = self.session.state();
        // The response may have ended while the record was loaded.
        if state.stage == Stage::Closed {
            return Err(Error::closed());
        }
        Ok(ask(&mut state))
    }

    /// Changes something that has to go into a record, if the record stays within its bound.
    pub(crate) async fn change(&self, change: impl FnOnce(&mut Changes)) -> Result<(), Error> {
        let backend = &self.session.backend;
        let change = |state: &mut State| {
            state.writable()?;
            state.change(backend, change)
        };
        self.read(change).await?
    }

    /// The record, or why there is none.
    pub(crate) async fn record(&self) -> Result<Arc<Record>, Error> {
        self.read(|state| match (&state.held, &state.presence) {
            (Some(held), _) => Ok(Arc::clone(&held.record)),
            (None, Presence::Expired) => {
                Err(Error::new(ErrorKind::Expired, "the session's time is over"))
            }
            (None, Presence::Unreadable(error)) => Err(error.clone()),
            (None, Presence::Ambiguous) => {
                Err(Error::new(ErrorKind::Ambiguous, "several live session cookies came"))
            }
            (None, Presence::Absent | Presence::Alive) => Err(Error::absent()),
        })
        .await?
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    if name.is_empty() || name.len() > NAME_MAX {
        return Err(Error::new(ErrorKind::Invalid, "a name has 1 to 65,535 bytes"));
    }
    Ok(())
}

impl fmt::Debug for SessionContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionContext").field("session", &self.session).finish()
    }
}
