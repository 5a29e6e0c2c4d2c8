//! Refuses requests that another site made a browser send.
//!
//! `SameSite=Lax` keeps the cookie off cross-site POSTs, yet it is not enough: a sibling subdomain
//! is the same *site*, and the sign-in form works without any cookie. Browsers say where a request
//! comes from, so no token is needed in the forms.

use std::{
    future::{Ready, ready},
    task::{Context, Poll},
};

use futures_util::future::Either;
use http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use tower::{Layer, Service};

use crate::reply::{Answer, text};

/// Puts [`SameOrigin`] in front of a service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SameOriginLayer;

impl<S> Layer<S> for SameOriginLayer {
    type Service = SameOrigin<S>;

    fn layer(&self, inner: S) -> SameOrigin<S> {
        SameOrigin { inner }
    }
}

/// Answers 403 to a request that changes something and comes from elsewhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SameOrigin<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for SameOrigin<S>
where
    S: Service<Request<B>, Response = Answer>,
{
    type Response = Answer;
    type Error = S::Error;
    type Future = Either<Ready<Result<Answer, S::Error>>, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if is_trusted(request.method(), request.uri(), request.headers()) {
            return Either::Right(self.inner.call(request));
        }
        // Fails closed: the session is not touched and the body is not read.
        let refusal = text(StatusCode::FORBIDDEN, "This request came from another site.\n");
        Either::Left(ready(Ok(refusal)))
    }
}

fn is_trusted(method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return true;
    }
    // Browsers send this to trustworthy addresses, and no script can forge it. "none" is a person
    // at the address bar, who reloads the answer to a form.
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    // Without either header it is no browser of this decade, so there is nobody to trick.
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let host = match uri.authority() {
        // HTTP/2 has the host in the address.
        Some(authority) => Some(authority.as_str().as_bytes()),
        None => headers.get(header::HOST).map(|host| host.as_bytes()),
    };
    host.is_some_and(|host| {
        let origin = origin.as_bytes();
        // "null", which a sandboxed frame sends, has neither prefix.
        [&b"http://"[..], b"https://"]
            .iter()
            .filter_map(|scheme| origin.strip_prefix(*scheme))
            .any(|origin_host| origin_host.eq_ignore_ascii_case(host))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn only_requests_of_this_origin_may_change_something() {
        for (name, method, sent, trusted) in [
            ("a page view from anywhere", "GET", &[("sec-fetch-site", "cross-site")][..], true),
            ("a form of our page", "POST", &[("sec-fetch-site", "same-origin")], true),
            ("a reload by the person", "POST", &[("sec-fetch-site", "none")], true),
            ("a form of another site", "POST", &[("sec-fetch-site", "cross-site")], false),
            ("a sibling subdomain", "POST", &[("sec-fetch-site", "same-site")], false),
            (
                "the stronger header counts",
                "POST",
                &[("sec-fetch-site", "cross-site"), ("origin", "http://127.0.0.1:3000")],
                false,
            ),
            ("our origin", "POST", &[("origin", "http://127.0.0.1:3000")], true),
            ("our origin behind TLS", "POST", &[("origin", "https://127.0.0.1:3000")], true),
            ("another origin", "POST", &[("origin", "http://evil.example")], false),
            ("another port", "POST", &[("origin", "http://127.0.0.1:3001")], false),
            (
                "ours as a prefix",
                "POST",
                &[("origin", "http://127.0.0.1:3000.evil.example")],
                false,
            ),
            ("a sandboxed frame", "POST", &[("origin", "null")], false),
            ("a command line tool", "POST", &[], true),
            ("any method that is not a view", "DELETE", &[("origin", "null")], false),
        ] {
            let mut request =
                Request::builder().method(method).uri("/").header("host", "127.0.0.1:3000");
            for (header, value) in sent {
                request = request.header(*header, *value);
            }
            let (parts, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(is_trusted(&parts.method, &parts.uri, &parts.headers), trusted, "{name}");
        }
    }

    #[test]
    fn http_2_names_the_host_in_the_address() {
        let (parts, ()) = Request::post("http://127.0.0.1:3000/login")
            .header("origin", "http://127.0.0.1:3000")
            .body(())
            .unwrap()
            .into_parts();
        assert!(is_trusted(&parts.method, &parts.uri, &parts.headers));
    }
}
