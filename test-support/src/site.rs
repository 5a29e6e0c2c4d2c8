//! A site whose handler does what the path says, so that a test reads as what a client does:
//! `/get:cart,insert:cart:tea,gate:slow,login:alice`.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response, header};
use tokio::sync::watch;
use tower::ServiceExt;
use tower_layer::Layer;
use tower_redis_session::{
    RedisConfig, RedisSessionLayer, RedisSessionLayerBuilder, RedisStore, SessionContext,
    layer::SessionBody, store::UserStore,
};

use super::bed::AnyRedis;
use super::browser::Browser;
use super::gate::Gates;
use super::leak_monitor;
use super::scripted_handler::{Body, handle};
use super::server::{Running, serve};

/// The name of the cookie, unless a test sets another.
pub const COOKIE: &str = "__Host-session";

/// What the removal cookie looks like by default.
pub const REMOVED: &str = "__Host-session=; HttpOnly; SameSite=Lax; Secure; Path=/; \
    Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT";

/// A running server with our layer around the handler.
#[derive(Debug)]
pub struct Site {
    pub layer: RedisSessionLayer,
    pub gates: Gates,
    inside: Arc<Inside>,
    running: Running,
}

/// What the handler shares with the test.
#[derive(Debug, Default)]
pub struct Inside {
    pub gates: Gates,
    pub kept: Mutex<Vec<SessionContext>>,
    /// How many response futures were dropped before they had an answer.
    abandoned: watch::Sender<usize>,
}

/// Limits that no healthy Redis reaches, however busy the machine is.
pub fn patient(redis: &str) -> RedisConfig {
    let long = Duration::from_secs(10);
    RedisConfig::new(redis).connect_timeout(long).command_timeout(long)
}

/// The keys that hold a session, with their values: not the mark that one was killed here, nor the
/// list of a user's.
pub async fn records(redis: &impl AnyRedis) -> Vec<(String, Vec<u8>)> {
    let keys = redis.dump().await.into_iter();
    keys.filter(|(key, value)| {
        key.contains(":s:") && !value.starts_with(b"T") && !value.starts_with(b"M")
    })
    .collect()
}

impl Site {
    /// A site on a Redis that is well.
    pub async fn start(redis: &impl AnyRedis) -> Self {
        Self::configured(redis, |builder| builder).await
    }

    /// The same with other settings of the layer.
    pub async fn configured(
        redis: &impl AnyRedis,
        configure: impl FnOnce(RedisSessionLayerBuilder) -> RedisSessionLayerBuilder,
    ) -> Self {
        Self::on(redis.patient(), |builder| configure(builder.budget(Duration::from_secs(15))))
            .await
    }

    /// Everything chosen by the test.
    pub async fn on(
        redis: RedisConfig,
        configure: impl FnOnce(RedisSessionLayerBuilder) -> RedisSessionLayerBuilder,
    ) -> Self {
        Self::on_store(RedisStore::new(redis).unwrap(), configure).await
    }

    /// A site on any store.
    pub async fn on_store(
        store: impl UserStore,
        configure: impl FnOnce(RedisSessionLayerBuilder) -> RedisSessionLayerBuilder,
    ) -> Self {
        let layer = configure(RedisSessionLayer::builder(store).renewal_grace(Duration::ZERO))
            .build()
            .unwrap();
        let inside = Arc::new(Inside::default());
        let shared = Arc::clone(&inside);
        let handler = tower::service_fn(move |request| handle(request, Arc::clone(&shared)));
        let service = layer.layer(handler);
        let shared = Arc::clone(&inside);
        let watched = tower::util::MapFutureLayer::new(move |response| {
            let shared = Arc::clone(&shared);
            async move {
                let watch = Abandoned(&shared.abandoned);
                let response = response.await;
                std::mem::forget(watch);
                response
            }
        });
        let running = serve(watched.layer(service)).await;
        Self { layer, gates: inside.gates.clone(), inside, running }
    }

    pub fn addr(&self) -> SocketAddr {
        self.running.addr
    }

    pub async fn browser(&self) -> Browser {
        Browser::new(self.addr()).await
    }

    /// A request without a socket: a future that the test may poll and drop as it likes.
    pub fn visit(
        &self,
        path: &str,
        cookie: &str,
    ) -> impl Future<Output = Response<SessionBody<Body>>> + use<> {
        let shared = Arc::clone(&self.inside);
        let handler = tower::service_fn(move |request| handle(request, Arc::clone(&shared)));
        let request = Request::builder().uri(path).header(header::COOKIE, cookie);
        let answer = self.layer.layer(handler).oneshot(request.body(()).unwrap());
        async move {
            let answer = answer.await.unwrap();
            leak_monitor::answered(answer.headers());
            answer
        }
    }

    /// The session handles that `keep` left here.
    pub fn kept(&self) -> Vec<SessionContext> {
        self.inside.kept.lock().unwrap().clone()
    }

    /// Waits until the server has dropped `count` requests whose clients left.
    pub async fn has_abandoned(&self, count: usize) {
        let mut abandoned = self.inside.abandoned.subscribe();
        let there = abandoned.wait_for(|abandoned| *abandoned >= count);
        let _ = super::bounded("the drop of an abandoned request", there).await;
    }

    /// Stops accepting and waits for open requests, but not for the layer.
    pub async fn drain(self) -> RedisSessionLayer {
        self.running.shutdown().await;
        self.layer
    }
}

struct Abandoned<'a>(&'a watch::Sender<usize>);

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count += 1);
    }
}
