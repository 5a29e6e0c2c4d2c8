//! What a failed attempt has buffered is not stored with what the next one does: by a savepoint
//! inside of a retry layer, or by a session layer inside of it.
//!
//! To see these fail: roll nothing back; bring back what was stored since; keep what a gRPC answer
//! of the server's fault has changed.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::{Request, Response};
use tower::{
    Layer, Service, ServiceBuilder, ServiceExt,
    retry::{Policy, RetryLayer},
    service_fn,
};
use tower_redis_session::{
    Error, ErrorKind, MemoryStore, RedisSessionLayer, SessionContext, layer::SavepointLayer,
};

#[derive(Clone)]
struct Once(bool);

impl<B, E> Policy<Request<String>, Response<B>, E> for Once {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<String>,
        result: &mut Result<Response<B>, E>,
    ) -> Option<Ready<()>> {
        let failed = result.as_ref().map_or(true, |response| response.status() != 200);
        (failed && !std::mem::replace(&mut self.0, true)).then(|| ready(()))
    }

    fn clone_request(&mut self, request: &Request<String>) -> Option<Request<String>> {
        Some(request.clone())
    }
}

#[derive(Clone, Copy)]
enum Attempt {
    Status(u16),
    Grpc(&'static str),
    Fails,
}

/// A handler whose first call does something and fails so, and whose second is a success.
fn handler(
    first: Attempt,
) -> impl Service<
    Request<String>,
    Response = Response<String>,
    Error = &'static str,
    Future: Send + 'static,
> + Clone {
    let calls = Arc::new(AtomicUsize::new(0));
    service_fn(move |request: Request<String>| {
        let call = calls.fetch_add(1, Ordering::SeqCst);
        async move {
            let session = session_of(&request);
            if call > 0 {
                session.insert("whole", &1).await.unwrap();
                return Ok(Response::new(String::new()));
            }
            session.login("admin").await.unwrap();
            session.set_platform("p").await.unwrap();
            session.insert("half", &1).await.unwrap();
            session.remove("before").await.unwrap();
            let response = Response::builder();
            match first {
                Attempt::Status(status) => Ok(response.status(status).body(String::new()).unwrap()),
                Attempt::Grpc(status) => {
                    Ok(response.header("grpc-status", status).body(String::new()).unwrap())
                }
                Attempt::Fails => Err("failed"),
            }
        }
    })
}

fn session_of<B>(request: &Request<B>) -> SessionContext {
    request.extensions().get::<SessionContext>().unwrap().clone()
}

fn sessions() -> RedisSessionLayer {
    RedisSessionLayer::builder(MemoryStore::new()).build().unwrap()
}

fn request(cookie: &str) -> Request<String> {
    Request::builder().header("cookie", cookie).body(String::new()).unwrap()
}

fn cookie<B>(response: &Response<B>) -> String {
    let set = response.headers()["set-cookie"].to_str().unwrap();
    set.split(';').next().unwrap().to_owned()
}

/// Names of the values and the user of the session behind `cookie`.
async fn what_is_kept(layer: &RedisSessionLayer, cookie: &str) -> String {
    let look = service_fn(async |request: Request<String>| {
        let session = session_of(&request);
        let (names, user) = (session.keys().await.unwrap(), session.user_id().await.unwrap());
        Ok::<_, Infallible>(Response::new(format!("{names:?} {user:?}")))
    });
    let response = layer.layer(look).oneshot(request(cookie)).await.unwrap();
    String::from_utf8(
        http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes().to_vec(),
    )
    .unwrap()
}

#[tokio::test]
async fn a_failed_attempt_leaves_nothing_and_what_came_before_it_stays() {
    for first in [Attempt::Status(502), Attempt::Fails] {
        let layer = sessions();
        let retried = ServiceBuilder::new()
            .layer(RetryLayer::new(Once(false)))
            .layer(SavepointLayer::new())
            .service(handler(first));
        let before = service_fn(move |request: Request<String>| {
            let retried = retried.clone();
            async move {
                session_of(&request).insert("before", &1).await.unwrap();
                retried.oneshot(request).await
            }
        });
        let response = layer.layer(before).oneshot(request("")).await.unwrap();
        let kept = what_is_kept(&layer, &cookie(&response)).await;
        assert_eq!(kept, r#"["before", "whole"] None"#);
    }
}

/// Outside of the layer a retry layer needs no savepoint: each attempt has a session of its own.
#[tokio::test]
async fn an_attempt_around_the_layer_leaves_nothing_either() {
    for first in [Attempt::Status(502), Attempt::Fails] {
        let layer = sessions();
        let retried = ServiceBuilder::new()
            .layer(RetryLayer::new(Once(false)))
            .layer(layer.clone())
            .service(handler(first));
        let response = retried.oneshot(request("")).await.unwrap();
        let kept = what_is_kept(&layer, &cookie(&response)).await;
        assert_eq!(kept, r#"["whole"] None"#);
    }
}

#[tokio::test]
async fn what_an_attempt_has_stored_stays_and_is_not_overwritten() {
    let layer = sessions();
    let attempt = SavepointLayer::new().layer(service_fn(async |request: Request<String>| {
        let session = session_of(&request);
        let count = |count: Option<u32>| count.unwrap_or(0) + 1;
        assert_eq!(session.update("count", count).await.unwrap(), 8);
        session.insert("half", &1).await.unwrap();
        Ok::<_, Infallible>(Response::builder().status(500).body(String::new()).unwrap())
    }));
    let handler = service_fn(move |request: Request<String>| {
        let attempt = attempt.clone();
        async move {
            let session = session_of(&request);
            session.insert("count", &7).await.unwrap();
            session.insert("seen", &true).await.unwrap();
            let _ = attempt.oneshot(request).await.unwrap();
            assert_eq!(session.keys().await.unwrap(), ["count", "seen"]);
            Ok::<_, Infallible>(Response::new(
                session.get::<u32>("count").await.unwrap().unwrap().to_string(),
            ))
        }
    });
    let response = layer.layer(handler).oneshot(request("")).await.unwrap();
    let cookie = cookie(&response);
    assert_eq!(what_is_kept(&layer, &cookie).await, r#"["count", "seen"] None"#);
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    assert_eq!(body, "8");
}

#[tokio::test]
async fn an_attempt_that_is_dropped_has_failed_and_one_inside_of_another_goes_with_it() {
    let layer = sessions();
    let inner = SavepointLayer::new().layer(service_fn(async |request: Request<String>| {
        let session = session_of(&request);
        session.insert("inner", &1).await.unwrap();
        if request.body() == "hang" {
            std::future::pending::<()>().await;
        }
        Ok::<_, Infallible>(Response::new(String::new()))
    }));
    let outer = SavepointLayer::new().layer(service_fn(move |request: Request<String>| {
        let inner = inner.clone();
        async move {
            session_of(&request).insert("outer", &1).await.unwrap();
            let dropped = Request::clone(&request).map(|_| "hang".to_owned());
            assert!(
                futures_util::FutureExt::now_or_never(inner.clone().oneshot(dropped)).is_none()
            );
            assert_eq!(session_of(&request).keys().await.unwrap(), ["first", "outer"]);
            let _ = inner.oneshot(request).await.unwrap();
            Ok::<_, Infallible>(Response::builder().status(500).body(String::new()).unwrap())
        }
    }));
    let handler = service_fn(move |request: Request<String>| {
        let outer = outer.clone();
        async move {
            let session = session_of(&request);
            session.insert("first", &1).await.unwrap();
            let _ = outer.oneshot(request).await.unwrap();
            assert_eq!(session.keys().await.unwrap(), ["first"]);
            Ok::<_, Infallible>(Response::new(String::new()))
        }
    });
    let response = layer.layer(handler).oneshot(request("")).await.unwrap();
    assert_eq!(what_is_kept(&layer, &cookie(&response)).await, r#"["first"] None"#);
}

/// A sign-in passes over cookies that nobody can tell apart; one that is taken back does not.
#[tokio::test]
async fn a_sign_in_that_is_taken_back_opens_no_way_around_two_live_sessions() {
    let layer = sessions();
    let mut cookies = Vec::new();
    for _ in 0..2 {
        let begin = service_fn(async |request: Request<String>| {
            session_of(&request).insert("a", &1).await.unwrap();
            Ok::<_, Infallible>(Response::new(String::new()))
        });
        cookies.push(cookie(&layer.layer(begin).oneshot(request("")).await.unwrap()));
    }
    let attempt = SavepointLayer::new().layer(service_fn(async |request: Request<String>| {
        session_of(&request).login("alice").await.unwrap();
        Ok::<_, Infallible>(Response::builder().status(500).body(String::new()).unwrap())
    }));
    let handler = service_fn(move |request: Request<String>| {
        let attempt = attempt.clone();
        async move {
            let session = session_of(&request);
            let _ = attempt.oneshot(request).await.unwrap();
            let error = session.insert("b", &1).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Ambiguous);
            Ok::<_, Error>(Response::new(String::new()))
        }
    });
    let response = layer.layer(handler).oneshot(request(&cookies.join("; "))).await.unwrap();
    assert!(!response.headers().contains_key("set-cookie"));
}

/// As tonic answers a handler's error: 200, and the status in a header.
#[tokio::test]
async fn a_grpc_answer_of_the_servers_fault_drops_what_the_handler_changed() {
    for (status, kept) in
        [("13", false), ("14", false), ("2", false), ("5", true), ("16", true), ("0", true)]
    {
        let layer = sessions();
        let response =
            layer.layer(handler(Attempt::Grpc(status))).oneshot(request("")).await.unwrap();
        assert_eq!(response.headers().contains_key("set-cookie"), kept, "{status}");
    }
}
