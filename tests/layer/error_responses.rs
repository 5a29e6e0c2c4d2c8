//! Error responses: one function of the application for the session layer, guards and CSRF, and
//! what a client gets without one.
//!
//! To see these fail: give `respond` the request's path as a router left it; keep no copy of the
//! head, or always one; send the body to `HEAD`; put the error's text into the body.

use std::{collections::VecDeque, convert::Infallible, io::Cursor, time::Duration};

use axum::{Router, body::Body, extract::Request, routing};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header, request::Parts};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use test_support::faulty_store::{Fault, FaultyStore, Op, session_of};
use tower::{Layer, ServiceBuilder, ServiceExt as _, service_fn};
use tower_redis_session::{
    Error, ErrorKind, MemoryStore, RedisSessionLayer, SessionContext, Transport,
    csrf::{CsrfError, CsrfErrorKind, CsrfLayer},
    guard::{Denied, DeniedKind, RequireLayer, requested_place},
    response::{BodyError, ErrorResponse, HttpError, PlainErrorResponse, accepts_html, is_grpc},
};

const JSON: &str = "application/json";
const PAGE: &str = "text/html,application/xhtml+xml;q=0.9";

/// A page for a browser and JSON for a program, with the method and place that were requested.
fn shape<E: HttpError>(error: &E, request: &Parts) -> Response<Full<Bytes>> {
    if is_grpc(request) {
        return PlainErrorResponse.respond(error, request).map(Full::from);
    }
    let place = requested_place(request).unwrap();
    let said = format!("{} {place} {:?}", request.method, request.version);
    let (kind, text) = if accepts_html(request) {
        ("text/html", format!("<p>{}: {said}", error.message()))
    } else {
        ("application/json", format!(r#"["{}","{said}"]"#, error.code()))
    };
    let mut response = error.response_to(request, Full::from(text));
    let _ = response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn layer_on(store: &FaultyStore) -> RedisSessionLayer {
    RedisSessionLayer::builder(store.clone()).build().unwrap()
}

/// Routes whose handler changes the session, whose guard rejects everybody, and whose forms are
/// verified.
fn routes() -> Router {
    let insert = async |request: Request| {
        let session: &SessionContext = request.extensions().get().unwrap();
        session.insert("n", &1).await.unwrap();
    };
    let members =
        Router::new().route("/", routing::get("in")).layer(RequireLayer::user().on_denied(shape));
    Router::new()
        .route("/form", routing::post("in"))
        .nest("/members", members)
        .layer(CsrfLayer::new().on_error(shape))
        .route("/insert", routing::put(insert))
}

#[tokio::test]
async fn one_function_shapes_the_responses_of_layer_guard_and_csrf() {
    let store = FaultyStore::new();
    let inside = Router::new().nest("/a", routes().layer(layer_on(&store).on_error(shape)));
    let outside = Router::new().nest("/a", routes()).layer(layer_on(&store).on_error(shape));
    let forged = "the request could not be verified: reload the page and try again";
    for (app, (path, method, status, code, sentence)) in [inside, outside].iter().flat_map(|app| {
        let cases = [
            ("/a/insert?n=1", Method::PUT, 503, "unavailable", "Service Unavailable"),
            ("/a/members?n=1", Method::GET, 401, "unauthenticated", "Unauthorized"),
            ("/a/form?n=1", Method::POST, 403, "csrf_failed", forged),
        ];
        cases.map(|case| (app, case))
    }) {
        let json = format!(r#"["{code}","{method} {path} HTTP/1.1"]"#);
        let page = format!("<p>{sentence}: {method} {path} HTTP/1.1");
        for (accept, kind, text) in [(JSON, "application/json", json), (PAGE, "text/html", page)] {
            store.fault(Op::Create, Fault::Fails);
            let request = Request::builder().method(&method).uri(path).header("accept", accept);
            let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            assert_eq!(response.status(), status, "{path}");
            assert_eq!(response.headers()[header::CONTENT_TYPE], kind);
            assert_eq!(value(&response, "retry-after"), if status == 503 { "1" } else { "" });
            let scheme = if status == 401 { "Session" } else { "" };
            assert_eq!(value(&response, "www-authenticate"), scheme, "{path}");
            assert!(!response.headers().contains_key(header::SET_COOKIE));
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), text);
        }
        if method != Method::POST {
            continue;
        }
        let call = Request::post(path);
        let call = call.header(header::CONTENT_TYPE, "application/grpc");
        store.fault(Op::Create, Fault::Fails);
        let response = app.clone().oneshot(call.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["grpc-message"], code, "{path}");
    }
}

fn value<'a, B>(response: &'a Response<B>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// Of the head of a request a copy is kept only for error responses that read it.
#[tokio::test]
async fn without_a_function_no_copy_of_the_head_is_kept() {
    let plain = layer_on(&FaultyStore::new());
    assert!(!is_copied(plain.clone()).await);
    assert!(!is_copied(plain.clone().on_error(Fixed)).await);
    assert!(is_copied(plain.on_error(shape)).await);
}

/// Whether a header's bytes are still held when the handler has dropped the request.
async fn is_copied<A>(layer: RedisSessionLayer<A>) -> bool
where
    A: ErrorResponse<Error, Body: Send + 'static> + Send,
{
    let bytes = Bytes::from("a long header".to_owned());
    let mut request = http::Request::new(());
    let name = HeaderName::from_static("x-header");
    let value = HeaderValue::from_maybe_shared(bytes.clone()).unwrap();
    let _ = request.headers_mut().insert(name, value);
    assert!(!bytes.is_unique(), "the header shares the bytes");
    let held = bytes.clone();
    drop(bytes);
    let inner = service_fn(move |request: http::Request<()>| {
        let session = session_of(&request);
        drop(request);
        let copied = !held.is_unique();
        async move {
            session.insert("n", &1).await.unwrap();
            let response = Response::builder().header("x-copied", copied.to_string());
            Ok::<_, Infallible>(response.body(String::new()).unwrap())
        }
    });
    let response = layer.layer(inner).oneshot(request).await.unwrap();
    response.headers()["x-copied"] == "true"
}

/// A response that needs no more of the request than is known without a copy.
#[derive(Clone)]
struct Fixed;

impl ErrorResponse<Error> for Fixed {
    type Body = String;

    fn respond(&self, error: &Error, request: &Parts) -> Response<String> {
        let place = requested_place(request).unwrap();
        let has_session = request.extensions.get::<SessionContext>().is_some();
        let said = (&request.method, place, is_grpc(request), has_session);
        let mut response = error.response_to(request, "fixed".to_owned());
        let said = HeaderValue::try_from(format!("{said:?}")).unwrap();
        let _ = response.headers_mut().insert("x-said", said);
        response
    }

    fn reads_request(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn path_head_grpc_and_session_are_known_without_a_copy() {
    let store = FaultyStore::new();
    for (method, kind, said, text) in [
        (Method::GET, "text/html", "(GET, /a?b=1, false, true)", "fixed"),
        (Method::HEAD, "text/html", "(HEAD, /a?b=1, false, true)", ""),
        (Method::POST, "application/grpc+proto", "(POST, /a?b=1, true, true)", "fixed"),
    ] {
        let inner = service_fn(|request: http::Request<()>| async move {
            session_of(&request).insert("n", &1).await.unwrap();
            let response = Response::builder().header(header::CONTENT_TYPE, kind);
            Ok::<_, Infallible>(response.body(Full::<Bytes>::from("done")).unwrap())
        });
        store.fault(Op::Create, Fault::Fails);
        let request = http::Request::builder().method(method).uri("http://a.example/a?b=1");
        let service = layer_on(&store).on_error(Fixed).layer(inner);
        let response = service.oneshot(request.body(()).unwrap()).await.unwrap();
        assert_eq!((response.status().as_u16(), value(&response, "x-said")), (503, said));
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), text);
    }
}

/// Of a router that strips prefixes around the layer the handler's path is a part.
#[tokio::test]
async fn the_path_without_a_copy_is_the_one_that_the_client_requested() {
    let store = FaultyStore::new();
    let save = async |session: SessionContext| session.insert("n", &1).await.map(|()| "saved");
    store.fault(Op::Create, Fault::Fails);
    let inside = Router::new().route("/a", routing::get(save));
    let app = Router::new().nest("/api", inside.layer(layer_on(&store).on_error(Fixed)));
    let request = http::Request::get("/api/a?b=1").body(Body::empty()).unwrap();
    let response = app.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(value(&response, "x-said"), "(GET, /api/a?b=1, false, true)");
}

/// A 200 that a cache would keep, and a content type of any `GET`, are no response to a browser.
#[tokio::test]
async fn only_a_post_of_grpc_gets_a_grpc_status_and_no_cache_keeps_it() {
    let app = |deny: bool| {
        let inner = service_fn(async |_: http::Request<String>| {
            Ok::<_, Infallible>(Response::new("members".to_owned()))
        });
        let guard = RequireLayer::user();
        let layer = layer_on(&FaultyStore::new());
        match deny {
            true => layer.layer(guard.layer(inner).boxed_clone()),
            false => {
                let plain = guard.on_denied(PlainErrorResponse);
                layer.layer(plain.layer(inner).boxed_clone())
            }
        }
    };
    for (method, kind, grpc) in [
        (Method::POST, "application/grpc", true),
        (Method::POST, "application/grpc+proto", true),
        (Method::POST, "application/grpc-web-text", true),
        (Method::POST, "application/grpcfoo", false),
        (Method::GET, "application/grpc", false),
    ] {
        for deny in [true, false] {
            let request = http::Request::builder().method(&method).header("content-type", kind);
            let response = app(deny).oneshot(request.body(String::new()).unwrap()).await.unwrap();
            assert_eq!(response.status() == 200, grpc, "{method} {kind} {deny}");
            if grpc || deny {
                assert_eq!(value(&response, "cache-control"), "no-store", "{method} {kind}");
            }
        }
    }
}

/// An error of the application's own: a client comes back no earlier than it is told.
#[derive(Debug)]
struct Busy;

impl std::fmt::Display for Busy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("busy")
    }
}

