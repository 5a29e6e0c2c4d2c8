//! What a `Session` of tower-sessions does, on the handle of a request. Independent of the version
//! of tower-sessions.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use http::StatusCode;
use serde_json::Value;
use tower_redis_session::{Error, ErrorKind, SessionContext, SessionId, Timestamp};

use crate::{lifetime::Lifetime, user::UserPath};

/// The values of a session, as tower-sessions has them.
pub(crate) type Values = HashMap<String, Value>;

/// One request's session.
#[derive(Debug)]
pub(crate) struct Bridge {
    context: SessionContext,
    user: Option<UserPath>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The values as they were loaded, or written last: only what differs from them is written.
    known: Option<Values>,
    /// The session was ended, and no new one was created since.
    ended: bool,
    /// The id was cycled, and the session not written since.
    cycled: bool,
    /// The store did not serve this request.
    outage: Option<Error>,
}

/// What a write of the values has to store besides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Write {
    /// The `Session` has no id: it is new, or its id was cycled.
    pub(crate) creates: bool,
    /// The lifetime that the handler set.
    pub(crate) lifetime: Option<Lifetime>,
    /// That of a new session.
    pub(crate) first_lifetime: Option<Lifetime>,
}

impl Bridge {
    pub(crate) fn new(context: SessionContext, user: Option<UserPath>) -> Self {
        Self { context, user, state: Mutex::default() }
    }

    /// The id for a `Session`; `None` for a visitor. The first half of the public id that the
    /// client presents, not verified: nothing is loaded. Without one the session may still be in
    /// the handle: a layer further out has started it, or an old cookie opens it. `another` is for
    /// a session that has no id yet.
    pub(crate) async fn opened_id(&self, another: impl FnOnce() -> i128) -> Option<i128> {
        if let Some(id) = self.context.presented_id() {
            return Some(half(&id));
        }
        // No command where the request has no token. The response varies by the cookie from here
        // on: a `Session` does not say whether it was read.
        match self.id().await {
            Ok(Some(id)) => Some(id),
            Ok(None) if matches!(self.is_visitor().await, Ok(true)) => None,
            // Fails closed: the load by the `Session` fails too.
            Ok(None) | Err(_) => Some(another()),
        }
    }

    /// The public id of the stored session.
    pub(crate) async fn id(&self) -> Result<Option<i128>, Error> {
        Ok(self.context.id().await?.map(|id| half(&id)))
    }

    /// The values and the end of the session, if there is one. From the second call on the store
    /// is read again.
    pub(crate) async fn load(&self) -> Result<Option<(Values, Timestamp)>, Error> {
        let again = self.state().known.is_some();
        let checked = if again { self.context.validate().await } else { Ok(()) };
        let found = match checked {
            Ok(()) => self.context.snapshot().await.map(|snapshot| snapshot.expires_at),
            Err(error) => Err(error),
        };
        let unknown = Timestamp::from_millis(0);
        let loaded = match found {
            Ok(end) => Some((self.values().await?, end)),
            Err(error) => match error.kind() {
                ErrorKind::Absent | ErrorKind::Expired if self.is_visitor().await? => None,
                // Started in this request, and not stored yet.
                ErrorKind::Absent | ErrorKind::Expired => Some((self.values().await?, unknown)),
                // No session can be used: an empty one, which a flush ends and a sign-in replaces.
                ErrorKind::Ambiguous | ErrorKind::Corrupt => Some((Values::new(), unknown)),
                // Fails closed: an unreachable store is never treated as "no session".
                _ => return Err(error),
            },
        };
        let known = loaded.as_ref().map(|(values, _)| values.clone()).unwrap_or_default();
        self.state().known = Some(known);
        Ok(loaded)
    }

    /// Buffers what differs between `values` and the session as it was loaded.
    ///
    /// Cancellation safety: what is buffered when the caller is dropped is stored only if the
    /// response is a success, whose own write then adds the rest.
    pub(crate) async fn write(&self, values: &Values, write: Write) -> Result<(), Error> {
        if !write.creates && self.state().ended {
            // `Session::delete` is final: what the `Session` held before is not stored again.
            return Ok(());
        }
        let mut before = self.written_over(write.creates).await?;
        let is_new = write.creates && self.context.id().await?.is_none();
        let signs_in = self.sign(&mut before, values).await?;
        for name in before.keys().filter(|name| !values.contains_key(*name)) {
            let _ = self.context.remove(name).await?;
        }
        for (name, value) in values {
            if before.get(name) != Some(value) {
                self.context.insert(name, value).await?;
            }
        }
        let first = write.first_lifetime.filter(|_| is_new);
        if let Some(lifetime) = write.lifetime.or(first) {
            match lifetime.apply(&self.context, is_new || signs_in).await {
                // Nothing was stored, so there is no session.
                Err(error) if error.kind() == ErrorKind::Absent => {}
                applied => applied?,
            }
        }
        let mut state = self.state();
        state.known = Some(values.clone());
        state.ended &= !write.creates;
        state.cycled &= !write.creates;
        Ok(())
    }

