//! Routing of the endpoints. Only the end of the path counts.

use http::Method;

use crate::session::token::SessionId;

/// The endpoint of a request.
#[derive(Debug, PartialEq)]
pub(super) enum Route {
    State,
    Validate,
    Heartbeat,
    Sessions,
    Revoke(SessionId),
    RevokeOthers,
    Logout,
    LogoutEverywhere,
    EndImpersonation,
    Events,
    /// The path exists, for these methods.
    NotAllowed(&'static str),
    Unknown,
}

impl Route {
    pub(super) fn of(method: &Method, path: &str) -> Self {
        let mut segments = path.trim_end_matches('/').rsplit('/');
        let (last, before, first) = (segments.next(), segments.next(), segments.next());
        let (last, before) = (last.unwrap_or_default(), before.unwrap_or_default());
        let (get, post) = (method == Method::GET, method == Method::POST);
        // A server supports HEAD wherever it supports GET (RFC 9110 section 9.1); a stream has no
        // head to show.
        let read = get || method == Method::HEAD;
        let pick = |right: bool, route: Self, methods| {
            if right { route } else { Self::NotAllowed(methods) }
        };
        match (before, last) {
            ("sessions", "revoke-others") => pick(post, Self::RevokeOthers, "POST"),
            (id, "revoke") if first == Some("sessions") => match id.parse() {
                Ok(id) => pick(post, Self::Revoke(id), "POST"),
                Err(_) => Self::Unknown,
            },
            ("sessions", id) if id.parse::<SessionId>().is_ok() => match id.parse() {
                Ok(id) => pick(method == Method::DELETE, Self::Revoke(id), "DELETE"),
                Err(_) => Self::Unknown,
            },
            (_, "state") => pick(read, Self::State, "GET, HEAD"),
            (_, "validate") => pick(post, Self::Validate, "POST"),
            (_, "heartbeat") => pick(post, Self::Heartbeat, "POST"),
            (_, "sessions") => pick(read, Self::Sessions, "GET, HEAD"),
            (_, "logout") => pick(post, Self::Logout, "POST"),
            (_, "logout-everywhere") => pick(post, Self::LogoutEverywhere, "POST"),
            (_, "end-impersonation") => pick(post, Self::EndImpersonation, "POST"),
            (_, "events") => pick(get, Self::Events, "GET"),
            _ => Self::Unknown,
        }
    }

    /// Whether it changes nothing, so that a forged request is harmless.
    pub(super) const fn is_safe(&self) -> bool {
        matches!(self, Self::State | Self::Sessions | Self::Events)
    }
}

#[cfg(test)]
mod tests {
    use crate::session_api::route::*;

    #[test]
    fn the_end_of_the_path_and_the_method_decide() {
        let id = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let parsed: SessionId = id.parse().unwrap();
        for (method, path, route) in [
            ("GET", "/state", Route::State),
            ("GET", "/api/session/state/", Route::State),
            ("POST", "/api/session/state", Route::NotAllowed("GET, HEAD")),
            ("HEAD", "/state", Route::State),
            ("HEAD", "/events", Route::NotAllowed("GET")),
            ("POST", "/validate", Route::Validate),
            ("POST", "/x/heartbeat", Route::Heartbeat),
            ("GET", "/x/heartbeat", Route::NotAllowed("POST")),
            ("GET", "/sessions", Route::Sessions),
            ("DELETE", &format!("/a/sessions/{id}"), Route::Revoke(parsed)),
            ("POST", &format!("/a/sessions/{id}/revoke"), Route::Revoke(parsed)),
            ("POST", &format!("/a/others/{id}/revoke"), Route::Unknown),
            ("GET", &format!("/sessions/{id}"), Route::NotAllowed("DELETE")),
            ("DELETE", "/sessions/not-an-id", Route::Unknown),
            ("POST", "/sessions/revoke-others", Route::RevokeOthers),
            ("POST", "/logout", Route::Logout),
            ("POST", "/logout-everywhere", Route::LogoutEverywhere),
            ("POST", "/end-impersonation", Route::EndImpersonation),
            ("GET", "/events", Route::Events),
            ("GET", "/api/sessions/state", Route::State),
            ("GET", "/api/sessions/sessions", Route::Sessions),
            ("GET", "/", Route::Unknown),
            ("GET", "", Route::Unknown),
            ("GET", "/stat", Route::Unknown),
        ] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(Route::of(&method, path), route, "{method} {path}");
        }
    }
}