impl std::error::Error for Busy {}

impl HttpError for Busy {
    fn status(&self) -> StatusCode {
        StatusCode::SERVICE_UNAVAILABLE
    }

    fn code(&self) -> &'static str {
        "busy"
    }

    fn retry_after(&self) -> Option<Duration> {
        Some(Duration::from_millis(1_900))
    }
}

#[test]
fn a_time_to_wait_is_rounded_up() {
    let (plain, ()) = http::Request::new(()).into_parts();
    assert_eq!(value(&PlainErrorResponse.respond(&Busy, &plain), "retry-after"), "2");
    let call = http::Request::post("/").header("content-type", "application/grpc");
    let (call, ()) = call.body(()).unwrap().into_parts();
    let response = PlainErrorResponse.respond(&Busy, &call);
    assert_eq!(value(&response, "grpc-retry-pushback-ms"), "1900");
}

/// RFC 9110 section 8.6.
#[tokio::test]
async fn a_response_that_has_no_length_gets_none_for_head() {
    for (status, length) in [(StatusCode::NO_CONTENT, ""), (StatusCode::FORBIDDEN, "4")] {
        let denied = move |_: &Denied, _: &Parts| {
            let text = if status == StatusCode::NO_CONTENT { "" } else { "text" };
            let mut response = Response::new(text.to_owned());
            *response.status_mut() = status;
            response
        };
        let inner = service_fn(async |_: http::Request<String>| {
            Ok::<_, Infallible>(Response::new(String::new()))
        });
        let guard = RequireLayer::user().on_denied(denied).layer(inner);
        let service = layer_on(&FaultyStore::new()).layer(guard);
        let request = http::Request::head("/").body(String::new()).unwrap();
        let response = service.oneshot(request).await.unwrap();
        assert_eq!((response.status(), value(&response, "content-length")), (status, length));
    }
}

