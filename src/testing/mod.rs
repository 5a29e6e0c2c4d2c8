//! Tools for tests: a conformance suite for stores, a harness for handlers, sample users.
//!
//! Compiled with the feature `testing` only. Enable it in `[dev-dependencies]`.
//!
//! | file | holds |
//! |---|---|
//! | `conformance` | the contract of [`Store`](crate::store::Store), checked sentence by sentence |
//! | `handler` | runs a handler behind the layer on a memory store |
//! | `accounts` | a [`Directory`](crate::directory::Directory) of three users |
//! | `sample_record` | a record to store |

mod accounts;
mod conformance;
mod handler;
mod sample_record;

pub use accounts::Accounts;
pub use conformance::conformance;
pub use handler::{handle, run};
