//! The header lines that may hold a token, kept while the handler owns the request, or the token of
//! a connection that outlives its request.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::session::token::Token;

/// The credentials of a request.
pub(crate) enum Credentials {
    Lines(HeaderLines),
    /// The token that a connection was opened with.
    Token(Token),
}

impl Credentials {
    /// The header lines that may hold a token.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let lines = match self {
            Self::Lines(lines) => Some(lines),
            Self::Token(_) => None,
        };
        lines.into_iter().flat_map(HeaderLines::iter)
    }
}

/// Almost always none or one line, without an allocation.
pub(crate) struct HeaderLines {
    first: Option<HeaderValue>,
    rest: Vec<HeaderValue>,
}

impl HeaderLines {
    pub(super) fn of(headers: &HeaderMap, name: &HeaderName) -> Self {
        let mut lines = headers.get_all(name).iter().cloned();
        Self { first: lines.next(), rest: lines.collect() }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.first.iter().chain(&self.rest).map(HeaderValue::as_bytes)
    }
}
