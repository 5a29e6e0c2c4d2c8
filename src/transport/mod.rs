//! Transport of the token between client and server.
//!
//! | file | holds |
//! |---|---|
//! | `token_transport` | `Transport`: a cookie, or a header for clients that keep none |
//! | `cookie` | name and attributes of the cookie, and its parser |
//! | `origin` | the value of an `Origin` header |
//! | `cross_site` | detection of cross-site requests |

pub(crate) mod cookie;
pub(crate) mod cross_site;
pub(crate) mod origin;
mod token_transport;

pub use crate::transport::token_transport::Transport;
