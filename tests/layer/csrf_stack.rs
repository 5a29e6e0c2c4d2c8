//! The CSRF layer without a server: bodies of every kind, a clock that is moved by hand,
//! transports, and frameworks.
//!
//! To see these fail: drop the trailers of a form; count its bytes after they are taken in; begin
//! its time-out anew with every frame; let an `Authorization` header stand for the transport; call
//! the clone of the inner service.

use std::{
    cell::Cell,
    convert::Infallible,
    future::{Future, Ready, ready},
    io::Cursor,
    marker::{PhantomData, PhantomPinned},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{Extension, Router, routing::get};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, Request, Response, header::CONTENT_TYPE, request::Parts};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use tower::{Layer as _, Service, ServiceBuilder, ServiceExt as _};
use tower_redis_session::{
    CookieConfig, ErrorKind, MemoryStore, RedisSessionLayer, SameSite, SessionContext, Transport,
    clock::ManualClock,
    csrf::{CsrfBody, CsrfBuilder, CsrfError, CsrfErrorKind, CsrfLayer, CsrfService},
};

const FORM: &str = "application/x-www-form-urlencoded";
const HOUR: Duration = Duration::from_secs(3600);

fn sessions() -> RedisSessionLayer {
    RedisSessionLayer::builder(MemoryStore::new()).build().unwrap()
}

type Tell = fn(&CsrfError, &Parts) -> Response<String>;

fn csrf() -> CsrfLayer<Tell> {
    telling(CsrfLayer::builder())
}

fn telling(csrf: CsrfBuilder) -> CsrfLayer<Tell> {
    csrf.build().unwrap().on_error(tell as Tell)
}

fn tell(error: &CsrfError, _: &Parts) -> Response<String> {
    error.response::<()>().map(|()| error.kind().map_or("?".into(), |fault| format!("{fault:?}")))
}

/// What the handler of these tests got: the body's bytes, its trailers, and in how many frames.
type Got = (Vec<u8>, Option<HeaderMap>, usize);

/// Answers with a fresh token; tells what body came in the response's extensions.
async fn page<B: Body>(request: Request<CsrfBody<B>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let session = request.extensions().get::<SessionContext>().cloned();
    let mut body = Box::pin(request.into_body());
    let mut got: Got = (Vec::new(), None, 0);
    while let Some(Ok(frame)) = body.frame().await {
        got.2 += 1;
        match frame.into_data() {
            Ok(data) => got.0.extend_from_slice(&data),
            Err(frame) => got.1 = frame.into_trailers().ok(),
        }
    }
    assert!(body.is_end_stream() && body.size_hint().exact() == Some(0), "{body:?}");
    let token = match session {
        Some(session) => session.csrf_token().await.map(|token| token.to_string()),
        None => Ok("no session".into()),
    };
    let mut response = Response::new(token.unwrap_or_else(|e| format!("{:?}", e.kind())).into());
    response.extensions_mut().insert(got);
    Ok(response)
}

/// A visitor's cookie and token.
async fn visit(sessions: &RedisSessionLayer) -> (String, String) {
    let service = sessions.layer(csrf().layer(tower::service_fn(page::<Empty<Bytes>>)));
    let response = service.oneshot(Request::new(Empty::new())).await.unwrap();
    let cookie = response.headers()["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let token = response.into_body().collect().await.unwrap().to_bytes();
    (cookie, String::from_utf8(token.to_vec()).unwrap())
}

/// What became of a form whose body comes in this way.
async fn submit<B: Body>(
    sessions: &RedisSessionLayer,
    csrf: &CsrfLayer<Tell>,
    cookie: &str,
    body: B,
) -> Result<Got, String> {
    let service = sessions.layer(csrf.layer(tower::service_fn(page::<B>)));
    let request = Request::post("/").header("cookie", cookie).header(CONTENT_TYPE, FORM);
    let response = service.oneshot(request.body(body).unwrap());
    let response = tokio::time::timeout(Duration::from_secs(600), response).await;
    let mut response = response.expect("an answer in any time").unwrap();
    match response.extensions_mut().remove::<Got>() {
        Some(got) => Ok(got),
        None => {
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            Err(format!("{status} {}", String::from_utf8_lossy(&body)))
        }
    }
}

type Frames = Vec<Result<Frame<Cursor<Vec<u8>>>, &'static str>>;

/// A body in these frames, whose buffer is not `Bytes`.
fn frames(frames: Frames) -> impl Body<Data = Cursor<Vec<u8>>, Error = &'static str> {
    StreamBody::new(stream::iter(frames))
}

