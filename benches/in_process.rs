//! What the layer adds to a request in process, over the memory store: time and allocations.
//!
//! The variants take turns, many times, and each figure is a median: absolute times are those of
//! this machine at this moment, ratios are what stays. Requests are made beforehand and their
//! Cookie header shares its bytes, as one that hyper has parsed does.
//!
//! The bar: a request that nobody touches makes one allocation of its own beside those of
//! `http::Extensions`, which are counted by a service that only inserts a value it has already.
//! The run fails where that does not hold.
//!
//! ```text
//! cargo bench --bench in_process
//! ```

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is the report of a run that cannot go on"
)]

use std::alloc::System;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::future::Future;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderValue, Request, Response, header};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tower::{Service, ServiceExt as _, service_fn};
use tower_layer::Layer as _;
use tower_redis_session::{Error, MemoryStore, RedisSessionLayer, SessionContext};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Turns that each variant takes.
const ROUNDS: usize = 401;
/// Requests in a turn.
const REQUESTS: usize = 64;

type Answer = Response<Full<Bytes>>;

/// One kind of request, and what its turns have shown.
struct Variant {
    name: &'static str,
    cookie: Option<HeaderValue>,
    /// Answers a request, to the end of the body.
    serve: Box<dyn FnMut(Request<()>)>,
    nanos: Vec<f64>,
    allocations: Vec<f64>,
    bytes: Vec<f64>,
}

fn main() -> ExitCode {
    // Nothing waits in here, but the layer's limits ask for a timer.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _inside = runtime.enter();
    let mut variants = variants();
    for _ in 0..ROUNDS {
        variants.iter_mut().for_each(Variant::take_turn);
    }
    print!("{}", table(&variants));
    let own = |name| median_of(&variants, name, |v| &v.allocations);
    let without = own("untouched") - own("extension");
    let with = own("untouched, cookie") - own("extension, cookie");
    println!(
        "\nallocations of an untouched request's own: {without}, with a cookie {with} (bar: 1)"
    );
    for number in [100, 1_000] {
        println!("{number} inserts of one request: {:.0} us", inserts(number));
    }
    if without <= 1.0 && with <= 1.0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn variants() -> Vec<Variant> {
    let layer = RedisSessionLayer::builder(MemoryStore::new())
        .touch_interval(Duration::from_secs(3600))
        .build()
        .unwrap();
    let cookie = Some(session(&layer));
    let ready: Arc<()> = Arc::default();
    let extension = || {
        let ready = Arc::clone(&ready);
        service_fn(move |mut request: Request<()>| {
            let _ = request.extensions_mut().insert(Arc::clone(&ready));
            bare(request)
        })
    };
    vec![
        Variant::new("floor", &None, service_fn(bare)),
        Variant::new("extension", &None, extension()),
        Variant::new("untouched", &None, layer.layer(service_fn(bare))),
        Variant::new("floor, cookie", &cookie, service_fn(bare)),
        Variant::new("extension, cookie", &cookie, extension()),
        Variant::new("untouched, cookie", &cookie, layer.layer(service_fn(bare))),
        Variant::new("read", &cookie, layer.layer(service_fn(read))),
        Variant::new("write", &cookie, layer.layer(service_fn(write))),
        Variant::new("update", &cookie, layer.layer(service_fn(update))),
        Variant::new("create", &None, layer.layer(service_fn(create))),
    ]
}

/// The Cookie header of a session with a small cart, a preference and a counter. Its bytes are a
/// part of shared ones, so that cloning it is no allocation.
fn session(layer: &RedisSessionLayer) -> HeaderValue {
    let create = async |request: Request<()>| {
        let session = request.extensions().get::<SessionContext>().unwrap();
        let cart: Vec<String> = (1..=8).map(|number| format!("article-{number:020}")).collect();
        session.insert("cart", &cart).await?;
        session.insert("theme", "dark").await?;
        session.insert("visits", &1_000_000).await?;
        Ok::<_, Error>(Answer::default())
    };
    let response = now(layer.layer(service_fn(create)).oneshot(Request::new(()))).unwrap();
    let set = response.headers()[header::SET_COOKIE].as_bytes();
    let head = Bytes::from([b"cookie: ", set, b"\r\n"].concat());
    let end = head.iter().position(|byte| *byte == b';').unwrap();
    HeaderValue::from_maybe_shared(head.slice(b"cookie: ".len()..end)).unwrap()
}

async fn bare(_: Request<()>) -> Result<Answer, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(b"ok"))))
}

async fn read(request: Request<()>) -> Result<Answer, Error> {
    let session = request.extensions().get::<SessionContext>().unwrap();
    assert!(session.get::<String>("theme").await?.is_some());
    Ok(bare(request).await.unwrap())
}

