//! An adaptor for a store that keeps records and no index of users' sessions.

use std::time::Duration;

use crate::{
    clock::Clock,
    error::{Error, ErrorKind},
    session::{
        page::SessionCursor,
        placement::Placement,
        record::{Record, Touch},
        token::SessionId,
    },
    store::{
        attempt_contract::AttemptStore,
        contract::Store,
        forward::forward_store,
        future::StoreFuture,
        login::LoginWrite,
        outcome::{Expected, SaveOutcome},
        user_contract::UserStore,
    },
    telemetry::{events::Events, health::Health},
};

/// A store of records alone, for a layer that needs no index of users' sessions.
///
/// Sign-in, renewal and logout work. What needs the index fails with `Misconfigured`: lists of
/// sessions, `logout_everywhere`, `revoke_others`, `revoke_all`, `clear_platform_of`,
/// `begin_login`. The builder rejects
/// [`sessions_per_user`](crate::RedisSessionLayerBuilder::sessions_per_user).
///
/// ```
/// use tower_redis_session::{MemoryStore, RedisSessionLayer, store::WithoutUsers};
///
/// let store = WithoutUsers::new(MemoryStore::new()); // or any `impl Store`
/// let builder = RedisSessionLayer::builder(store.clone());
/// assert!(builder.build().is_ok());
/// let limited = RedisSessionLayer::builder(store).sessions_per_user(5);
/// assert_eq!(limited.build().unwrap_err().setting(), "sessions per user");
/// ```
///
/// Without the adaptor a layer over a [`Store`] does not compile:
///
/// ```compile_fail,E0277
/// # use tower_redis_session::{RedisSessionLayer, RedisSessionLayerBuilder, store::Store};
/// fn builder(store: impl Store) -> RedisSessionLayerBuilder {
///     RedisSessionLayer::builder(store)
/// }
/// ```
#[derive(Clone, Debug, Default)]
pub struct WithoutUsers<S>(S);

impl<S: Store> WithoutUsers<S> {
    /// Wraps `store`; an index that it keeps is not used.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, store::{UserStore, WithoutUsers}};
    /// assert!(!WithoutUsers::new(MemoryStore::new()).lists_sessions());
    /// ```
    #[must_use]
    pub const fn new(store: S) -> Self {
        Self(store)
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: Store> Store for WithoutUsers<S> {
    forward_store!(self => &self.0);
}

#[deny(clippy::missing_trait_methods)]
impl<S: Store> UserStore for WithoutUsers<S> {
    fn revocation_epoch<'a>(&'a self, _: &'a str) -> StoreFuture<'a, u64> {
        no_index()
    }

    fn login<'a>(&'a self, login: LoginWrite<'a>) -> StoreFuture<'a, SaveOutcome> {
        // Fails closed: neither a limit nor a revocation could be kept.
        if login.epoch.is_some() || login.limit.is_some() {
            return no_index();
        }
        match login.old {
            Some((old, expected)) => self.0.begin_renew(old, expected, login.new, login.record),
            None => self.0.save(login.new, Expected::Absent, login.record),
        }
    }

    fn sessions_of<'a>(&'a self, _: &'a str) -> StoreFuture<'a, Vec<(SessionId, Record)>> {
        no_index()
    }

    fn revoke_all<'a>(&'a self, _: &'a str, _: Option<&'a SessionId>) -> StoreFuture<'a, u64> {
        no_index()
    }

    fn sessions_page<'a>(
        &'a self,
        _: &'a str,
        _: Option<&'a SessionCursor>,
        _: usize,
    ) -> StoreFuture<'a, Vec<(SessionId, Record)>> {
        no_index()
    }

    fn lists_sessions(&self) -> bool {
        false
    }
}

fn no_index<'a, T: Send + 'a>() -> StoreFuture<'a, T> {
    let text = "the session store keeps no index of users' sessions (`WithoutUsers`)";
    Box::pin(std::future::ready(Err(Error::new(ErrorKind::Misconfigured, text))))
}
