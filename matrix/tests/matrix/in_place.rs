//! Responses that are not the handler's: of layers in its place, of upgrades, of the session API.

use std::{convert::Infallible, io::Read as _, time::Duration};

use axum::{
    Router,
    response::{IntoResponse as _, Redirect},
    routing::any,
};
use bytes::Bytes;
use flate2::{Compression, read::GzEncoder};
use http::{Method, Request, Response, StatusCode, Version, header, request::Parts};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tower::{Layer as _, ServiceBuilder, ServiceExt as _, service_fn};
use tower_http::{
    catch_panic::CatchPanicLayer, compression::CompressionLayer, cors::CorsLayer,
    decompression::RequestDecompressionLayer, follow_redirect::FollowRedirectLayer,
    limit::RequestBodyLimitLayer, timeout::TimeoutLayer, trace::TraceLayer,
};
use tower_redis_session::{
    Error, RedisSessionLayer, SessionContext,
    csrf::{CsrfBody, CsrfLayer},
    guard::{Denied, RequireLayer},
    layer::SavepointLayer,
    session_api::SessionApi,
};

use crate::{
    client::{Client, get, post},
    stack::{Boxed, Door, Handler, boxed, sessions},
};

fn session_of<B>(request: &Request<B>) -> SessionContext {
    request.extensions().get::<SessionContext>().unwrap().clone()
}

/// A stack of all layers of ours around a handler, between two layers of another's.
macro_rules! between {
    ($outside:expr, $sessions:expr, $inside:expr, $handler:expr) => {
        boxed(
            ServiceBuilder::new()
                .layer($outside)
                .layer($sessions)
                .layer(CsrfLayer::new())
                .layer(Door::default().guard())
                .layer(SavepointLayer::new())
                .layer($inside)
                .service($handler),
        )
    };
}

#[tokio::test]
async fn what_a_layer_answers_itself_has_its_own_body() {
    let forever = TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, Duration::ZERO);
    let small = || RequestBodyLimitLayer::new(10);
    let never = || {
        service_fn(async |_: Request<_>| {
            std::future::pending::<()>().await;
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        })
    };
    let (trace, cors) = (TraceLayer::new_for_http, CorsLayer::permissive);
    let rows: Vec<(&str, Boxed, u16, &str)> = vec![
        ("timeout outside", between!(forever, sessions(), trace(), never()), 408, ""),
        ("timeout inside", between!(trace(), sessions(), forever, never()), 408, ""),
        ("limit outside", between!(small(), sessions(), trace(), Handler), 413, "length limit"),
        ("cors outside", between!(cors(), sessions(), trace(), Handler), 200, ""),
        ("cors inside", between!(trace(), sessions(), cors(), Handler), 200, ""),
    ];
    for (name, service, status, body) in rows {
        for version in [Version::HTTP_11, Version::HTTP_2] {
            let mut client = Client::connect(service.clone(), version).await;
            let request = if name.starts_with("limit") {
                post("/echo")
            } else {
                let preflight = get("/count").method(Method::OPTIONS);
                preflight
                    .header(header::ORIGIN, "https://other.example")
                    .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
            };
            let got = client.send(request, "x".repeat(100)).await;
            assert_eq!(got.status, status, "{name}, {version:?}");
            assert!(got.body.starts_with(body), "{name}, {version:?}: {got:?}");
        }
    }
}

#[tokio::test]
async fn a_panic_that_is_caught_stores_nothing_and_the_session_goes_on() {
    for is_outside in [true, false] {
        let sessions = sessions();
        let breaks = service_fn(async |request: Request<CsrfBody<Incoming>>| {
            let session = session_of(&request);
            session.insert("n", &7).await.unwrap();
            assert_ne!(session.get("n").await.unwrap(), Some(7), "the handler breaks");
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        });
        let (catch, trace) = (CatchPanicLayer::new(), TraceLayer::new_for_http());
        let broken = if is_outside {
            between!(catch, sessions.clone(), trace, breaks)
        } else {
            between!(trace, sessions.clone(), catch, breaks)
        };
        let whole = boxed(sessions.layer(Handler));
        let mut client = Client::connect(whole.clone(), Version::HTTP_2).await;
        assert!(client.send(get("/count"), "").await.body.starts_with("1\n"));
        let cookies = client.cookies;
        let mut client = Client::connect(broken, Version::HTTP_2).await;
        client.cookies = cookies.clone();
        let got = client.send(get("/"), "").await;
        assert_eq!((got.status.as_u16(), &*got.body), (500, "Service panicked"));
        let mut client = Client::connect(whole, Version::HTTP_2).await;
        client.cookies = cookies;
        assert!(client.send(get("/count"), "").await.body.starts_with("2\n"), "{is_outside}");
    }
}

