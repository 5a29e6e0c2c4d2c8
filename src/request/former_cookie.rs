//! The former cookie, which the session's cookie has replaced: read, and removed.

use http::HeaderValue;

use crate::{
    request::{
        RequestSession,
        header_lines::Credentials,
        state::{CookieChange, State},
    },
    session::token::{SessionId, Token},
};

impl RequestSession {
    /// The tokens in the former cookie.
    pub(super) fn former_tokens(&self) -> Vec<Token> {
        match (&self.credentials, self.backend.rules.transport.successor()) {
            (Credentials::Lines(lines), Some(cookie)) => cookie.former_tokens(lines.iter()),
            _ => Vec::new(),
        }
    }

    /// The ids of former tokens that do not count, since the new cookie was sent too. A sign-in and
    /// a logout end these sessions.
    pub(super) fn outdated(&self) -> Vec<SessionId> {
        let former = self.former_tokens();
        if former.is_empty() {
            return Vec::new();
        }
        let presented = self.presented();
        let ids = former.iter().map(|token| self.backend.rules.tokens.id(token));
        ids.filter(|id| presented.iter().all(|(known, _)| known != id)).collect()
    }

    /// Whether the new cookie holds no well-formed token.
    fn is_former_alone(&self) -> bool {
        self.backend.rules.transport.tokens(self.credentials.lines()).is_empty()
    }
}

/// The header that removes the former cookie, if it is due. A session found under the former name
/// alone is sent under the new one.
pub(crate) fn former_removal(session: &RequestSession, state: &mut State) -> Option<HeaderValue> {
    let cookie = session.backend.rules.transport.successor()?;
    let came = !session.former_tokens().is_empty();
    let alone = session.is_former_alone();
    if came && alone && matches!(state.cookie, CookieChange::Keep) {
        let held = state.held.as_ref().filter(|held| held.heir.is_none())?;
        state.cookie = CookieChange::Set(held.token.clone());
    }
    let goes = match state.cookie {
        CookieChange::Keep => came,
        CookieChange::Set(_) | CookieChange::Remove => came || !cookie.is_renamed(),
    };
    if goes { cookie.former_removal() } else { None }
}
