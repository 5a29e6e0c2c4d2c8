//! Cookie of a visitor: read, created, set and removed.

use http::HeaderValue;

use crate::{
    error::Error,
    request::{
        RequestSession,
        state::{CookieChange, State},
        visitor::Visitor,
    },
    session::token::{SessionId, Token},
    transport::cookie,
};

/// The visitor's secret, if it can be trusted.
pub(crate) fn known(session: &RequestSession, state: &State) -> Option<Token> {
    match (&state.visitor, &state.cookie) {
        (Visitor::New(token), _) => Some(token.clone()),
        // A session began or ended in this request: earlier secrets are invalid.
        (Visitor::Gone, _) | (Visitor::AsSent, CookieChange::Set(_) | CookieChange::Remove) => None,
        (Visitor::AsSent, CookieChange::Keep) => {
            let mut sent = sent(session);
            let token = sent.pop();
            // Fails closed: of several secrets one may have been planted (RFC 6265bis section 8.6).
            token.filter(|_| sent.is_empty())
        }
    }
}

/// A new secret for a visitor who has none.
pub(crate) fn begin(session: &RequestSession, state: &mut State) -> Result<Token, Error> {
    if session.backend.rules.transport.visitor_cookie().is_none() {
        return Err(Error::absent());
    }
    state.may_set_cookie()?;
    let token = Token::generate()?;
    state.visitor = Visitor::New(token.clone());
    Ok(token)
}

/// The header that sets the visitor's secret, or removes it together with a `change` of the
/// session's cookie.
pub(crate) fn visitor_header(
    session: &RequestSession,
    state: &mut State,
    change: &CookieChange,
) -> Option<HeaderValue> {
    let cookie = || session.backend.rules.transport.visitor_cookie();
    match (&state.visitor, change) {
        (Visitor::New(token), CookieChange::Keep | CookieChange::Remove) => {
            cookie()?.at(session.domain).set(token, None, false)
        }
        (_, CookieChange::Keep) => None,
        (_, CookieChange::Set(_) | CookieChange::Remove) => {
            state.visitor = Visitor::Gone;
            if sent(session).is_empty() { None } else { cookie()?.at(session.domain).removal() }
        }
    }
}

/// The well-formed secrets in the visitor's cookies, each once.
fn sent(session: &RequestSession) -> Vec<Token> {
    let mut sent: Vec<(SessionId, Token)> = Vec::new();
    if let Some(cookie) = session.backend.rules.transport.visitor_cookie() {
        for token in cookie::find(session.credentials.lines(), cookie.name()) {
            let id = session.backend.rules.tokens.id(&token);
            if sent.iter().all(|(known, _)| *known != id) {
                sent.push((id, token));
            }
        }
    }
    sent.into_iter().map(|(_, token)| token).collect()
}
