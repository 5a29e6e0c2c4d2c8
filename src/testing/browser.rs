//! Cookies and headers of a test client.

#![allow(clippy::panic, reason = "a request that cannot be made has to fail the test")]

use std::{
    future::{Future, poll_fn},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, Uri,
    header::{AUTHORIZATION, COOKIE, HOST, ORIGIN, SET_COOKIE},
    request::Parts,
};
use tower_layer::Layer as _;
use tower_service::Service;

use crate::{
    Error, RedisSessionLayer, SessionContext, Timestamp,
    testing::{
        cookie_jar::{CookieJar, Initiator, Place},
        probe::{Outcome, Probe},
    },
};

const OWN_HOST: &str = "example.org";
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SESSION_TOKEN: HeaderName = HeaderName::from_static("session-token");

/// State that a client shares with its requests.
pub(super) struct Browser {
    layer: RedisSessionLayer,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    jar: CookieJar,
    /// The token, for layers with a header transport.
    token: Option<HeaderValue>,
    plain_http: bool,
}

impl Browser {
    pub(super) fn new<A>(layer: &RedisSessionLayer<A>) -> Self {
        let layer = RedisSessionLayer::new(Arc::clone(&layer.backend));
        Self { layer, state: Mutex::default() }
    }

    pub(super) fn use_plain_http(&self) {
        self.state().plain_http = true;
    }

    pub(super) fn cookie(&self, name: &str) -> Option<String> {
        let now = self.now();
        self.state().jar.value(name, now)
    }

    pub(super) fn set_cookie(&self, line: &str) {
        let now = self.now();
        let mut state = self.state();
        let place = Place {
            host: OWN_HOST,
            path: "/",
            tls: !state.plain_http,
            initiator: Initiator::OwnSite,
        };
        state.jar.set(line, &place, now);
    }

    pub(super) fn clear(&self) {
        let mut state = self.state();
        state.jar = CookieJar::default();
        state.token = None;
    }

    pub(super) fn restart(&self) {
        self.state().jar.end_browser();
    }

    pub(super) async fn send<S, B, R>(
        &self,
        mut app: S,
        mut request: Request<B>,
    ) -> Result<Response<R>, S::Error>
    where
        S: Service<Request<B>, Response = Response<R>>,
    {
        let host = host(request.uri(), request.headers());
        let path = request.uri().path().to_owned();
        let is_safe = request.method().is_safe();
        self.prepare(&host, &path, is_safe, request.headers_mut());
        poll_fn(|context| app.poll_ready(context)).await?;
        let response = app.call(request).await?;
        self.keep(&host, &path, response.headers());
        Ok(response)
    }

    pub(super) async fn session<T, F, Fut>(&self, work: F) -> Result<T, Error>
    where
        F: FnOnce(SessionContext) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let outcome = Outcome::new();
        let failed = outcome.clone();
        let layer = self.layer.clone().on_error(move |error: &Error, _: &Parts| {
            failed.set(Err(error.clone()));
            error.response::<String>()
        });
        let app = layer.layer(Probe::new(work, outcome.clone()));
        let Ok(_) = self.send(app, Request::new(())).await;
        self.settle().await;
        outcome.take()
    }

    pub(super) async fn csrf_token(&self) -> String {
        let token = self.session(|session| async move { session.csrf_token().await }).await;
        match token {
            Ok(token) => token.as_str().to_owned(),
            Err(error) => panic!("there is no CSRF token: {error:?}"),
        }
    }

    fn prepare(&self, host: &str, path: &str, is_safe: bool, headers: &mut HeaderMap) {
        let now = self.now();
        let state = self.state();
        let initiator = match headers.get(SEC_FETCH_SITE) {
            Some(site) if site == "cross-site" && is_safe => Initiator::Link,
            Some(site) if site == "cross-site" => Initiator::CrossSite,
            _ => Initiator::OwnSite,
        };
        let place = Place { host, path, tls: !state.plain_http, initiator };
        let mut add = |name: HeaderName, value: Option<String>| {
            let value = value.and_then(|value| HeaderValue::try_from(value).ok());
            if let (Some(value), false) = (value, headers.contains_key(&name)) {
                let _ = headers.insert(name, value);
            }
        };
        add(COOKIE, state.jar.header(&place, now));
        add(HOST, Some(host.to_owned()));
        if let Some(token) = &state.token {
            let transport = &self.layer.backend.rules.transport;
            let name = transport.request_header().clone();
            let bearer = if name == AUTHORIZATION { "Bearer " } else { "" };
            add(name, token.to_str().ok().map(|token| format!("{bearer}{token}")));
        }
        if !headers.contains_key(ORIGIN) && !headers.contains_key(SEC_FETCH_SITE) {
            let _ = headers.insert(SEC_FETCH_SITE, HeaderValue::from_static("same-origin"));
        }
    }

    fn keep(&self, host: &str, path: &str, headers: &HeaderMap) {
        let now = self.now();
        let mut state = self.state();
        let place = Place { host, path, tls: !state.plain_http, initiator: Initiator::OwnSite };
        for line in headers.get_all(SET_COOKIE).iter().filter_map(|line| line.to_str().ok()) {
            state.jar.set(line, &place, now);
        }
        let transport = &self.layer.backend.rules.transport;
        if !transport.is_ambient() {
            let own = headers.get(transport.request_header());
            if let Some(token) = headers.get(SESSION_TOKEN).or(own) {
                state.token = (!token.is_empty()).then(|| token.clone());
            }
        }
    }

    /// Waits for the layer's activity update, which runs after the response. Bounded, since a store
    /// may be held by the test.
    pub(super) async fn settle(&self) {
        for _ in 0..1_000 {
            if self.layer.backend.tracker.is_empty() {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    fn now(&self) -> Timestamp {
        self.layer.backend.store.clock().now()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn host(uri: &Uri, headers: &HeaderMap) -> String {
    let named = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = uri.host().or(named).unwrap_or(OWN_HOST);
    // Cookies ignore ports.
    host.split(':').next().unwrap_or(OWN_HOST).to_owned()
}
