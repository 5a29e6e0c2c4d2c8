//! The command `tower-redis-session` as a process, on every store. Needs redis-server, PostgreSQL
//! and sqlite3.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a panic is the report"
)]

/// What it does not do to a service that runs.
mod beside_a_service;
/// Claims on sessions of another library are no sessions.
mod claims;
/// All sessions, page by page, while others come and go.
mod enumeration;
/// What is wrong, by exit code; and no secret in what is printed.
mod faults;
/// Sessions of one store in another.
mod migrate;
/// The stores, their variables, and the process.
mod places;
/// Faults in the stored data, made on purpose: found and named.
mod planted;
/// The SQL of the tables.
mod schema;
/// Sessions: counted, listed, shown, ended.
mod sessions;
/// `validate` on a healthy system, and what it leaves behind.
mod validate;
