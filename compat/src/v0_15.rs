//! For tower-sessions 0.15.

pub(crate) use tower_sessions_core_0_15 as theirs;

#[path = "opened.rs"]
#[allow(clippy::duplicate_mod, reason = "the same code for the types of another version")]
mod opened;
#[path = "sessions.rs"]
#[allow(clippy::duplicate_mod, reason = "the same code for the types of another version")]
mod sessions;

pub use crate::v0_15::sessions::{SessionManager, SessionManagerLayer};
