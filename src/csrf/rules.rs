//! Checks of a request by its head alone.

use std::{fmt, sync::Arc, time::Duration};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{CONTENT_TYPE, UPGRADE},
    request::Parts,
    uri::PathAndQuery,
};

use crate::{
    context::{SessionContext, place::requested_place},
    csrf::error::{CsrfError, CsrfErrorKind},
    error::{Error, ErrorKind},
    transport::{cross_site::is_from_elsewhere, origin::Origin},
};

/// Header of the token, by default.
pub(super) const HEADER: &str = "x-csrf-token";
const FORM: &[u8] = b"application/x-www-form-urlencoded";

type Exempt = dyn Fn(&Parts) -> bool + Send + Sync;

/// The builder's settings, validated.
#[derive(Clone)]
pub(super) struct Rules {
    pub(super) header: HeaderName,
    pub(super) field: Box<str>,
    pub(super) max_form_size: usize,
    pub(super) form_timeout: Duration,
    pub(super) same_site: bool,
    pub(super) trusted: Vec<Origin>,
    pub(super) exempt_paths: Vec<Box<str>>,
    pub(super) exempt: Vec<Arc<Exempt>>,
}

/// The decision about a request.
pub(super) enum Judgement {
    Pass,
    Refuse(CsrfError),
    /// The token is in the header.
    Verify(SessionContext, HeaderValue),
    /// The token is in the form, if there is one.
    Read(SessionContext),
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            header: HeaderName::from_static(HEADER),
            field: "csrf_token".into(),
            max_form_size: 64 * 1024,
            form_timeout: Duration::from_secs(30),
            same_site: false,
            trusted: Vec::new(),
            exempt_paths: Vec::new(),
            exempt: Vec::new(),
        }
    }
}

impl Rules {
    pub(super) fn judge(&self, parts: &Parts) -> Judgement {
        let is_handshake = is_websocket(parts);
        if is_safe(&parts.method) && !is_handshake || self.is_exempt(parts) {
            return Judgement::Pass;
        }
        let Some(session) = parts.extensions.get::<SessionContext>() else {
            // Fails closed: what cannot be verified does not pass.
            return Judgement::Refuse(without_session_layer().into());
        };
        // Where browsers send no token by themselves nothing can be forged. Decided by the layer's
        // configuration alone: an attacker may choose a request's headers.
        if !session.session.backend.rules.transport.is_ambient() {
            return Judgement::Pass;
        }
        if is_from_elsewhere(parts, self.same_site, &self.trusted) {
            return Judgement::Refuse(CsrfErrorKind::CrossSite.into());
        }
        // A page's script cannot add a header to it, and browsers always send its origin.
        if is_handshake {
            return Judgement::Pass;
        }
        let mut tokens = parts.headers.get_all(&self.header).iter();
        match (tokens.next(), tokens.next()) {
            (Some(token), None) => Judgement::Verify(session.clone(), token.clone()),
            (Some(_), Some(_)) => Judgement::Refuse(CsrfErrorKind::Malformed.into()),
            (None, _) if has_form(&parts.headers) => Judgement::Read(session.clone()),
            (None, _) => Judgement::Refuse(CsrfErrorKind::Missing.into()),
        }
    }

    fn is_exempt(&self, parts: &Parts) -> bool {
        let asked = requested_place(parts).map(PathAndQuery::path);
        self.exempt_paths.iter().any(|path| asked == Some(path))
            || self.exempt.iter().any(|exempt| exempt(parts))
    }
}

/// Safe methods (RFC 9110 section 9.2.1). Listed here, so that a library's classification of newer
/// ones cannot let requests through.
fn is_safe(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE].contains(method)
}

/// Whether a WebSocket is to be opened: RFC 6455 section 4.1, or RFC 8441 section 4 (`CONNECT`,
/// which no page can send otherwise). Its messages count as unsafe requests.
fn is_websocket(parts: &Parts) -> bool {
    let words = |value: &HeaderValue| {
        let mut words = value.as_bytes().split(|byte| *byte == b',');
        words.any(|word| word.trim_ascii().eq_ignore_ascii_case(b"websocket"))
    };
    parts.method == Method::CONNECT || parts.headers.get_all(UPGRADE).iter().any(words)
}

fn has_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let essence = kind.and_then(|kind| kind.split(|byte| *byte == b';').next());
    essence.is_some_and(|essence| essence.trim_ascii().eq_ignore_ascii_case(FORM))
}

fn without_session_layer() -> Error {
    Error::new(ErrorKind::Misconfigured, "the csrf layer is not inside of a session layer")
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("header", &self.header)
            .field("field", &self.field)
            .field("max_form_size", &self.max_form_size)
            .field("form_timeout", &self.form_timeout)
            .field("allow_same_site", &self.same_site)
            .field("trusted_origins", &self.trusted)
            .field("exempt_paths", &self.exempt_paths)
            .finish_non_exhaustive()
    }
}