fn data(text: &str) -> Result<Frame<Cursor<Vec<u8>>>, &'static str> {
    Ok(Frame::data(Cursor::new(text.as_bytes().to_vec())))
}

#[tokio::test]
async fn a_form_in_pieces_comes_whole_with_its_trailers() {
    let sessions = sessions();
    let (cookie, token) = visit(&sessions).await;
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", "5".parse().unwrap());
    let form = format!("a=1&csrf_token={token}&b=2");
    let mut pieces: Frames = form.chars().map(|piece| data(&piece.to_string())).collect();
    pieces.insert(7, data(""));
    pieces.push(Ok(Frame::trailers(trailers.clone())));
    let got = submit(&sessions, &csrf(), &cookie, frames(pieces)).await.unwrap();
    assert_eq!(got, (form.into_bytes(), Some(trailers), 2));
}

#[tokio::test]
async fn what_is_not_read_for_a_token_passes_frame_by_frame() {
    let sessions = sessions();
    let (cookie, token) = visit(&sessions).await;
    let service = sessions.layer(csrf().layer(tower::service_fn(page)));
    let request = Request::post("/").header("cookie", cookie).header("x-csrf-token", token);
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", "5".parse().unwrap());
    let pieces = vec![data("a"), data("b"), Ok(Frame::trailers(trailers.clone()))];
    let body = StreamBody::new(stream::iter(pieces).chain(stream::empty()));
    let request = request.header(CONTENT_TYPE, FORM).body(LastKnown(Box::pin(body), 3)).unwrap();
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.extensions().get::<Got>(), Some(&(b"ab".to_vec(), Some(trailers), 3)));
}

/// A body that knows when it is over.
struct LastKnown<B>(Pin<Box<B>>, usize);

impl<B: Body> Body for LastKnown<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = std::task::ready!(self.0.as_mut().poll_frame(context));
        self.1 = self.1.saturating_sub(1);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.1 == 0
    }

    fn size_hint(&self) -> http_body::SizeHint {
        if self.1 == 0 { http_body::SizeHint::with_exact(0) } else { http_body::SizeHint::new() }
    }
}

#[tokio::test]
async fn a_form_is_read_to_its_bound_and_no_further() {
    let sessions = sessions();
    let csrf = telling(CsrfLayer::builder().max_form_size(128));
    let (cookie, token) = visit(&sessions).await;
    let field = format!("csrf_token={token}&a=");
    let pad = |len: usize| "x".repeat(len - field.len());
    let too_large = Err("413 TooLarge".to_owned());
    let fits = |pieces: Frames| submit(&sessions, &csrf, &cookie, frames(pieces));
    assert_eq!(fits(vec![data(&field), data(&pad(128))]).await.unwrap().0.len(), 128);
    assert_eq!(fits(vec![data(&field), data(&pad(129))]).await, too_large);
    assert_eq!(fits(vec![data(&field), data(&pad(128)), data("x")]).await, too_large);
    assert_eq!(fits(vec![data(&format!("{field}{}", pad(129)))]).await, too_large);
    let small: Frames = (0..10_000).map(|_| data("xxxxxxxxxx")).collect();
    assert_eq!(fits(small).await, too_large);
    assert_eq!(submit(&sessions, &csrf, &cookie, Announced).await, too_large);
}

/// A body that says how large it is, and must not be asked for more.
struct Announced;

impl Body for Announced {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("read, though it is known to be too large")
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(129)
    }
}

