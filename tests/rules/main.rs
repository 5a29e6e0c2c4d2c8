//! Rules that no compiler checks. Needs no server.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a panic is the report"
)]

/// Each requirement of the security bar, and the tests that hold it.
mod requirements;
/// The source tree: what may name what, how long a file or a function may be.
mod structure;
