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

/// The image and the units of the example application.
mod deploy;
/// The documents that users read first: links, length, words.
mod documents;
/// The schedules of the protocol, and the tests that force them.
mod protocol;
/// Each requirement of the security bar, and the tests that hold it.
mod requirements;
/// The rooms of `src`: which may import which.
mod rooms;
/// The reader of source files that the others use.
mod source;
/// The source tree: which file may name which crate, how long a file or a function may be.
mod structure;
