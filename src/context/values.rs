//! The values of a session: get, insert, remove; update and take at once.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    context::SessionContext,
    error::{Error, ErrorKind},
    request::{state::State, update::read},
    session::{
        json::encode,
        key::{AnyKey, AsKey, InsertKey},
        reserved::is_reserved,
        values::NAME_MAX,
    },
};

/// # Values
///
/// A session holds values by key: whatever serde serializes to JSON. A key is a string or a
/// [`Key`](crate::Key), which has a type.
///
/// | method | when | overlapping requests |
/// |---|---|---|
/// | [`insert`](Self::insert), [`remove`](Self::remove), [`take`](Self::take), [`clear`](Self::clear) | buffered, stored with the response | each keeps its changes, key by key |
/// | [`update`](Self::update) | at once | each change builds on the one before |
/// | [`take_once`](Self::take_once) | at once | one of them gets the value |
impl SessionContext {
    /// The value under `key`, decoded from JSON; `None` if there is none.
    ///
    /// # Errors
    ///
    /// `Value` if the value is not a `T`, unless the key is [lenient](crate::Key::lenient).
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.insert("theme", "dark").await?;
    /// assert_eq!(session.get::<String>("theme").await?.as_deref(), Some("dark"));
    /// assert_eq!(session.get::<u32>("visits").await?, None);
    /// # Ok(()) });
    /// ```
    pub async fn get<T: DeserializeOwned>(&self, key: impl AsKey<T>) -> Result<Option<T>, Error> {
        let json = self.read(|state| Ok(state.changes.get(state.base()?, key.text()))).await??;
        read(&key, json.as_deref())
    }

