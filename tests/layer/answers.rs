//! What the layer's own answers and bodies are: a 401 names a scheme, caches keep nothing, bodies
//! fit what stands around the layer.
//!
//! To see these fail: leave out a header; box a future that is not `Sync` into a body.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_redis_session::{
    Error, ErrorKind, MemoryStore, RedisSessionLayer, SessionContext, Transport,
    csrf::{CsrfBody, CsrfLayer},
    guard::RequireLayer,
    layer::SessionBody,
    response::EitherBody,
    session_api::{SessionApi, SessionApiBody},
};

fn sessions() -> RedisSessionLayer {
    RedisSessionLayer::builder(MemoryStore::new()).build().unwrap()
}

fn names_a_scheme(headers: &HeaderMap, scheme: &str) -> bool {
    headers.get_all(header::WWW_AUTHENTICATE).iter().eq([scheme])
}

/// RFC 9110 section 15.5.2: a server that sends one MUST.
#[tokio::test]
async fn every_401_names_a_scheme() {
    for kind in [ErrorKind::Absent, ErrorKind::Expired, ErrorKind::Revoked] {
        let response: Response<String> = Error::new(kind, "no").response();
        assert_eq!(response.status(), 401);
        assert!(names_a_scheme(response.headers(), "Session"), "{kind:?}");
    }
    let other: Response<String> = Error::new(ErrorKind::Forbidden, "no").response();
    assert!(!other.headers().contains_key(header::WWW_AUTHENTICATE));
    let get = |path: &str| Request::get(path).body(String::new()).unwrap();
    let guarded = sessions().layer(RequireLayer::user().layer(SessionApi::new()));
    let response = guarded.oneshot(get("/state")).await.unwrap();
    assert_eq!(response.status(), 401);
    assert!(names_a_scheme(response.headers(), "Session"));
    let validate = Request::post("/validate").header("sec-fetch-site", "same-origin");
    let validate = validate.body(String::new()).unwrap();
    let response = sessions().layer(SessionApi::new()).oneshot(validate).await.unwrap();
    assert_eq!(response.status(), 401);
    assert!(names_a_scheme(response.headers(), "Session"));
    let bearer = RedisSessionLayer::builder(MemoryStore::new()).transport(Transport::bearer());
    let guarded = bearer.build().unwrap().layer(RequireLayer::user().layer(SessionApi::new()));
    let response = guarded.oneshot(get("/state")).await.unwrap();
    assert!(names_a_scheme(response.headers(), "Bearer"));
}

#[tokio::test]
async fn no_cache_keeps_a_response_with_our_cookie_by_whatever_name_it_is_told_to() {
    let page = service_fn(async |request: Request<String>| {
        let session = request.extensions().get::<SessionContext>().unwrap();
        if request.uri().path() == "/in" {
            session.insert("a", &1).await?;
        }
        let response = Response::builder()
            .header("cache-control", "public, max-age=600")
            .header("cdn-cache-control", "public, max-age=600")
            .header("surrogate-control", "max-age=600")
            .header("expires", "Wed, 21 Oct 2099 07:28:00 GMT");
        Ok::<_, Error>(response.body(String::new()).unwrap())
    });
    let service = sessions().layer(page);
    let get = |path: &str| Request::get(path).body(String::new()).unwrap();
    let with = service.clone().oneshot(get("/in")).await.unwrap();
    assert!(with.headers().contains_key("set-cookie"));
    let told: Vec<_> = with.headers().iter().filter(|(name, _)| *name != "set-cookie").collect();
    assert_eq!(format!("{told:?}"), r#"[("cache-control", "no-store"), ("vary", "cookie")]"#);
    let without = service.oneshot(get("/")).await.unwrap();
    assert_eq!(without.headers().len(), 4, "what has no cookie is the application's");
}

fn is_sync<T: Sync>(_: &T) {}
fn is_body<T: Body + Default + Send + Sync + 'static>() {}

#[tokio::test]
async fn bodies_are_sync_and_have_a_default_where_the_inner_one_has() {
    is_body::<SessionBody<Full<Bytes>>>();
    is_body::<SessionBody<EitherBody<String>>>();
    is_body::<CsrfBody<String>>();
    is_body::<SessionApiBody>();
    let text = service_fn(async |_: Request<Full<Bytes>>| {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"text"))))
    });
    let response = sessions().layer(text).oneshot(Request::default()).await.unwrap();
    is_sync(&response);
    let boxed = response.map(BodyExt::boxed);
    assert_eq!(boxed.into_body().collect().await.unwrap().to_bytes(), "text");
    let empty = SessionBody::<Full<Bytes>>::default();
    assert!(empty.is_end_stream() && empty.size_hint().exact() == Some(0));
    assert_eq!(empty.collect().await.unwrap().to_bytes(), "");
}

/// As tower-http's time-out, CORS and authorization layers answer in the place of what is inside.
#[derive(Clone)]
struct Instead<S>(S);

impl<S, B, R> tower::Service<Request<B>> for Instead<S>
where
    S: tower::Service<Request<B>, Response = Response<R>, Future: Send + 'static>,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = futures_util::future::BoxFuture<'static, Result<Response<R>, S::Error>>;

    fn poll_ready(
        &mut self,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let inner = self.0.call(request);
        Box::pin(async move {
            tokio::time::timeout(Duration::from_secs(1), inner).await.unwrap_or_else(|_| {
                let mut response = Response::new(R::default());
                *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
                Ok(response)
            })
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_layer_outside_answers_in_the_place_of_what_is_inside() {
    let service =
        ServiceBuilder::new().layer_fn(Instead).layer(sessions()).layer(CsrfLayer::new()).service(
            service_fn(async |_: Request<CsrfBody<Full<Bytes>>>| {
                std::future::pending::<()>().await;
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
            }),
        );
    let response = service.oneshot(Request::<Full<Bytes>>::default()).await.unwrap();
    assert_eq!(response.status(), 408);
    assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
}