#[tokio::test(start_paused = true)]
async fn a_form_that_does_not_come_to_its_end_is_not_waited_for() {
    let sessions = sessions();
    let (cookie, token) = visit(&sessions).await;
    let field = format!("csrf_token={token}");
    let incomplete = Err("408 Incomplete".to_owned());
    let broken = vec![data(&field), Err("broken off")];
    assert_eq!(submit(&sessions, &csrf(), &cookie, frames(broken)).await, incomplete);

    let start = tokio::time::Instant::now();
    let silent = stream::iter([data(&field)]).chain(stream::pending());
    assert_eq!(submit(&sessions, &csrf(), &cookie, StreamBody::new(silent)).await, incomplete);
    assert_eq!(start.elapsed().as_secs(), 30, "as documented");

    let start = tokio::time::Instant::now();
    let trickle = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Some((data("x"), ()))
    })
    .take(100);
    let brief = telling(CsrfLayer::builder().form_timeout(Duration::from_secs(5)));
    let trickle = StreamBody::new(trickle);
    assert_eq!(submit(&sessions, &brief, &cookie, trickle).await, incomplete);
    assert_eq!(start.elapsed().as_secs(), 5, "a byte now and then prolongs nothing");
}

#[tokio::test]
async fn a_token_is_valid_for_an_hour_to_the_millisecond() {
    let clock = ManualClock::new();
    let store = MemoryStore::with_clock(clock.clock());
    let sessions = RedisSessionLayer::builder(store).build().unwrap();
    let (cookie, token) = visit(&sessions).await;
    let form = || Full::<Bytes>::from(format!("csrf_token={token}"));
    clock.advance(HOUR - Duration::from_millis(1));
    assert!(submit(&sessions, &csrf(), &cookie, form()).await.is_ok());
    clock.advance(Duration::from_millis(1));
    let expired = Err("403 Expired".to_owned());
    assert_eq!(submit(&sessions, &csrf(), &cookie, form()).await, expired);
}

async fn post(
    sessions: &RedisSessionLayer,
    headers: &[(&str, &str)],
) -> (Response<Bytes>, Option<Got>) {
    let service = sessions.layer(csrf().layer(tower::service_fn(page::<Empty<Bytes>>)));
    let mut request = Request::post("/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = service.oneshot(request.body(Empty::new()).unwrap()).await.unwrap();
    let got = response.extensions_mut().remove::<Got>();
    let (head, body) = response.into_parts();
    (Response::from_parts(head, body.collect().await.unwrap().to_bytes()), got)
}

#[tokio::test]
async fn where_tokens_come_in_a_header_nothing_can_be_forged() {
    let evil = [("sec-fetch-site", "cross-site"), ("origin", "https://evil.test")];
    for transport in [Transport::bearer(), Transport::header("x-session".parse().unwrap())] {
        let builder = RedisSessionLayer::builder(MemoryStore::new()).transport(transport);
        let (response, got) = post(&builder.build().unwrap(), &evil).await;
        assert!(got.is_some(), "{response:?}");
        assert_eq!(response.body(), "Absent", "there is nothing to bind a token to");
        assert!(!response.headers().contains_key("set-cookie"), "{response:?}");
    }
}

/// Browsers send cookies with the handshake of a WebSocket, whatever page asks for it, and no script
/// can add a token there.
#[tokio::test]
async fn a_websocket_is_opened_by_the_pages_of_this_service_alone() {
    let own = ("origin", "https://shop.example");
    let sibling = ("origin", "https://a.shop.example");
    let upgrade = |value| ("upgrade", value);
    for (name, method, headers, status) in [
        ("its own page", "GET", vec![upgrade("websocket"), own], 200),
        ("no browser", "GET", vec![upgrade("websocket")], 200),
        ("a sibling host", "GET", vec![upgrade("websocket"), sibling], 403),
        ("another site", "GET", vec![upgrade("websocket"), ("origin", "https://evil.test")], 403),
        (
            "by the browser",
            "GET",
            vec![upgrade("websocket"), ("sec-fetch-site", "cross-site")],
            403,
        ),
        ("in other letters", "GET", vec![upgrade("h2c, WebSocket"), sibling], 403),
        ("another protocol", "GET", vec![upgrade("h2c"), sibling], 200),
        ("over HTTP/2", "CONNECT", vec![own], 200),
        ("over HTTP/2, a sibling host", "CONNECT", vec![sibling], 403),
        ("no socket", "POST", vec![own], 403),
    ] {
        let service = sessions().layer(csrf().layer(tower::service_fn(page::<Empty<Bytes>>)));
        let mut request = Request::builder().method(method).uri("/").header("host", "shop.example");
        for (header, value) in headers {
            request = request.header(header, value);
        }
        let response = service.oneshot(request.body(Empty::new()).unwrap()).await.unwrap();
        assert_eq!(response.status(), status, "{name}");
    }
}

#[tokio::test]
async fn a_session_whose_token_comes_in_a_header_has_csrf_tokens_too() {
    let builder = RedisSessionLayer::builder(MemoryStore::new()).transport(Transport::bearer());
    let service =
        builder.build().unwrap().layer(tower::service_fn(|request: Request<()>| async move {
            let session = request.extensions().get::<SessionContext>().unwrap();
            session.login("alice").await.unwrap();
            let token = session.csrf_token().await.unwrap();
            session.verify_csrf(token.as_str()).await.unwrap();
            session.logout().await.unwrap();
            let fault = session.verify_csrf(token.as_str()).await.unwrap_err().kind();
            assert_eq!(fault, Some(CsrfErrorKind::Foreign));
            let error = session.csrf_token().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Absent);
            Ok::<_, Infallible>(Response::new(String::new()))
        }));
    let response = service.oneshot(Request::new(())).await.unwrap();
    assert!(!response.headers().contains_key("set-cookie"));
}

