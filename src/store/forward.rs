//! A store behind an `Arc`: every call is passed on.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::Clock,
    error::Error,
    session::{
        page::SessionCursor,
        placement::Placement,
        record::{Record, Touch},
        token::SessionId,
    },
    store::{
        attempt_contract::AttemptStore,
        contract::Store,
        future::StoreFuture,
        login::LoginWrite,
        outcome::{Expected, SaveOutcome},
        user_contract::UserStore,
    },
    telemetry::{events::Events, health::Health},
};

/// The methods of an `impl Store` that passes every call on to the store `$to`. Where a method is
/// missing the trait's default runs instead of that store's; clippy's `missing_trait_methods` finds
/// it.
macro_rules! forward_store {
    ($self:ident => $to:expr) => {
        fn load<'a>(&'a $self, id: &'a SessionId) -> StoreFuture<'a, Option<Record>> {
            Store::load($to, id)
        }

        fn save<'a>(
            &'a $self,
            id: &'a SessionId,
            expected: Expected,
            record: &'a Record,
        ) -> StoreFuture<'a, SaveOutcome> {
            Store::save($to, id, expected, record)
        }

        fn begin_renew<'a>(
            &'a $self,
            old: &'a SessionId,
            expected: u64,
            new: &'a SessionId,
            record: &'a Record,
        ) -> StoreFuture<'a, SaveOutcome> {
            Store::begin_renew($to, old, expected, new, record)
        }

        fn touch<'a>(
            &'a $self,
            id: &'a SessionId,
            version: u64,
            activity: Touch,
        ) -> StoreFuture<'a, bool> {
            Store::touch($to, id, version, activity)
        }

        fn delete<'a>(&'a $self, id: &'a SessionId) -> StoreFuture<'a, bool> {
            Store::delete($to, id)
        }

        fn delete_version<'a>(
            &'a $self,
            id: &'a SessionId,
            at: u64,
        ) -> StoreFuture<'a, SaveOutcome> {
            Store::delete_version($to, id, at)
        }

        fn inspect<'a>(&'a $self, id: &'a SessionId) -> StoreFuture<'a, Option<Record>> {
            Store::inspect($to, id)
        }

        fn load_many<'a>(
            &'a $self,
            ids: &'a [SessionId],
        ) -> StoreFuture<'a, Vec<Result<Option<Record>, Error>>> {
            Store::load_many($to, ids)
        }

        fn finish_renew<'a>(
            &'a $self,
            old: &'a SessionId,
            expected: u64,
            new: &'a SessionId,
        ) -> StoreFuture<'a, SaveOutcome> {
            Store::finish_renew($to, old, expected, new)
        }

        fn abandon_renew<'a>(
            &'a $self,
            old: &'a SessionId,
            new: &'a SessionId,
        ) -> StoreFuture<'a, ()> {
            Store::abandon_renew($to, old, new)
        }

        fn migrate(&$self) -> StoreFuture<'_, ()> {
            Store::migrate($to)
        }

        fn check(&$self) -> StoreFuture<'_, ()> {
            Store::check($to)
        }

        fn close(&$self) -> StoreFuture<'_, ()> {
            Store::close($to)
        }

        fn placement(&$self) -> Option<Placement> {
            Store::placement($to)
        }

        fn ack_delay(&$self) -> Duration {
            Store::ack_delay($to)
        }

        fn health(&$self) -> Health {
            Store::health($to)
        }

        fn events(&$self) -> Events {
            Store::events($to)
        }

        fn attempts(&$self) -> Option<&dyn AttemptStore> {
            Store::attempts($to)
        }

        fn clock(&$self) -> Clock {
            Store::clock($to)
        }
    };
}

pub(super) use forward_store;

/// Several layers share one store, its connections and what it knows of its servers' health; also
/// `Arc<dyn UserStore>`, for a store that is chosen at run time.
#[deny(clippy::missing_trait_methods)]
impl<S: Store + ?Sized> Store for Arc<S> {
    forward_store!(self => &**self);
}

#[deny(clippy::missing_trait_methods)]
impl<S: UserStore + ?Sized> UserStore for Arc<S> {
    fn revocation_epoch<'a>(&'a self, user: &'a str) -> StoreFuture<'a, u64> {
        (**self).revocation_epoch(user)
    }

    fn login<'a>(&'a self, login: LoginWrite<'a>) -> StoreFuture<'a, SaveOutcome> {
        (**self).login(login)
    }

    fn sessions_of<'a>(&'a self, user: &'a str) -> StoreFuture<'a, Vec<(SessionId, Record)>> {
        (**self).sessions_of(user)
    }

    fn revoke_all<'a>(
        &'a self,
        user: &'a str,
        keep: Option<&'a SessionId>,
    ) -> StoreFuture<'a, u64> {
        (**self).revoke_all(user, keep)
    }

    fn sessions_page<'a>(
        &'a self,
        user: &'a str,
        after: Option<&'a SessionCursor>,
        limit: usize,
    ) -> StoreFuture<'a, Vec<(SessionId, Record)>> {
        (**self).sessions_page(user, after, limit)
    }

    fn lists_sessions(&self) -> bool {
        (**self).lists_sessions()
    }
}
