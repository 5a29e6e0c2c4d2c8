//! The layer asks nothing of strangers' types: any inner service, any body, any buffer.
use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    io::Cursor,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{Extension, Router, routing::get};
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use tower::{Layer as _, Service, ServiceBuilder, ServiceExt as _};
use tower_redis_session::{
    MemoryStore, RedisSessionLayer, SessionContext,
    layer::{RedisSessionService, SessionBody},
    response::BodyError,
};

fn layer() -> RedisSessionLayer {
    RedisSessionLayer::builder(MemoryStore::new()).build().unwrap()
}

fn assert_send<T: Send>() {}

#[test]
fn the_handle_can_go_anywhere() {
    fn assert_clone<T: Clone + Send + Sync + 'static>() {}
    assert_clone::<SessionContext>();
    assert_clone::<RedisSessionLayer>();
    assert_clone::<RedisSessionService<()>>();
    assert_send::<SessionBody<String>>();
}

/// A body whose buffer is not `Bytes`, and that is neither `Clone`, `Default` nor `Unpin`.
struct Odd(Option<&'static [u8]>, std::marker::PhantomPinned);

/// An error that is no `std::error::Error`.
#[derive(Debug)]
struct OddError;

impl std::fmt::Display for OddError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("odd")
    }
}

impl std::error::Error for OddError {}

impl Body for Odd {
    type Data = Cursor<&'static [u8]>;
    type Error = OddError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, OddError>>> {
        match self.0 {
            Some(chunk) => Poll::Ready(Some(Ok(Frame::data(Cursor::new(chunk))))),
            None => Poll::Ready(Some(Err(OddError))),
        }
    }
}

/// A service that is not `Clone` and counts whether it was asked before it was called.
struct Careful {
    ready: bool,
}

impl Service<Request<Odd>> for Careful {
    type Response = Response<Odd>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Odd>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Odd>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called without being asked");
        ready(Ok(Response::new(request.into_body())))
    }
}

#[tokio::test]
async fn any_service_and_any_body_will_do_and_the_ready_service_is_the_one_called() {
    let mut service = layer().layer(Careful { ready: false });
    for _ in 0..2 {
        let body = Odd(Some(b"x"), std::marker::PhantomPinned);
        let response = service.ready().await.unwrap().call(Request::new(body)).await.unwrap();
        let mut body = Box::pin(response.into_body());
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "x");

        let body = Odd(None, std::marker::PhantomPinned);
        let response = service.ready().await.unwrap().call(Request::new(body)).await.unwrap();
        let error = Box::pin(response.into_body()).frame().await.unwrap().err().unwrap();
        assert!(matches!(error, BodyError::Inner(error) if error.is::<OddError>()));
    }
}

#[tokio::test]
async fn axum_takes_the_layer_and_hands_out_the_handle() {
    async fn count(Extension(session): Extension<SessionContext>) -> String {
        session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).await.unwrap().to_string()
    }
    let app = Router::new().route("/", get(count)).layer(layer());
    let first = app.clone().oneshot(Request::get("/").body(String::new()).unwrap()).await.unwrap();
    let cookie = first.headers()["set-cookie"].to_str().unwrap().to_owned();
    let cookie = cookie.split(';').next().unwrap();
    let again = Request::get("/").header("cookie", cookie).body(String::new()).unwrap();
    let second = app.oneshot(again).await.unwrap();
    assert!(!second.headers().contains_key("set-cookie"));
    assert_eq!(second.into_body().collect().await.unwrap().to_bytes(), "2");
}

#[tokio::test]
async fn layers_of_two_names_do_not_see_each_other() {
    use tower_redis_session::CookieConfig;
    let other = RedisSessionLayer::builder(MemoryStore::new())
        .cookie(CookieConfig::new("__Host-other"))
        .build()
        .unwrap();
    // The inner layer's handle is the one that the handler finds.
    let service = ServiceBuilder::new().layer(layer()).layer(other).service_fn(|request| {
        let request: Request<String> = request;
        async move {
            let session = request.extensions().get::<SessionContext>().unwrap();
            session.insert("a", &1).await.unwrap();
            Ok::<_, Infallible>(Response::new(String::new()))
        }
    });
    let response = service.oneshot(Request::new(String::new())).await.unwrap();
    let cookies: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
    assert_eq!(cookies.len(), 1);
    assert!(cookies[0].to_str().unwrap().starts_with("__Host-other="));
}

#[test]
fn the_response_future_is_send_where_the_handlers_is() {
    fn assert_sends<T: Send>(_: &T) {}
    let mut service = layer().layer(tower::service_fn(|_: Request<String>| async {
        Ok::<_, Infallible>(Response::new(String::new()))
    }));
    let future = service.call(Request::new(String::new()));
    assert_sends(&future);
    fn assert_future<F: Future>(_: &F) {}
    assert_future(&future);
}
