//! Visitor without a session: a random secret in a cookie of its own, nothing in a store.

use crate::session::token::Token;

/// What this request makes of the visitor's secret.
#[derive(Debug, Default)]
pub(crate) enum Visitor {
    /// As the client sent it, if it did.
    #[default]
    AsSent,
    /// A new one, which the response hands out.
    New(Token),
    /// Taken away by the response.
    Gone,
}
