//! The lines of one header, kept while the request itself is the handler's.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Almost always none or one, and then without an allocation.
pub(crate) struct HeaderLines {
    first: Option<HeaderValue>,
    rest: Vec<HeaderValue>,
}

impl HeaderLines {
    pub(super) fn of(headers: &HeaderMap, name: &HeaderName) -> Self {
        let mut lines = headers.get_all(name).iter().cloned();
        Self { first: lines.next(), rest: lines.collect() }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.first.iter().chain(&self.rest).map(HeaderValue::as_bytes)
    }
}