async fn write(request: Request<()>) -> Result<Answer, Error> {
    let session = request.extensions().get::<SessionContext>().unwrap();
    let visits: u64 = session.get("visits").await?.unwrap();
    session.insert("visits", &(visits + 1)).await?;
    Ok(bare(request).await.unwrap())
}

async fn update(request: Request<()>) -> Result<Answer, Error> {
    let session = request.extensions().get::<SessionContext>().unwrap();
    let count = |visits: Option<u64>| visits.unwrap_or(0) + 1;
    assert!(session.update("visits", count).await? > 1);
    Ok(bare(request).await.unwrap())
}

async fn create(request: Request<()>) -> Result<Answer, Error> {
    let session = request.extensions().get::<SessionContext>().unwrap();
    session.insert("theme", "dark").await?;
    Ok(bare(request).await.unwrap())
}

/// Microseconds that so many inserts of one new session take, by the median of some requests.
fn inserts(number: usize) -> f64 {
    let layer = RedisSessionLayer::builder(MemoryStore::new()).build().unwrap();
    let names: Vec<String> = (0..number).map(|number| format!("name-{number:05}")).collect();
    let (sender, receiver) = std::sync::mpsc::channel();
    let service = layer.layer(service_fn(|request: Request<()>| async {
        let session = request.extensions().get::<SessionContext>().unwrap().clone();
        let start = Instant::now();
        for name in &names {
            session.insert(name, "0123456789012345678901234567890123456789").await?;
        }
        sender.send(start.elapsed().as_nanos() as f64 / 1_000.0).unwrap();
        Ok::<_, Error>(bare(request).await.unwrap())
    }));
    for _ in 0..21 {
        let _ = now(service.clone().oneshot(Request::new(()))).unwrap();
    }
    let mut took: Vec<f64> = receiver.try_iter().collect();
    took.sort_by(f64::total_cmp);
    took[took.len() / 2]
}

impl Variant {
    fn new<S, B>(name: &'static str, cookie: &Option<HeaderValue>, mut service: S) -> Self
    where
        S: Service<Request<()>, Response = Response<B>, Error: std::fmt::Debug> + 'static,
        B: Body<Error: std::fmt::Debug>,
    {
        let serve = move |request| {
            now(poll_ready(&mut service));
            let body = now(service.call(request)).unwrap().into_body();
            let mut body = pin!(body);
            while let Some(frame) = now(body.frame()) {
                let _ = frame.unwrap();
            }
        };
        let cookie = cookie.clone();
        let (nanos, allocations, bytes) = Default::default();
        Self { name, cookie, serve: Box::new(serve), nanos, allocations, bytes }
    }

    fn take_turn(&mut self) {
        let mut requests = Vec::with_capacity(REQUESTS);
        for _ in 0..REQUESTS {
            let mut request = Request::new(());
            request.headers_mut().extend(self.cookie.clone().map(|value| (header::COOKIE, value)));
            requests.push(request);
        }
        let region = Region::new(ALLOCATOR);
        let start = Instant::now();
        requests.drain(..).for_each(&mut self.serve);
        let took = start.elapsed();
        let used = region.change();
        self.nanos.push(took.as_nanos() as f64 / REQUESTS as f64);
        self.allocations.push((used.allocations + used.reallocations) as f64 / REQUESTS as f64);
        self.bytes.push(used.bytes_allocated as f64 / REQUESTS as f64);
    }
}

/// The output of a future that has no reason to wait.
fn now<F: Future>(future: F) -> F::Output {
    future.now_or_never().unwrap_or_else(|| panic!("something waits in process"))
}

async fn poll_ready<S: Service<Request<()>, Error: std::fmt::Debug>>(service: &mut S) {
    service.ready().await.map(|_| ()).unwrap();
}

fn table(variants: &[Variant]) -> String {
    let floor = median_of(variants, "floor", |v| &v.nanos);
    let mut table =
        String::from("a request             ns   over the floor   allocations   bytes\n");
    for variant in variants {
        let of = |figure| median_of(variants, variant.name, figure);
        let (nanos, allocations, bytes) =
            (of(|v| &v.nanos), of(|v| &v.allocations), of(|v| &v.bytes));
        let (name, over) = (variant.name, nanos - floor);
        writeln!(table, "{name:<18} {nanos:>6.0} {over:>16.0} {allocations:>13.2} {bytes:>7.0}")
            .unwrap();
    }
    table
}

fn median_of(variants: &[Variant], name: &str, figure: fn(&Variant) -> &Vec<f64>) -> f64 {
    let mut values = figure(variants.iter().find(|variant| variant.name == name).unwrap()).clone();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
