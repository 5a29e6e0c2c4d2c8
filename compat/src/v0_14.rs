//! For tower-sessions 0.14, and axum-login 0.18 on it.

pub(crate) use tower_sessions_core_0_14 as theirs;

#[path = "opened.rs"]
mod opened;
#[path = "sessions.rs"]
mod sessions;

pub use crate::v0_14::sessions::{SessionManager, SessionManagerLayer};
