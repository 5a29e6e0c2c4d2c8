//! `SessionContext`: the handle that a handler finds in the request extensions.
//!
//! | file | holds |
//! |---|---|
//! | `handle` | the type, its id, `save` |
//! | `values` | get, insert, remove, update, keys, clear |
//! | `authentication` | login, logout, renewal, user and platform |
//! | `login_attempt` | a sign-in that fails if the user's sessions are revoked meanwhile |
//! | `timing` | timestamps, expiry, validation |
//! | `devices` | listing and revoking the user's sessions |
//! | `place` | path and query that the client asked for |

pub(crate) mod authentication;
pub(crate) mod devices;
mod handle;
pub(crate) mod login_attempt;
pub(crate) mod place;
pub(crate) mod timing;
mod values;

pub use crate::context::handle::SessionContext;
