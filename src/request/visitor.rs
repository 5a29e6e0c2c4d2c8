//! Visitor without a session: a random secret in a separate cookie; no record in the store.

use crate::session::token::Token;

/// State of the visitor's secret in this request.
#[derive(Debug, Default)]
pub(crate) enum Visitor {
    /// As the client sent it, if at all.
    #[default]
    AsSent,
    /// A new secret, sent with the response.
    New(Token),
    /// Removed by the response.
    Gone,
}
