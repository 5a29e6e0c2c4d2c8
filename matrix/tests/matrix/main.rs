//! The session layer with every layer of tower and tower-http around it, between its parts and
//! inside of it. [`README.md`](../../README.md) has the table.
//!
//! To see these fail: take `Default` from a body; lose the trailers or the size hint of an inner
//! body; call a clone of the service that was polled ready; give `HEAD` a body.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a panic is the report"
)]

/// A client over HTTP/1.1 and HTTP/2.
mod client;
/// Extractors of axum behind the CSRF layer.
mod extractors;
/// Guards around files.
mod files;
/// tonic, with an interceptor and a guard.
mod grpc;
/// Responses that are not the handler's.
mod in_place;
/// The handler, the guard, and what a server asks of a stack.
mod stack;
/// The walk of a client through each cell, and the table.
mod table;
/// Every layer of tower-http.
mod tower_http_layers;
/// Every layer of tower.
mod tower_layers;
/// `Default`, `Sync`, `Unpin` and the like, of each public type.
mod traits;
/// What a client does in each cell.
mod walk;
