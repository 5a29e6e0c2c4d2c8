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
    transport::cookie::{self, CookieConfig},
};

/// The visitor's secret, if it can be trusted.
pub(crate) fn known(session: &RequestSession, state: &State) -> Option<Token> {
    match (&state.visitor, &state.cookie) {
        (Visitor::New(token), _) => Some(token.clone()),
        // A session began or ended in this request: earlier secrets are invalid.
        (Visitor::Gone, _) | (Visitor::AsSent, CookieChange::Set(_) | CookieChange::Remove) => None,
        (Visitor::AsSent, CookieChange::Keep) => only(sent(session)),
    }
}

/// The secret under the cookie's former name. It verifies earlier tokens and issues none. A visitor
/// who has the new cookie is verified by that alone: an attacker may plant the former one.
pub(crate) fn former(session: &RequestSession, state: &State) -> Option<Token> {
    let renamed = session.backend.rules.transport.successor()?.is_renamed();
    match (&state.visitor, &state.cookie) {
        (Visitor::Gone, _) | (_, CookieChange::Set(_) | CookieChange::Remove) => None,
        (_, CookieChange::Keep) if renamed && !sent(session).is_empty() => None,
        (_, CookieChange::Keep) => only(sent_formerly(session)),
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

/// The headers that set the visitor's secret, or remove it together with a `change` of the
/// session's cookie, and that remove the former one.
pub(crate) fn visitor_headers(
    session: &RequestSession,
    state: &mut State,
    change: &CookieChange,
) -> [Option<HeaderValue>; 2] {
    let former = match change {
        CookieChange::Keep => None,
        CookieChange::Set(_) | CookieChange::Remove => former_removal(session),
    };
    [visitor_header(session, state, change), former]
}

fn visitor_header(
    session: &RequestSession,
    state: &mut State,
    change: &CookieChange,
) -> Option<HeaderValue> {
    match (&state.visitor, change) {
        (Visitor::New(token), CookieChange::Keep | CookieChange::Remove) => {
            visitor_cookie(session)?.at(session.domain).set(token, None, false)
        }
        (_, CookieChange::Keep) => None,
        (_, CookieChange::Set(_) | CookieChange::Remove) => {
            state.visitor = Visitor::Gone;
            if sent(session).is_empty() {
                None
            } else {
                visitor_cookie(session)?.at(session.domain).removal()
            }
        }
    }
}

/// If the name is the same, a cookie may be either of both.
fn former_removal(session: &RequestSession) -> Option<HeaderValue> {
    let renamed = session.backend.rules.transport.successor()?.is_renamed();
    let came = if renamed { sent_formerly(session) } else { sent(session) };
    if came.is_empty() { None } else { visitor_cookie(session)?.former_removal() }
}

/// Fails closed: of several secrets one may have been planted (RFC 6265bis section 8.6).
fn only(mut sent: Vec<Token>) -> Option<Token> {
    let token = sent.pop();
    token.filter(|_| sent.is_empty())
}

/// The well-formed secrets in the visitor's cookies, each once.
fn sent(session: &RequestSession) -> Vec<Token> {
    each_once(session, |cookie| cookie::find(session.credentials.lines(), cookie.name()))
}

/// The same in the former cookies.
fn sent_formerly(session: &RequestSession) -> Vec<Token> {
    each_once(session, |cookie| cookie.former_tokens(session.credentials.lines()))
}

fn each_once(
    session: &RequestSession,
    found: impl FnOnce(CookieConfig) -> Vec<Token>,
) -> Vec<Token> {
    let tokens = visitor_cookie(session).map_or_else(Vec::new, found);
    let mut sent: Vec<(SessionId, Token)> = Vec::new();
    for token in tokens {
        let id = session.backend.rules.tokens.id(&token);
        if sent.iter().all(|(known, _)| *known != id) {
            sent.push((id, token));
        }
    }
    sent.into_iter().map(|(_, token)| token).collect()
}

fn visitor_cookie(session: &RequestSession) -> Option<CookieConfig> {
    session.backend.rules.transport.visitor_cookie()
}
