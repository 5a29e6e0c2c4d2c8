//! One request's session: loaded at the first access, changed, committed before the response.
//!
//! | file | holds |
//! |---|---|
//! | `request_session` | `RequestSession`: what layer, handler and response share |
//! | `budget` | the time that a request may wait for the store |
//! | `shared` | `Backend`: what all requests of a layer share |
//! | `stage` | how far the response is |
//! | `state` | the request's knowledge of its session, and its buffered changes |
//! | `success` | which responses commit what the handler changed |
//! | `savepoint` | the changes buffered before an attempt that may fail |
//! | `watched` | the sessions that live connections watch |
//! | `watch` | one watch, and the task that polls the store for all |
//! | `header_lines` | the header lines that may hold a token |
//! | `place` | path and query before a router stripped a prefix |
//! | `found` | the record of a token, and the record from before a move |
//! | `load` | the choice of the session among the loaded records |
//! | `commit` | apply, rebase on conflict, confirm |
//! | `write_queue` | changes that join a write in progress |
//! | `update` | load, change and save one value at once |
//! | `take` | returning a value and removing it, buffered or at once |
//! | `touch` | storing activity |
//! | `end` | ending a session |
//! | `impersonation` | events of impersonation |
//! | `former_cookie` | the cookie that the session's cookie has replaced |
//! | `old_library` | another library, whose sessions the layer takes over |
//! | `take_over` | the take-over of one of its sessions |
//! | `visitor` | the secret of a client without a session |
//! | `visitor_cookie` | the cookie that carries it |
//! | `external_id` | sign-ins under an external id, and their revocation by it |
//! | `user_sessions` | all sessions of one user |
//! | `cookie_echo` | a warning if cookies are not sent back |
//! | `client` | address and user agent of a client |

mod budget;
pub(crate) mod client;
pub(crate) mod commit;
mod cookie_echo;
pub(crate) mod end;
mod external_id;
pub(crate) mod former_cookie;
mod found;
mod header_lines;
mod impersonation;
mod load;
#[cfg_attr(not(feature = "import"), allow(dead_code, reason = "for `import`"))]
pub(crate) mod old_library;
pub(crate) mod place;
mod request_session;
pub(crate) mod savepoint;
pub(crate) mod shared;
mod stage;
pub(crate) mod state;
pub(crate) mod success;
pub(crate) mod take;
pub(crate) mod take_over;
pub(crate) mod touch;
pub(crate) mod update;
pub(crate) mod user_sessions;
pub(crate) mod visitor;
pub(crate) mod visitor_cookie;
pub(crate) mod watch;
pub(crate) mod watched;
pub(crate) mod write_queue;

pub(crate) use crate::request::request_session::RequestSession;
