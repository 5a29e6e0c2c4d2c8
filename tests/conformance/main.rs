//! What every store has to do. Needs redis-server, PostgreSQL and the servers of
//! `scripts/servers.sh`.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a panic is the report"
)]

/// Failed sign-ins are counted alike by every store.
mod attempts;
/// What a browser is left with after two requests that overlap, in every order.
mod browser_orders;
mod cluster;
/// Stores whose ends of sessions a replica confirms.
mod confirmed;
/// Every store keeps the contracts of `Store` and `UserStore`; one that breaks them does not pass.
mod contract;
/// A logout by the identity provider, on every store.
mod external_ids;
/// Impersonation, stamps, typed keys and a cookie's former name on every store.
mod identity;
/// What a client makes up ends nothing and is counted nowhere.
mod made_up_cookies;
/// Random histories on every store against a model of the layer.
mod model;
/// Records alone, an index of users' sessions, and a store that layers share.
mod roles;
mod sentinel;
/// Every store with its servers.
mod stores;
/// Of 64 requests that take a value at once one gets it.
mod takes;
