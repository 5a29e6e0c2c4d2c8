//! The cookie that the session's cookie has taken the place of: read, and removed.

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
    /// The tokens that came in the former cookie.
    pub(super) fn former_tokens(&self) -> Vec<Token> {
        match (&self.credentials, self.backend.rules.transport.successor()) {
            (Credentials::Lines(lines), Some(cookie)) => cookie.former_tokens(lines.iter()),
            _ => Vec::new(),
        }
    }

    /// The same where they do not count: the new cookie came too. A sign-in and a logout end what
    /// they open.
    pub(super) fn outdated(&self) -> Vec<SessionId> {
        let former = self.former_tokens();
        if former.is_empty() {
            return Vec::new();
        }
        let presented = self.presented();
        let ids = former.iter().map(|token| self.backend.rules.tokens.id(token));
        ids.filter(|id| presented.iter().all(|(known, _)| known != id)).collect()
    }

    /// Whether no well-formed token came in the new cookie.
    fn is_former_alone(&self) -> bool {
        self.backend.rules.transport.tokens(self.credentials.lines()).is_empty()
    }
}

/// The header that removes the former cookie, if its time has come. A session that was found under
/// its name alone is handed out under the new one.
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
