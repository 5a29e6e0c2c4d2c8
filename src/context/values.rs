//! The values of a session: read, put, removed, and updated at once.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    context::SessionContext,
    error::{Error, ErrorKind},
    request::state::State,
    session::{
        json::{decode, encode},
        values::NAME_MAX,
    },
};

impl SessionContext {
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
    /// `TooLarge` if the record would pass its bound, `Value` if `value` does not become JSON, as
    /// with NaN and the infinities, which JSON has no word for, wherever in it they stand,
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
        let backend = &self.session.backend;
        let insert = |state: &mut State| {
            state.writable()?;
            state.insert(backend, name, json)
        };
        self.read(insert).await?
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
}

fn check_name(name: &str) -> Result<(), Error> {
    if name.is_empty() || name.len() > NAME_MAX {
        return Err(Error::new(ErrorKind::Invalid, "a name has 1 to 65,535 bytes"));
    }
    Ok(())
}
