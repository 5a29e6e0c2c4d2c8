//! Placement of a configuration: whether all sessions of a user are stored together.

use crate::{
    error::ConfigError,
    session::placement::Placement,
    store::redis::client::config::{Place, RedisConfig},
};

/// Maximum length of a salt.
const SALT_MAX: usize = 256;

impl RedisConfig {
    /// Gives new sessions of a user the user's [tag](crate::store::Placement), which is the last
    /// two bytes of their ids: a preparation for a [`cluster`](Self::cluster), where this is always
    /// so and all sessions of a user are in one hash slot. Sessions that have other ids remain
    /// usable, there too. Off by default: all bytes of an id are random.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, RedisStore, store::Store};
    /// let store = RedisStore::new(RedisConfig::new("redis://127.0.0.1").place_by_user())?;
    /// assert!(store.placement().is_some());
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    pub fn place_by_user(mut self) -> Self {
        self.places_by_user = true;
        self
    }

    /// The salt of the users' tags, 1 to 256 bytes, for a site whose users choose their names and
    /// could choose the slot of their sessions with it. Never change it: the lists of all users
    /// move, and a revocation misses sessions of before. Defaults to the key prefix.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, RedisStore};
    /// let config = RedisConfig::new("redis://127.0.0.1").placement_salt("a secret of this site");
    /// assert!(RedisStore::new(config).is_ok());
    /// ```
    pub fn placement_salt(mut self, salt: impl Into<String>) -> Self {
        self.salt = Some(salt.into());
        self
    }

    /// The placement, and whether ids of new sessions follow it.
    ///
    /// # Errors
    ///
    /// An empty or a long salt, an invalid prefix.
    pub(in crate::store) fn placement(&self) -> Result<(Placement, bool), ConfigError> {
        let salt = match &self.salt {
            Some(salt) => salt.as_str(),
            None => self.checked_prefix()?,
        };
        if !(1..=SALT_MAX).contains(&salt.len()) {
            return Err(ConfigError::new("redis placement salt", "has not 1 to 256 bytes"));
        }
        let places = self.places_by_user || matches!(self.place, Place::Cluster(_));
        Ok((Placement::new(salt), places))
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        RedisConfig, RedisStore,
        store::{Placement, Store as _},
    };

    #[test]
    fn tags_follow_the_salt_and_else_the_prefix() {
        let config = || RedisConfig::new("redis://127.0.0.1");
        let placement = |config| RedisStore::new(config).unwrap().placement();
        assert_eq!(placement(config()), None);
        assert_eq!(placement(config().placement_salt("x")), None);
        assert_eq!(placement(config().place_by_user()), Some(Placement::new("session:")));
        let shop = config().key_prefix("shop:").place_by_user();
        assert_eq!(placement(shop.clone()), Some(Placement::new("shop:")));
        assert_eq!(placement(shop.placement_salt("x")), Some(Placement::new("x")));
        let cluster = RedisConfig::cluster(["redis://127.0.0.1"]);
        assert_eq!(placement(cluster), Some(Placement::new("session:")));
        for salt in [String::new(), "x".repeat(257)] {
            let error = RedisStore::new(config().placement_salt(salt)).unwrap_err();
            assert!(error.to_string().contains("salt"), "{error}");
        }
    }
}