/// A handshake of a WebSocket is the one request of a safe method that the CSRF layer rejects.
#[tokio::test]
async fn a_rejected_handshake_with_head_has_no_body() {
    let inner =
        service_fn(async |_: http::Request<_>| Ok::<_, Infallible>(Response::new(String::new())));
    let service = layer_on(&FaultyStore::new()).layer(CsrfLayer::new().layer(inner));
    let request = http::Request::head("/").header("upgrade", "websocket");
    let request = request.header("sec-fetch-site", "cross-site").body(String::new()).unwrap();
    let response = service.oneshot(request).await.unwrap();
    assert_eq!((response.status().as_u16(), value(&response, "content-length")), (403, "65"));
    assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
}

/// Neither the inner service's body nor that of the error response has to be made of `Bytes`; what
/// is made of them is passed on without a copy.
#[tokio::test]
async fn bodies_of_any_data_become_bytes_and_bytes_are_not_copied() {
    let store = FaultyStore::new();
    let pieces = |text: &'static str| {
        let data = VecDeque::from(text.as_bytes().to_vec());
        StreamBody::new(stream::iter([Ok::<_, Infallible>(Frame::data(data))]))
    };
    let sorry = move |error: &Error, request: &Parts| error.response_to(request, pieces("sorry"));
    let layer = layer_on(&store).on_error(sorry);
    for (fails, text) in [(false, "done"), (true, "sorry")] {
        let inner = service_fn(|request: http::Request<()>| async move {
            session_of(&request).insert("n", &1).await.unwrap();
            let data = Cursor::new(b"done".to_vec());
            let body = StreamBody::new(stream::iter([Ok::<_, Infallible>(Frame::data(data))]));
            Ok::<_, Infallible>(Response::new(body))
        });
        if fails {
            store.fault(Op::Create, Fault::Fails);
        }
        let response = layer.layer(inner).oneshot(http::Request::new(())).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), text);
    }
    static TEXT: &[u8] = b"static";
    let inner = service_fn(async |_: http::Request<_>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(TEXT)))
    });
    let stack = ServiceBuilder::new().layer(layer).layer(CsrfLayer::new()).service(inner);
    let response = stack.oneshot(http::Request::new(String::new())).await.unwrap();
    let frame = response.into_body().frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap().as_ptr(), TEXT.as_ptr());
}