    /// The value under `key`, or the default if there is none or it is not a `T`; the stored value
    /// is not changed.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get) but `Value`.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.insert("visits", "many").await?;
    /// assert_eq!(session.get_or_default::<u32>("visits").await?, 0);
    /// assert_eq!(session.get_or_default::<String>("visits").await?, "many");
    /// # Ok(()) });
    /// ```
    pub async fn get_or_default<T>(&self, key: impl AsKey<T>) -> Result<T, Error>
    where
        T: DeserializeOwned + Default,
    {
        match self.get(key).await {
            Ok(value) => Ok(value.unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Value => Ok(T::default()),
            Err(error) => Err(error),
        }
    }

    /// Inserts `value` under `key`, as JSON. Buffered; an equal value is no change.
    ///
    /// # Errors
    ///
    /// `TooLarge` if the record would exceed its maximum size; `Value` if `value` cannot be
    /// serialized to JSON, including NaN and infinities anywhere in it; `Invalid` for an empty key,
    /// one above 65,535 bytes or one that begins with NUL; `Corrupt`, `Unsupported` and `Ambiguous`
    /// if there is a record that must not be overwritten; `Closed` for a new session after the
    /// response head. After an error nothing is changed.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.insert("cart", &["tea", "milk"]).await?;
    /// assert_eq!(session.keys().await?, ["cart"]);
    /// # Ok(()) });
    /// ```
    pub async fn insert<T>(&self, key: impl InsertKey<T>, value: &T) -> Result<(), Error>
    where
        T: Serialize + ?Sized,
    {
        let name = checked(&key)?;
        let json = encode(value).map_err(|error| error.of_key(name))?;
        let backend = &self.session.backend;
        let insert = |state: &mut State| {
            state.writable()?;
            state.insert(backend, name, json)
        };
        self.read(insert).await?
    }

    /// Removes the value under `key`; returns whether there was one. Buffered. [`take`](Self::take)
    /// returns the value.
    ///
    /// # Errors
    ///
    /// Those of [every method](Self#errors).
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.insert("theme", "dark").await?;
    /// assert!(session.remove("theme").await?);
    /// assert!(!session.remove("theme").await?);
    /// # Ok(()) });
    /// ```
    pub async fn remove(&self, key: impl AnyKey) -> Result<bool, Error> {
        let name = key.text();
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

    /// Removes the value under `key` and returns it; `None` if there is none. Buffered: two
    /// overlapping requests may both get it; with [`take_once`](Self::take_once) one does.
    ///
    /// # Errors
    ///
    /// `Value` if the value is not a `T`; it is not removed then. With a
    /// [lenient](crate::Key::lenient) key such a value is kept and `None` returned.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.insert("flash", "saved").await?;
    /// assert_eq!(session.take::<String>("flash").await?.as_deref(), Some("saved"));
    /// assert_eq!(session.take::<String>("flash").await?, None);
    /// # Ok(()) });
    /// ```
    #[doc(alias = "remove_value")]
    pub async fn take<T: DeserializeOwned>(&self, key: impl AsKey<T>) -> Result<Option<T>, Error> {
        self.read(|state| state.take(&key)).await?
    }

    /// Removes the value under `key` from the store, at once and atomically across all processes,
    /// and returns it: of several overlapping requests one gets it, the others get `None`. For
    /// values that must be used at most once, such as the state of an OAuth sign-in. For a flash
    /// message, which should survive a failed handler, use [`take`](Self::take).
    ///
    /// The value stays removed even if the handler then fails. A session without user and values
    /// ends. One round trip, two if the session was not loaded before, one more to end the session.
    ///
    /// # Errors
    ///
    /// Those of [`take`](Self::take); `Moved` if the session got another id in the meantime. With
    /// `Unavailable` the value may have been removed; no two requests got it.
    ///
    /// ```
    /// # use tower_redis_session::Key;
    /// const OAUTH_STATE: Key<String> = Key::new("oauth_state");
    ///
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.insert(OAUTH_STATE, "Lh8-3kq").await?;
    /// session.save().await?; // and redirect to the identity provider
    /// let state = session.take_once(OAUTH_STATE).await?;
    /// assert_eq!(state.as_deref(), Some("Lh8-3kq"));
    /// assert_eq!(session.take_once(OAUTH_STATE).await?, None);
    /// # Ok(()) });
    /// ```
    pub async fn take_once<T: DeserializeOwned>(
        &self,
        key: impl AsKey<T>,
    ) -> Result<Option<T>, Error> {
        self.session.take_once(key).await
    }

    /// Changes the value under `key` in the store, at once and atomically across all processes:
    /// `change` receives the stored value and returns the new one, which this method returns once
    /// it is stored.
    ///
    /// `change` runs again after a conflict with a concurrent write, so it should be free of side
    /// effects. A change is never applied twice. It stays stored even if the handler then fails.
    /// After a buffered login or renewal all buffered changes are stored with it.
    ///
    /// # Errors
    ///
    /// Those of [`insert`](Self::insert); `Absent` if the session has ended in the meantime,
    /// `Moved` if it got another id. With `Unavailable` the change may have been stored.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// let count = |count: Option<u32>| count.unwrap_or(0) + 1;
    /// assert_eq!(session.update("count", count).await?, 1);
    /// assert_eq!(session.update("count", count).await?, 2);
    /// # Ok(()) });
    /// ```
    pub async fn update<T, F>(&self, key: impl AsKey<T>, change: F) -> Result<T, Error>
    where
        T: Serialize + DeserializeOwned,
        F: FnMut(Option<T>) -> T,
    {
        let _ = checked(&key)?;
        self.session.update(key, change).await
    }

    /// The keys of all values, in ascending order.
    ///
    /// # Errors
    ///
    /// Those of [every method](Self#errors).
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

    /// Removes all values; user, platform and id are kept. A session without user and values ends.
    ///
    /// # Errors
    ///
    /// Those of [every method](Self#errors).
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
}

fn checked(key: &impl AnyKey) -> Result<&str, Error> {
    let text = key.text();
    if text.is_empty() || text.len() > NAME_MAX || is_reserved(text) {
        let text = "a key has 1 to 65,535 bytes, the first of which is not NUL";
        return Err(Error::new(ErrorKind::Invalid, text));
    }
    Ok(text)
}
