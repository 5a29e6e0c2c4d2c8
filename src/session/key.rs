//! Typed keys: the name of a value, its type, and conversions of older values.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::{error::Error, session::json::decode};

/// The key of a value together with its type, for a constant that all handlers share.
///
/// Every method that takes a key accepts this or a string. With it, the compiler infers the type.
///
/// ```
/// use tower_redis_session::Key;
///
/// const CART: Key<Vec<String>> = Key::new("cart");
///
/// # tower_redis_session::testing::handle(|session| async move {
/// session.insert(CART, &vec!["tea".to_owned()]).await?;
/// let cart = session.get(CART).await?;
/// assert_eq!(cart.unwrap_or_default(), ["tea"]);
/// # Ok(()) });
/// ```
///
/// # After a change of the type
///
/// A value stored by an older release may no longer be a `T`, and reading it fails with `Value`.
/// With [`migrate`](Self::migrate) or [`lenient`](Self::lenient) it never does. A read does not
/// write: the old value is kept until a new one is stored under the key.
///
/// `Old` is the type that [`migrate`](Self::migrate) reads; omit it otherwise.
pub struct Key<T, Old = T> {
    key: &'static str,
    lenient: bool,
    migration: Option<Migration<T, Old>>,
}

/// Converts a value of the older type.
struct Migration<T, Old> {
    decode: fn(&[u8]) -> Result<Old, Error>,
    migrate: fn(Old) -> T,
}

impl<T> Key<T> {
    /// A key that reads values of `T` alone. A key has 1 to 65,535 bytes; any other is rejected
    /// with `Invalid` when a value is stored.
    ///
    /// ```
    /// # use tower_redis_session::Key;
    /// const VISITS: Key<u32> = Key::new("visits");
    /// # tower_redis_session::testing::handle(|session| async move {
    /// assert_eq!(session.update(VISITS, |visits| visits.unwrap_or(0) + 1).await?, 1);
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub const fn new(key: &'static str) -> Self {
        Self { key, lenient: false, migration: None }
    }

    /// Reads a value that is not a `T` but an `Old` by converting it with `migrate`. A value of
    /// neither type is read as absent.
    ///
    /// `T` is tried first. If all its fields have defaults, an old value may be read as a `T`
    /// without `migrate`: add `#[serde(deny_unknown_fields)]` to `T`. For more than one older type
    /// let `Old` be an untagged enum of them.
    ///
    /// ```
    /// # use serde::{Deserialize, Serialize};
    /// # use tower_redis_session::Key;
    /// #[derive(Deserialize, Serialize)]
    /// struct Cart {
    ///     items: Vec<String>,
    /// }
    ///
    /// // The release before this one stored a list.
    /// const CART: Key<Cart, Vec<String>> = Key::new("cart").migrate(|items| Cart { items });
    ///
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.insert("cart", &["tea"]).await?;
    /// let cart = session.update(CART, |cart| {
    ///     let mut cart = cart.unwrap_or(Cart { items: vec![] });
    ///     cart.items.push("milk".to_owned());
    ///     cart
    /// });
    /// assert_eq!(cart.await?.items, ["tea", "milk"]);
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub const fn migrate<Old: DeserializeOwned>(self, migrate: fn(Old) -> T) -> Key<T, Old> {
        let migration = Migration { decode: decode::<Old>, migrate };
        Key { key: self.key, lenient: true, migration: Some(migration) }
    }

    /// Reads a value that is not a `T` as absent. An `update` replaces it.
    ///
    /// ```
    /// # use tower_redis_session::{ErrorKind, Key};
    /// const STEP: Key<u32> = Key::new("step").lenient();
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.insert("step", "three").await?;
    /// assert_eq!(session.get::<u32>("step").await.unwrap_err().kind(), ErrorKind::Value);
    /// assert_eq!(session.get(STEP).await?, None);
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub const fn lenient(mut self) -> Self {
        self.lenient = true;
        self
    }
}

impl<T, Old> Key<T, Old> {
    /// The key as a string, as [`keys`](crate::SessionContext::keys) returns it.
    ///
    /// ```
    /// # use tower_redis_session::Key;
    /// assert_eq!(Key::<u32>::new("visits").as_str(), "visits");
    /// ```
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        self.key
    }
}

impl<T, Old> Clone for Key<T, Old> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, Old> Copy for Key<T, Old> {}

impl<T, Old> fmt::Debug for Key<T, Old> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.key).finish()
    }
}

impl<T, Old> Clone for Migration<T, Old> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, Old> Copy for Migration<T, Old> {}

/// A key of any type: a string or a [`Key`]. Sealed.
pub trait AnyKey: sealed::Named {}

/// The key of a value of type `T`: a string, for any `T`, or a [`Key`] of it. Sealed.
pub trait AsKey<T>: AnyKey + sealed::Reading<T> {}

/// A key under which a `V` may be stored: a string, or a [`Key`] of `V`; for a `str` also a
/// `Key<String>`. Sealed.
pub trait InsertKey<V: ?Sized>: AnyKey {}

pub(crate) mod sealed {
    use crate::error::Error;

    /// The sealed part of `AnyKey`.
    pub trait Named {
        /// The key as a string.
        fn text(&self) -> &str;
    }

    /// The sealed part of `AsKey`.
    pub trait Reading<T> {
        /// Decodes `json`; `None` if the value is treated as absent.
        fn read(&self, json: &[u8]) -> Result<Option<T>, Error>
        where
            T: serde::de::DeserializeOwned;
    }
}

impl<S: AsRef<str> + ?Sized> AnyKey for &S {}

impl<S: AsRef<str> + ?Sized> sealed::Named for &S {
    fn text(&self) -> &str {
        (*self).as_ref()
    }
}

impl<V: ?Sized, S: AsRef<str> + ?Sized> InsertKey<V> for &S {}

impl<T, S: AsRef<str> + ?Sized> AsKey<T> for &S {}

impl<T, S: AsRef<str> + ?Sized> sealed::Reading<T> for &S {
    fn read(&self, json: &[u8]) -> Result<Option<T>, Error>
    where
        T: DeserializeOwned,
    {
        decode(json).map(Some).map_err(|error| error.of_key((*self).as_ref()))
    }
}

impl<T, Old> AnyKey for Key<T, Old> {}

impl<T, Old> sealed::Named for Key<T, Old> {
    fn text(&self) -> &str {
        self.key
    }
}

impl<T, Old> InsertKey<T> for Key<T, Old> {}

impl<Old> InsertKey<str> for Key<String, Old> {}

impl<T, Old> AsKey<T> for Key<T, Old> {}

impl<T, Old> sealed::Reading<T> for Key<T, Old> {
    fn read(&self, json: &[u8]) -> Result<Option<T>, Error>
    where
        T: DeserializeOwned,
    {
        let error = match decode(json) {
            Ok(value) => return Ok(Some(value)),
            Err(error) => error,
        };
        if let Some(Migration { decode, migrate }) = self.migration
            && let Ok(old) = decode(json)
        {
            return Ok(Some(migrate(old)));
        }
        if self.lenient { Ok(None) } else { Err(error.of_key(self.key)) }
    }
}
