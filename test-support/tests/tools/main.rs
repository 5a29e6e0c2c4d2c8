//! The tools of the other tests, tested.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a panic is the report"
)]

/// A guard that leaves nothing behind, a proxy whose modes do what they say, a capture that misses
/// nothing.
mod guards;
/// The proxies that hold one request of many.
mod interceptors;
/// Clusters that form, move slots, and live through the loss of a node.
mod redis_cluster;
/// The faults of a Redis server that a test can ask for, and its other versions.
mod redis_server;
/// Sentinels that agree on another primary.
mod sentinels;
