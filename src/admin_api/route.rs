//! Routing of the endpoints. Only the end of the path counts.

use http::Method;

use crate::session::token::SessionId;

/// The endpoint of a request.
#[derive(Debug, PartialEq)]
pub(super) enum Route {
    Status,
    Sessions,
    Revoke(SessionId),
    RevokeAll,
    /// The path exists, for these methods.
    NotAllowed(&'static str),
    Unknown,
}

impl Route {
    pub(super) fn of(method: &Method, path: &str) -> Self {
        let trimmed = path.trim_end_matches('/');
        let mut segments = trimmed.rsplit('/');
        let mut next = || segments.next().unwrap_or_default();
        let (last, before, first) = (next(), next(), next());
        // A server supports HEAD wherever it supports GET (RFC 9110 section 9.1).
        let read = method == Method::GET || method == Method::HEAD;
        let (post, delete) = (method == Method::POST, method == Method::DELETE);
        let pick = |right: bool, route: Self, methods| {
            if right { route } else { Self::NotAllowed(methods) }
        };
        match (before, last) {
            ("sessions", "revoke-all") => pick(post, Self::RevokeAll, "POST"),
            (id, "revoke") if first == "sessions" => match id.parse() {
                Ok(id) => pick(post, Self::Revoke(id), "POST"),
                Err(_) => Self::Unknown,
            },
            (_, "status") => pick(read, Self::Status, "GET, HEAD"),
            // Fails closed: the id of one session is missing.
            (_, "sessions") if trimmed.len() < path.len() => Self::Unknown,
            (_, "sessions") if delete => Self::RevokeAll,
            (_, "sessions") => pick(read, Self::Sessions, "GET, HEAD, DELETE"),
            ("sessions", id) => match id.parse() {
                Ok(id) => pick(delete, Self::Revoke(id), "DELETE"),
                Err(_) => Self::Unknown,
            },
            _ => Self::Unknown,
        }
    }

    /// Whether it changes something, so that a forged request would do harm.
    pub(super) const fn is_change(&self) -> bool {
        matches!(self, Self::Revoke(_) | Self::RevokeAll)
    }
}

#[cfg(test)]
mod tests {
    use crate::admin_api::route::*;

    #[test]
    fn the_end_of_the_path_and_the_method_decide() {
        let id = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let parsed: SessionId = id.parse().unwrap();
        for (method, path, route) in [
            ("GET", "/status", Route::Status),
            ("HEAD", "/admin/status/", Route::Status),
            ("POST", "/status", Route::NotAllowed("GET, HEAD")),
            ("GET", "/admin/sessions", Route::Sessions),
            ("HEAD", "/admin/sessions", Route::Sessions),
            ("DELETE", "/admin/sessions", Route::RevokeAll),
            ("POST", "/admin/sessions", Route::NotAllowed("GET, HEAD, DELETE")),
            ("DELETE", "/admin/sessions/", Route::Unknown),
            ("DELETE", "/sessions//", Route::Unknown),
            ("GET", "/sessions/", Route::Unknown),
            ("POST", "/sessions//revoke", Route::Unknown),
            ("POST", "/sessions/revoke", Route::Unknown),
            ("POST", "/sessions/revoke-all", Route::RevokeAll),
            ("DELETE", "/sessions/revoke-all", Route::NotAllowed("POST")),
            ("GET", "/sessions/revoke-all", Route::NotAllowed("POST")),
            ("DELETE", &format!("/a/sessions/{id}"), Route::Revoke(parsed)),
            ("POST", &format!("/a/sessions/{id}/revoke"), Route::Revoke(parsed)),
            ("GET", &format!("/a/sessions/{id}/revoke"), Route::NotAllowed("POST")),
            ("GET", &format!("/sessions/{id}"), Route::NotAllowed("DELETE")),
            ("DELETE", &format!("/others/{id}"), Route::Unknown),
            ("DELETE", "/sessions/not-an-id", Route::Unknown),
            ("POST", "/revoke-all", Route::Unknown),
            ("GET", "/", Route::Unknown),
            ("GET", "", Route::Unknown),
        ] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(Route::of(&method, path), route, "{method} {path}");
        }
    }
}
