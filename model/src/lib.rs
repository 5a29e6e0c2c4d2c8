//! Explicit-state model of the write protocol in `docs/protocol.md`.
//!
//! [`explore`] visits every state that a model can reach and checks its invariants in each. The
//! models: [`durable`], the durable store; [`counter`], `update`; [`users`], the sessions of one
//! user; [`renewal`], the two steps of a renewal; [`browser`], requests of one browser that
//! overlap; [`touch`], activity; [`takeover`], another library's session. [`cluster`] and [`sign_in`]
//! are studies of Redis Cluster, which the crate does not support. [`runs`] says what is explored.
//!
//! Instances, nodes, generations and saves are small numbers. They are `u8` in the states, which
//! keeps millions of them in memory, and indices elsewhere.

pub mod browser;
pub mod cluster;
pub mod counter;
pub mod durable;
pub mod explore;
pub mod renewal;
pub mod runs;
pub mod sign_in;
pub mod takeover;
pub mod touch;
pub mod users;
