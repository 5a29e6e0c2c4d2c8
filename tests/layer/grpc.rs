//! Which responses are a success, and what gRPC calls are told by guards and by the layer.
//!
//! To see these fail: let every rule judge by the status alone; ask no trailers; respond to a gRPC
//! call with JSON or a bare 503.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{Empty, StreamBody};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_redis_session::{
    Error, RedisSessionLayer, SessionContext,
    guard::{DenyWith, RequireLayer},
    layer::Success,
};

use test_support::faulty_store::{Fault, FaultyStore, Op, Visitor, session_of};

fn layer_of(store: &FaultyStore, success: Success) -> RedisSessionLayer {
    RedisSessionLayer::builder(store.clone()).success(success).build().unwrap()
}

fn status(code: &'static str) -> HeaderMap {
    [(http::HeaderName::from_static("grpc-status"), HeaderValue::from_static(code))]
        .into_iter()
        .collect()
}

async fn look(session: SessionContext) -> Result<String, Error> {
    Ok(format!("{:?}", session.get::<u32>("n").await?))
}

#[tokio::test]
async fn a_failed_call_stores_nothing_by_the_rule_of_the_builder() {
    let custom = || Success::from_fn(|status, headers| status != 422 && !headers.contains_key("x"));
    for (rule, http, grpc, stored) in [
        (Success::http(), 200, None, true),
        (Success::http(), 422, None, true),
        (Success::http(), 500, None, false),
        (Success::http(), 200, Some("5"), true),
        (Success::http(), 200, Some("13"), false),
        (Success::grpc(), 200, None, true),
        (Success::grpc(), 200, Some("0"), true),
        (Success::grpc(), 200, Some("5"), false),
        (Success::grpc(), 200, Some("16"), false),
        (Success::grpc(), 200, Some("unreadable"), false),
        (Success::grpc(), 303, None, true),
        (Success::grpc(), 503, None, false),
        (Success::always(), 500, Some("13"), true),
        (custom(), 500, Some("13"), true),
        (custom(), 422, None, false),
    ] {
        let at = format!("{rule:?}, {http}, {grpc:?}");
        let mut visitor = Visitor::new(&layer_of(&FaultyStore::new(), rule));
        let answered = visitor.visit(|session| async move {
            session.insert("n", &1).await.unwrap();
            let mut response = Response::new(Empty::<Bytes>::new());
            *response.status_mut() = http.try_into().unwrap();
            *response.headers_mut() = grpc.map(status).unwrap_or_default();
            Ok::<_, Infallible>(response)
        });
        assert_eq!(answered.await.set_cookie().is_some(), stored, "{at}");
        let expected = if stored { "Some(1)" } else { "None" };
        assert_eq!(visitor.ask(look).await.text(), expected, "{at}");
    }
}

#[tokio::test]
async fn trailers_that_report_a_failure_drop_what_the_stream_has_changed() {
    for (rule, trailers, n) in [
        (Success::grpc(), "0", 2),
        (Success::grpc(), "5", 1),
        (Success::http(), "5", 2),
        (Success::http(), "13", 1),
        (Success::always(), "13", 2),
    ] {
        let at = format!("{rule:?}, {trailers}");
        let mut visitor = Visitor::new(&layer_of(&FaultyStore::new(), rule));
        let streamed = visitor.visit(|session| async move {
            session.insert("n", &1).await.unwrap();
            let frames = stream::unfold((session, 0), move |(session, frame)| async move {
                let next = match frame {
                    0 => Frame::data(Bytes::from_static(b"message")),
                    1 => {
                        session.insert("n", &2).await.unwrap();
                        Frame::trailers(status(trailers))
                    }
                    _ => return None,
                };
                Some((Ok::<_, Infallible>(next), (session, frame + 1)))
            });
            Ok::<_, Infallible>(Response::new(StreamBody::new(Box::pin(frames))))
        });
        assert_eq!(streamed.await.text(), "message", "{at}");
        assert_eq!(visitor.ask(look).await.text(), format!("Some({n})"), "{at}");
    }
}

/// Status, `grpc-status`, `grpc-message` and content type.
fn told<B>(response: &Response<B>) -> [String; 4] {
    let header = |name| {
        let value = response.headers().get(name);
        value.map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
    };
    let status = response.status().as_u16().to_string();
    [status, header("grpc-status"), header("grpc-message"), header("content-type")]
}

#[tokio::test]
async fn guards_tell_grpc_calls_by_status_and_others_as_before() {
    let (grpc, web) = ("application/grpc", "application/grpc-web+proto");
    for deny in [DenyWith::json(), DenyWith::redirect("/in"), DenyWith::negotiate("/in")] {
        for (user, outage, content_type, expected) in [
            (None, false, grpc, ["200", "16", "unauthenticated", grpc]),
            (None, false, web, ["200", "16", "unauthenticated", web]),
            (Some("mallory"), false, grpc, ["200", "7", "forbidden", grpc]),
            (Some("mallory"), true, grpc, ["200", "14", "unavailable", grpc]),
            (Some("mallory"), true, "text/plain", ["503", "", "", "application/json"]),
        ] {
            let store = FaultyStore::new();
            let layer = layer_of(&store, Success::grpc());
            let mut visitor = Visitor::new(&layer);
            if let Some(user) = user {
                let sign_in =
                    |s: SessionContext| async move { s.login(user).await.map(|()| "".into()) };
                visitor.ask(sign_in).await;
            }
            if outage {
                store.fault(Op::Load, Fault::Fails);
            }
            let guard = RequireLayer::require_fn(|session: SessionContext| async move {
                Ok(session.user_id().await? == Some("alice".into()))
            });
            let inner = service_fn(async |_: Request<()>| {
                Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
            });
            let guarded = ServiceBuilder::new()
                .layer(layer.clone())
                .layer(guard.on_denied(deny.clone()))
                .service(inner);
            let mut request = visitor.request();
            *request.method_mut() = http::Method::POST;
            request.headers_mut().insert("content-type", content_type.parse().unwrap());
            let response = guarded.oneshot(request).await.unwrap();
            assert_eq!(told(&response), expected, "{deny:?} {user:?} {content_type}");
        }
    }
}

#[tokio::test]
async fn a_commit_that_fails_is_told_to_a_grpc_call_by_status() {
    for (content_type, expected) in [
        ("application/grpc", ["200", "14", "unavailable", "application/grpc"]),
        ("application/grpc+proto", ["200", "14", "unavailable", "application/grpc+proto"]),
        ("text/html", ["503", "", "", "text/plain; charset=utf-8"]),
    ] {
        let store = FaultyStore::new();
        let layer = layer_of(&store, Success::grpc());
        for _ in 0..8 {
            store.fault(Op::Create, Fault::Fails);
        }
        let inner = service_fn(|request: Request<()>| async move {
            session_of(&request).insert("n", &1).await.unwrap();
            let response = Response::builder().header("content-type", content_type);
            Ok::<_, Infallible>(response.body(Empty::<Bytes>::new()).unwrap())
        });
        let response = layer.layer(inner).oneshot(Visitor::new(&layer).request()).await.unwrap();
        assert_eq!(told(&response), expected);
        let pushed_back = response.headers().get("grpc-retry-pushback-ms");
        assert_eq!(pushed_back.is_some_and(|wait| wait == "1000"), expected[0] == "200");
        assert!(!response.headers().contains_key("set-cookie"));
    }
    let answered: Response<String> = Error::unavailable("down").grpc_response();
    assert_eq!(told(&answered), ["200", "14", "unavailable", "application/grpc"]);
}