#[tokio::test]
async fn a_header_that_looks_like_a_token_stands_for_nothing_where_cookies_do() {
    for header in ["authorization", "session-token", "x-session", "x-requested-with"] {
        let (response, got) = post(&sessions(), &[(header, "Bearer x")]).await;
        assert_eq!((response.status().as_u16(), got), (403, None), "{header}");
        assert_eq!(response.body(), "Missing", "{header}");
    }
}

#[tokio::test]
async fn the_host_is_that_of_the_target_where_it_has_one() {
    let sessions = sessions();
    let (cookie, token) = visit(&sessions).await;
    for (name, target, host, origin, passes) in [
        ("in the header", "/", Some("shop.test"), "https://shop.test", true),
        ("in the target", "https://shop.test/", None, "https://shop.test", true),
        ("target before header", "http://shop.test/", Some("x.test"), "https://shop.test", true),
        ("header behind target", "http://shop.test/", Some("x.test"), "https://x.test", false),
        ("usual port", "/", Some("shop.test:443"), "https://shop.test", true),
        ("nowhere", "/", None, "https://shop.test", false),
    ] {
        let mut request = Request::post(target).header("cookie", &cookie).header("origin", origin);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let request = request.header("x-csrf-token", &token).body(Empty::new()).unwrap();
        let service = sessions.layer(csrf().layer(tower::service_fn(page::<Empty<Bytes>>)));
        let status = service.oneshot(request).await.unwrap().status().as_u16();
        assert_eq!(status, if passes { 200 } else { 403 }, "{name}");
    }
}

#[tokio::test]
async fn a_visitors_cookie_is_like_the_sessions_but_never_weaker_nor_longer() {
    let cookie = CookieConfig::new("__Secure-shop")
        .domain("shop.test")
        .path("/a")
        .same_site(SameSite::Strict)
        .persistent()
        .insecure_allow_scripts();
    let sessions = RedisSessionLayer::builder(MemoryStore::new()).cookie(cookie).build().unwrap();
    let service = sessions.layer(csrf().layer(tower::service_fn(page::<Empty<Bytes>>)));
    let response = service.oneshot(Request::new(Empty::new())).await.unwrap();
    let line = response.headers()["set-cookie"].to_str().unwrap();
    let (pair, attributes) = line.split_once("; ").unwrap();
    assert!(pair.starts_with("__Secure-shop_csrf="), "{pair}");
    assert_eq!(attributes, "HttpOnly; SameSite=Strict; Secure; Path=/a; Domain=shop.test");
}