/// Of a redirect that is followed inside of the session layer, both requests have one session.
#[tokio::test]
async fn a_redirect_that_is_followed_keeps_the_session() {
    let turns = service_fn(async |request: Request<Full<Bytes>>| {
        let session = session_of(&request);
        let seen: Vec<String> = session.get("seen").await.unwrap().unwrap_or_default();
        let path = request.uri().path().to_owned();
        let seen: Vec<String> = seen.into_iter().chain([path.clone()]).collect();
        session.insert("seen", &seen).await.unwrap();
        let mut response = Response::new(Full::<Bytes>::from(seen.join(" ")));
        if path == "/from" {
            *response.status_mut() = StatusCode::SEE_OTHER;
            response.headers_mut().insert(header::LOCATION, "/to".parse().unwrap());
        }
        Ok::<_, Infallible>(response)
    });
    let service = ServiceBuilder::new()
        .layer(sessions())
        .layer(FollowRedirectLayer::new())
        .layer(SavepointLayer::new())
        .service(turns);
    let request = get("/from").body(Full::<Bytes>::default()).unwrap();
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.headers().get_all(header::SET_COOKIE).iter().count(), 1);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "/from /to");
}

#[tokio::test]
async fn an_upgrade_passes_all_layers_and_brings_its_cookie() {
    let echo = service_fn(async |mut request: Request<CsrfBody<Incoming>>| {
        session_of(&request).insert("socket", &true).await.unwrap();
        let upgrade = hyper::upgrade::on(&mut request);
        drop(tokio::spawn(async move {
            let mut socket = TokioIo::new(upgrade.await.unwrap());
            let mut bytes = [0; 4];
            let _ = socket.read_exact(&mut bytes).await.unwrap();
            socket.write_all(&bytes).await.unwrap();
        }));
        let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
        let response = response.header(header::CONNECTION, "upgrade").header("upgrade", "echo");
        Ok::<_, Infallible>(response.body(Empty::<Bytes>::new()).unwrap())
    });
    let (compression, trace) = (CompressionLayer::new(), TraceLayer::new_for_http());
    let service = between!(compression, sessions(), trace, echo);
    let mut client = Client::connect(service, Version::HTTP_11).await;
    let request = get("/").header(header::CONNECTION, "upgrade").header("upgrade", "echo");
    let response = client.head(request, "").await;
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(client.cookies.len(), 1);
    let mut socket = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
    socket.write_all(b"ping").await.unwrap();
    let mut bytes = [0; 4];
    let _ = socket.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"ping");
}

/// Over HTTP/2 a body in the response to `HEAD` breaks the stream.
#[tokio::test]
async fn the_session_api_answers_head_with_the_head_of_get() {
    let layered = |sessions: RedisSessionLayer| {
        ServiceBuilder::new()
            .layer(sessions)
            .layer(CompressionLayer::new())
            .layer(CsrfLayer::new())
            .layer(RequireLayer::session())
            .service(SessionApi::new())
    };
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let sessions = sessions();
        let mut client = Client::connect(boxed(sessions.layer(Handler)), version).await;
        let _ = client.send(post("/login"), "").await;
        let cookies = client.cookies;
        let mut client = Client::connect(boxed(layered(sessions)), version).await;
        client.cookies = cookies;
        for path in ["/api/session/state", "/api/session/sessions", "/api/session/nowhere"] {
            let whole = client.send(get(path), "").await;
            let head = client.send(get(path).method(Method::HEAD), "").await;
            assert_eq!(head.status, whole.status, "{path}, {version:?}");
            assert_eq!(head.body, "", "{path}, {version:?}");
            let length = &head.headers[header::CONTENT_LENGTH];
            assert_eq!(length, &*whole.body.len().to_string(), "{path}, {version:?}");
        }
    }
}

/// A compressed form has a token where it is decompressed first.
#[tokio::test]
async fn a_compressed_form_is_read_inside_of_its_decompression() {
    let decompressed = RequestDecompressionLayer::new;
    let trace = TraceLayer::new_for_http;
    let outside = between!(decompressed(), sessions(), trace(), Handler);
    let inside = between!(trace(), sessions(), decompressed(), Handler);
    for (service, status) in [(outside, 200), (inside, 403)] {
        let mut client = Client::connect(service, Version::HTTP_11).await;
        let page = client.send(get("/token"), "").await;
        let form = format!("csrf_token={}", page.body.split('\n').next().unwrap());
        let mut compressed = GzEncoder::new(form.as_bytes(), Compression::fast());
        let mut bytes = Vec::new();
        let _ = compressed.read_to_end(&mut bytes).unwrap();
        let post = post("/echo").header(header::CONTENT_ENCODING, "gzip");
        let post = post.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let got = client.send(post, bytes).await;
        assert_eq!(got.status, status, "{got:?}");
        assert!(status == 403 || got.body == form, "{got:?}");
    }
}

/// What a framework makes of a redirect or a page is as good as a text.
#[tokio::test]
async fn a_denial_and_an_outage_are_answered_by_the_frameworks_own_responses() {
    let sign_in = |_: &Denied, _: &Parts| Redirect::to("/sign-in").into_response();
    let sorry = |error: &Error, _: &Parts| (error.status(), "sorry").into_response();
    let router = Router::new()
        .route("/", any("members"))
        .layer(RequireLayer::user().on_denied(sign_in))
        .layer(CompressionLayer::new())
        .layer(sessions().on_error(sorry));
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let mut client = Client::connect(boxed(router.clone()), version).await;
        let denied = client.send(get("/"), "").await;
        assert_eq!(denied.status, StatusCode::SEE_OTHER);
        assert_eq!(denied.headers[header::LOCATION], "/sign-in");
    }
}
