//! What the methods of [`SessionContext`] return: a snapshot of the session, the
//! list of a user's sessions, a sign-in in two steps.
//!
//! ```
//! # tower_redis_session::testing::handle(|session| async move {
//! session.login("alice").await?;
//! session.save().await?;
//! let snapshot = session.snapshot().await?;
//! assert_eq!(snapshot.user_id.as_deref(), Some("alice"));
//! for device in session.sessions().await? {
//!     println!("{} since {}", device.id, device.created_at);
//! }
//! # Ok(())
//! # });
//! ```

// | file | holds |
// |---|---|
// | `handle` | the type, its id, `save` |
// | `values` | get, insert, remove, take, update, keys, clear |
// | `loaded` | synchronous access: the presented id, what is already loaded |
// | `authentication` | login, logout, renewal, user and platform |
// | `impersonation` | acting as another user, and back |
// | `live_session` | `LiveSession`: the session of a connection that outlives its request |
// | `login_attempt` | a sign-in that fails if the user's sessions are revoked in the meantime |
// | `own_user` | the application's own user, loaded once a request |
// | `timing` | timestamps, expiry, validation |
// | `devices` | listing and revoking the user's sessions |
// | `stamp` | ends the session when the user's password changes elsewhere |
// | `place` | path and query of the original request |

pub(crate) mod authentication;
pub(crate) mod devices;
pub(crate) mod handle;
mod impersonation;
pub(crate) mod live_session;
mod loaded;
pub(crate) mod login_attempt;
mod own_user;
pub(crate) mod place;
mod stamp;
pub(crate) mod timing;
mod values;

pub(crate) use crate::context::handle::SessionContext;
pub use crate::request::watched::{EndReason, SessionEnd};
pub use crate::{
    context::{live_session::LiveSession, login_attempt::LoginAttempt, timing::SessionSnapshot},
    session::{
        info::SessionInfo,
        key::{AnyKey, AsKey, InsertKey},
        page::{SessionCursor, SessionPage},
    },
};