#[tokio::test]
async fn other_names_for_header_and_field_replace_the_usual_ones() {
    let sessions = sessions();
    let (cookie, token) = visit(&sessions).await;
    let names = CsrfLayer::builder().header("x-xsrf".parse().unwrap()).field("authenticity");
    let names = telling(names);
    for (field, passes) in [("authenticity", true), ("csrf_token", false)] {
        let form = Full::<Bytes>::from(format!("{field}={token}"));
        assert_eq!(submit(&sessions, &names, &cookie, form).await.is_ok(), passes, "{field}");
    }
    for (header, passes) in [("x-xsrf", true), ("x-csrf-token", false)] {
        let service = sessions.layer(names.layer(tower::service_fn(page::<Empty<Bytes>>)));
        let request = Request::post("/").header("cookie", &cookie).header(header, &token);
        let response = service.oneshot(request.body(Empty::new()).unwrap()).await.unwrap();
        assert_eq!(response.status() == 200, passes, "{header}");
    }
}

#[tokio::test]
async fn without_a_session_layer_nothing_unsafe_passes() {
    let service = CsrfLayer::new().layer(tower::service_fn(page::<Empty<Bytes>>));
    let response = service.clone().oneshot(Request::new(Empty::new())).await.unwrap();
    assert_eq!(response.status(), 200);
    let request = Request::post("/").body(Empty::new()).unwrap();
    assert_eq!(service.oneshot(request).await.unwrap().status(), 503);
}

#[tokio::test]
async fn the_answer_to_a_refusal_does_not_tell_the_fault_unless_it_is_made_to() {
    let service = sessions().layer(CsrfLayer::new().layer(tower::service_fn(page::<Empty<Bytes>>)));
    let mut bodies = Vec::new();
    for header in [("sec-fetch-site", "cross-site"), ("x-csrf-token", "x"), ("x-a", "b")] {
        let request = Request::post("/").header(header.0, header.1).body(Empty::new()).unwrap();
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 403);
        assert_eq!(response.headers()[CONTENT_TYPE], "text/plain; charset=utf-8");
        bodies.push(response.into_body().collect().await.unwrap().to_bytes());
    }
    assert!(!bodies[0].is_empty() && bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
}

/// At each step: by the head alone, by a token in the header, in a form, and with no end of the
/// form.
#[tokio::test]
async fn the_answer_to_a_refusal_can_depend_on_the_request() {
    let tell = |error: &CsrfError, parts: &Parts| {
        let asked = parts.headers.get("x-asked").unwrap().to_str().unwrap();
        error.response::<()>().map(|()| format!("{asked} {}", parts.uri.path()))
    };
    let csrf = CsrfLayer::builder().max_form_size(128).build().unwrap().on_error(tell);
    let service = sessions().layer(csrf.layer(tower::service_fn(page::<Full<Bytes>>)));
    let long = "x".repeat(200);
    for (name, header, body) in [
        ("head", ("sec-fetch-site", "cross-site"), ""),
        ("token", ("x-csrf-token", "x"), ""),
        ("form", (CONTENT_TYPE.as_str(), FORM), "csrf_token=x"),
        ("no field", (CONTENT_TYPE.as_str(), FORM), "a=b"),
        ("too long", (CONTENT_TYPE.as_str(), FORM), &*long),
    ] {
        let request =
            Request::post("/some/where").header("x-asked", name).header(header.0, header.1);
        let response =
            service.clone().oneshot(request.body(Full::from(body.to_owned())).unwrap()).await;
        let said = response.unwrap().into_body().collect().await.unwrap().to_bytes();
        assert_eq!(said, format!("{name} /some/where"));
    }
}