/// What a person sees without a function of the application is a sentence, and never the error's
/// text or its kind.
#[tokio::test]
async fn the_plain_response_names_no_fault() {
    let (request, ()) = http::Request::new(()).into_parts();
    let mut seen = Vec::new();
    for kind in [
        ErrorKind::Absent,
        ErrorKind::Expired,
        ErrorKind::Forbidden,
        ErrorKind::Unavailable,
        ErrorKind::Misconfigured,
        ErrorKind::Corrupt,
        ErrorKind::TooLarge,
        ErrorKind::Moved,
        ErrorKind::Invalid,
    ] {
        let error = Error::new(kind, "a detail").with_source("WRONGPASS");
        seen.push((error.to_string(), PlainErrorResponse.respond(&error, &request)));
        let error = Denied::from(error);
        seen.push((error.to_string(), PlainErrorResponse.respond(&error, &request)));
        let error = CsrfError::from(Error::new(kind, "a detail"));
        seen.push((error.to_string(), PlainErrorResponse.respond(&error, &request)));
    }
    for kind in [CsrfErrorKind::Missing, CsrfErrorKind::Foreign, CsrfErrorKind::CrossSite] {
        let error = CsrfError::from(kind);
        seen.push((error.to_string(), PlainErrorResponse.respond(&error, &request)));
    }
    for kind in [DeniedKind::Stale, DeniedKind::NoPlatform] {
        let error = Denied::new(kind);
        seen.push((error.to_string(), PlainErrorResponse.respond(&error, &request)));
    }
    for (fault, response) in seen {
        let text = response.body();
        assert!(text.len() > 2 && text.ends_with('\n') && text.lines().count() == 1, "{text:?}");
        for hidden in [&*fault, "detail", "WRONGPASS", "Misconfigured", "Corrupt", "token"] {
            assert!(!text.contains(hidden), "{text:?} names {hidden:?}");
        }
        assert_eq!(value(&response, "content-type"), "text/plain; charset=utf-8");
        let is_401 = response.status() == StatusCode::UNAUTHORIZED;
        assert_eq!(value(&response, "www-authenticate") == "Session", is_401);
    }
}

#[tokio::test]
async fn a_401_names_the_scheme_of_the_token_or_that_of_the_error() {
    let bearer = RedisSessionLayer::builder(MemoryStore::new()).transport(Transport::bearer());
    let bearer = bearer.build().unwrap();
    for (layer, scheme) in [(bearer, "Bearer"), (layer_on(&FaultyStore::new()), "Session")] {
        let inner = service_fn(async |_: http::Request<()>| {
            Ok::<_, Infallible>(Response::new(String::new()))
        });
        let guard = RequireLayer::user().on_denied(PlainErrorResponse);
        let response = layer.layer(guard.layer(inner)).oneshot(http::Request::new(())).await;
        let response = response.unwrap();
        assert_eq!(value(&response, "www-authenticate"), scheme);
        let text = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(text, "Unauthorized\n");
    }

    #[derive(Debug)]
    struct Own;

    impl std::fmt::Display for Own {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("own")
        }
    }

    impl std::error::Error for Own {}

    impl HttpError for Own {
        fn status(&self) -> StatusCode {
            StatusCode::UNAUTHORIZED
        }

        fn code(&self) -> &'static str {
            "own"
        }

        fn challenge(&self) -> Option<&'static str> {
            Some("Basic realm=\"own\"")
        }
    }

    let (request, ()) = http::Request::new(()).into_parts();
    let response = Own.response_to(&request, ());
    assert_eq!(value(&response, "www-authenticate"), "Basic realm=\"own\"");
}

/// Through any number of layers the error of a body is the one that the body had.
#[tokio::test]
async fn the_error_of_a_body_is_wrapped_once() {
    #[derive(Debug)]
    struct Broken;

    impl std::fmt::Display for Broken {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("broken")
        }
    }

    impl std::error::Error for Broken {}

    let inner = service_fn(async |_: http::Request<_>| {
        let frames = stream::iter([Err::<Frame<Bytes>, _>(Broken)]);
        Ok::<_, Infallible>(Response::new(StreamBody::new(frames)))
    });
    let stack = ServiceBuilder::new()
        .layer(layer_on(&FaultyStore::new()))
        .layer(CsrfLayer::new())
        .service(inner);
    let response = stack.oneshot(http::Request::new(String::new())).await.unwrap();
    let error = response.into_body().collect().await.unwrap_err();
    assert!(matches!(&error, BodyError::Inner(error) if error.is::<Broken>()), "{error:?}");
}