    /// Stores what is buffered, without waiting for the response.
    pub(crate) async fn save(&self) -> Result<(), Error> {
        self.context.save().await
    }

    /// Gives the session a new id when it is stored.
    pub(crate) async fn renew(&self) -> Result<(), Error> {
        self.context.renew().await?;
        self.state().cycled = true;
        Ok(())
    }

    /// Ends a session whose values were flushed after its id was cycled: a `Session` has no id
    /// then, and does not call its store.
    pub(crate) async fn end_emptied(&self) -> Result<(), Error> {
        let emptied = {
            let state = self.state();
            state.cycled && state.known.as_ref().is_some_and(|known| !known.is_empty())
        };
        if emptied { self.end().await } else { Ok(()) }
    }

    /// Ends the session at once.
    pub(crate) async fn end(&self) -> Result<(), Error> {
        {
            let mut state = self.state();
            state.ended = true;
            state.known = Some(Values::new());
        }
        self.context.destroy().await
    }

    /// Remembers `error` if it is the store's; see [`outage`](Self::outage).
    pub(crate) fn failed(&self, error: &Error) {
        if error.status() == StatusCode::SERVICE_UNAVAILABLE {
            self.state().outage = Some(error.clone());
        }
    }

    /// The error of a store that did not serve this request.
    pub(crate) fn outage(&self) -> Option<Error> {
        self.state().outage.clone()
    }

    /// The values to compare with: those that are known, or those of the store.
    async fn written_over(&self, creates: bool) -> Result<Values, Error> {
        let known = self.state().known.clone();
        if let Some(known) = known {
            return Ok(known);
        }
        // A `Session` without an id has loaded nothing, and so removes nothing.
        let loaded = if creates { None } else { self.load().await? };
        Ok(loaded.map(|(values, _)| values).unwrap_or_default())
    }

    /// Whether the session of `user` continues with another value: a sign-in would revive it after
    /// a revocation, and restart its absolute timeout.
    ///
    /// # Errors
    ///
    /// `Absent` if it has ended, as this request knows: nothing may be stored in a new one.
    async fn continues(&self, path: &UserPath, before: &Values, user: &str) -> Result<bool, Error> {
        let same = path.user(before).is_ok_and(|before| before.as_deref() == Some(user));
        if !same || self.state().cycled {
            return Ok(false);
        }
        if self.context.user_id().await?.is_some() {
            return Ok(true);
        }
        if self.context.id().await?.is_none() && self.is_visitor().await? {
            return Err(Error::new(ErrorKind::Absent, "the session has ended"));
        }
        // The value is older than the path to the user, who signs in now.
        Ok(false)
    }

    /// Signs a user in or out, if the value that names the user differs. Returns whether a user
    /// signs in.
    async fn sign(&self, before: &mut Values, after: &Values) -> Result<bool, Error> {
        let Some(path) = self.user.as_ref().filter(|path| path.differs(before, after)) else {
            return Ok(false);
        };
        match path.user(after)? {
            Some(user) if self.continues(path, before, &user).await? => {
                if path.signs_in() {
                    self.context.renew().await?;
                }
                Ok(false)
            }
            // Before the values: of another user's session they are dropped here.
            Some(user) => self.context.login(&user).await.map(|()| true),
            None if path.user(before)?.is_some() => {
                self.context.destroy().await?;
                before.clear();
                Ok(false)
            }
            None => Ok(false),
        }
    }

    /// Whether the handle has neither user nor values.
    async fn is_visitor(&self) -> Result<bool, Error> {
        Ok(self.context.user_id().await?.is_none() && self.context.keys().await?.is_empty())
    }

    async fn values(&self) -> Result<Values, Error> {
        let mut values = Values::new();
        for name in self.context.keys().await? {
            if let Some(value) = self.context.get::<Value>(&name).await? {
                let _ = values.insert(name, value);
            }
        }
        Ok(values)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first 16 bytes of a public id, as `session::Id` prints them.
fn half(id: &SessionId) -> i128 {
    id.as_bytes().first_chunk().map_or(0, |half| i128::from_le_bytes(*half))
}