#[tokio::test]
async fn axum_takes_the_layer_and_its_extractors_the_form() {
    async fn form(Extension(session): Extension<SessionContext>) -> String {
        session.csrf_token().await.unwrap().to_string()
    }
    let app = Router::new()
        .route("/", get(form).post(|text: String| async move { text }))
        .layer(CsrfLayer::new())
        .layer(sessions());
    let page = app.clone().oneshot(Request::get("/").body(String::new()).unwrap()).await.unwrap();
    let cookie =
        page.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let token = page.into_body().collect().await.unwrap().to_bytes();
    let form = format!("csrf_token={}&a=1", String::from_utf8_lossy(&token));
    let request = Request::post("/").header("cookie", cookie).header(CONTENT_TYPE, FORM);
    let response = app.clone().oneshot(request.body(form.clone()).unwrap()).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), form);
    let forged = app.oneshot(Request::post("/").body(form).unwrap()).await.unwrap();
    assert_eq!(forged.status(), 403);
}

/// A service whose clones are not ready, and that is neither `Sync` nor called without being asked.
struct Careful {
    ready: bool,
    _not_sync: Cell<()>,
}

impl Clone for Careful {
    fn clone(&self) -> Self {
        Self { ready: false, _not_sync: Cell::new(()) }
    }
}

impl Service<Request<CsrfBody<String>>> for Careful {
    type Response = Response<CsrfBody<String>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<CsrfBody<String>>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called without being asked");
        ready(Ok(Response::new(request.into_body())))
    }
}

#[tokio::test]
async fn the_service_that_said_it_is_ready_is_the_one_called() {
    let sessions = sessions();
    let (cookie, token) = visit(&sessions).await;
    let careful = Careful { ready: false, _not_sync: Cell::new(()) };
    let mut service = sessions.layer(csrf().layer(careful));
    let form = format!("csrf_token={token}");
    for (name, method, header, body) in [
        ("safe", "GET", None, ""),
        ("header", "POST", Some(("x-csrf-token", &*token)), "abc"),
        ("field", "POST", Some(("content-type", FORM)), &*form),
        ("once more", "POST", Some(("x-csrf-token", &*token)), "abc"),
    ] {
        let mut request = Request::builder().method(method).header("cookie", &cookie);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let request = request.body(body.to_owned()).unwrap();
        let response = service.ready().await.unwrap().call(request).await.unwrap();
        assert_eq!(response.status(), 200, "{name}");
        assert_eq!(response.into_body().collect().await.ok().unwrap().to_bytes(), body, "{name}");
    }
}

/// A chunk so many times: a body that is neither `Clone`, `Default`, `Unpin`, `Send`, `Sync` nor of
/// `Bytes`, with an error that is no `std::error::Error`.
struct Odd(Cell<usize>, PhantomPinned, PhantomData<*const ()>);

#[derive(Debug)]
struct OddError;

impl Body for Odd {
    type Data = Cursor<&'static [u8]>;
    type Error = OddError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, OddError>>> {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        Poll::Ready((left > 0).then(|| Ok(Frame::data(Cursor::new(b"x=1&".as_slice())))))
    }
}

#[tokio::test]
async fn any_body_will_do() {
    let sessions = sessions();
    let (cookie, _) = visit(&sessions).await;
    for (chunks, found) in [(0, "403 Missing"), (1, "403 Missing"), (20_000, "413 TooLarge")] {
        let odd = Odd(Cell::new(chunks), PhantomPinned, PhantomData);
        let outcome = submit(&sessions, &csrf(), &cookie, odd).await;
        assert_eq!(outcome, Err(found.to_owned()), "{chunks} chunks");
    }
}

#[test]
fn layer_service_and_future_can_go_where_their_parts_can() {
    fn assert_shared<T: Clone + Send + Sync + 'static>() {}
    assert_shared::<CsrfLayer>();
    assert_shared::<CsrfService<()>>();
    fn assert_sends<T: Send>(_: &T) {}
    fn assert_future<F: Future>(_: &F) {}
    let service = tower::service_fn(|_: Request<CsrfBody<String>>| async {
        Ok::<_, Infallible>(Response::new(String::new()))
    });
    let mut service = ServiceBuilder::new().layer(CsrfLayer::new()).service(service);
    let future = service.call(Request::new(String::new()));
    assert_sends(&future);
    assert_future(&future);
}
