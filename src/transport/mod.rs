//! How a client carries its token.
//!
//! | file | holds |
//! |---|---|
//! | `token_transport` | `Transport`: a cookie, or a header for clients that keep none |
//! | `cookie` | name and attributes of the cookie, and how it is found in a request |
//! | `origin` | the value of an `Origin` header |
//! | `cross_site` | whether another site sends a request |

pub(crate) mod cookie;
pub(crate) mod cross_site;
pub(crate) mod origin;
mod token_transport;

pub use crate::transport::token_transport::Transport;
