//! The values of a session: read, stored, removed; updated or taken at once.

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
/// A session holds values by key: whatever serde turns into JSON. A key is a text or a
/// [`Key`](crate::Key), which knows its type.
///
/// | method | when | of requests that overlap |
/// |---|---|---|
/// | [`insert`](Self::insert), [`remove`](Self::remove), [`take`](Self::take), [`clear`](Self::clear) | buffered, stored with the response | each keeps its changes, key by key |
/// | [`update`](Self::update) | at once | each change builds on the one before |
/// | [`take_once`](Self::take_once) | at once | one gets the value |
impl SessionContext {
    /// The value under `key`, decoded from JSON; `None` if there is none.
    ///
    /// # Errors
    ///
    /// `Value` if what is there is not a `T`, unless the key is
    /// [lenient](crate::Key::lenient).
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

    /// The value under `key`, or the default if there is none or what is there is not a `T`, which
    /// stays as it is.
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

    /// Puts `value` under `key`, as JSON. Buffered; an equal value is no change.
    ///
    /// # Errors
    ///
    /// `TooLarge` if the record would pass its bound, `Value` if `value` does not become JSON, as
    /// with NaN and the infinities, which JSON has no word for, wherever in it they stand,
    /// `Invalid` for an empty key, one above 65,535 bytes or one that begins with NUL, `Corrupt`,
    /// `Unsupported` and `Ambiguous` where there is something that must not be overwritten,
    /// `Closed` for a new session after the head. Nothing is changed then.
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

    /// Removes the value under `key`, whatever it is; returns whether there was one. Buffered.
    /// [`take`](Self::take) returns the value.
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
    /// requests that overlap may both get it. [`take_once`](Self::take_once) gives it to one.
    ///
    /// # Errors
    ///
    /// `Value` if what is there is not a `T`; nothing is removed then. A
    /// [lenient](crate::Key::lenient) key leaves such a value where it is and returns `None`.
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
    /// and returns it: of requests that overlap one gets it, the others get `None`. For what may be
    /// used once, such as a flash message or the state of an OAuth sign-in.
    ///
    /// The value is gone even if the handler then fails. A session that has nothing left ends. One
    /// round trip, two if the session was not loaded before, one more for the end of the session.
    ///
    /// # Errors
    ///
    /// Those of [`take`](Self::take); `Moved` if the session got another id meanwhile. With
    /// `Unavailable` the value may be gone; nobody got it twice.
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
    /// `change` gets the value there and gives the new one, which is returned once it is stored.
    ///
    /// `change` runs again when somebody else was faster, so it should only compute. A change is
    /// never counted twice. It stays even if the handler then fails. After a buffered login or
    /// renewal everything buffered is stored with it.
    ///
    /// # Errors
    ///
    /// Those of [`insert`](Self::insert); `Absent` if the session ended meanwhile, `Moved` if it
    /// got another id. With `Unavailable` the change may have happened.
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
}

fn checked(key: &impl AnyKey) -> Result<&str, Error> {
    let text = key.text();
    if text.is_empty() || text.len() > NAME_MAX || is_reserved(text) {
        let text = "a key has 1 to 65,535 bytes, the first of which is not NUL";
        return Err(Error::new(ErrorKind::Invalid, text));
    }
    Ok(text)
}
