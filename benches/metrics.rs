//! What recording through the `metrics` facade adds to a request in process: time and allocations,
//! with no recorder, and with the exporter for Prometheus.
//!
//! The variants take turns, and each figure is a median. Recording allocates nothing of its own; the
//! exporter makes two allocations for each sample. The run fails if there are more.
//!
//! ```text
//! cargo bench --bench metrics --features metrics
//! ```

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is the report of a run that cannot go on"
)]

use std::{alloc::System, convert::Infallible, process::ExitCode, time::Instant};

use futures_util::FutureExt as _;
use http::{HeaderValue, Request, Response, header};
use metrics::NoopRecorder;
use metrics_exporter_prometheus::PrometheusBuilder;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tower::{ServiceExt as _, service_fn};
use tower_layer::Layer as _;
use tower_redis_session::{MemoryStore, RedisSessionLayer, SessionContext};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ROUNDS: usize = 401;
const REQUESTS: usize = 64;

#[derive(Clone, Copy)]
enum Kind {
    Read,
    Update,
}

/// Serves requests of a session; returns nanoseconds and allocations of one.
fn turn(layer: &RedisSessionLayer, cookie: &HeaderValue, kind: Kind) -> (f64, f64) {
    let service = layer.layer(service_fn(move |request: Request<()>| async move {
        let session = request.extensions().get::<SessionContext>().unwrap();
        match kind {
            Kind::Read => drop(session.get::<u64>("n").await.unwrap()),
            Kind::Update => {
                let add = |n: Option<u64>| n.unwrap_or_default() + 1;
                let _ = session.update("n", add).await.unwrap();
            }
        }
        Ok::<_, Infallible>(Response::new(String::new()))
    }));
    let requests: Vec<_> = (0..REQUESTS)
        .map(|_| Request::builder().header(header::COOKIE, cookie).body(()).unwrap())
        .collect();
    let (region, start) = (Region::new(ALLOCATOR), Instant::now());
    for request in requests {
        let _ = service.clone().oneshot(request).now_or_never().unwrap().unwrap();
    }
    let (nanos, change) = (start.elapsed().as_nanos() as f64, region.change());
    (nanos / REQUESTS as f64, change.allocations as f64 / REQUESTS as f64)
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _inside = runtime.enter();
    let layer = RedisSessionLayer::builder(MemoryStore::new()).build().unwrap();
    let create = layer.layer(service_fn(async |request: Request<()>| {
        let session = request.extensions().get::<SessionContext>().unwrap();
        session.insert("n", &1_u64).await.unwrap();
        Ok::<_, Infallible>(Response::new(String::new()))
    }));
    let made = create.oneshot(Request::new(())).now_or_never().unwrap().unwrap();
    let set = made.headers()[header::SET_COOKIE].to_str().unwrap();
    let cookie = HeaderValue::from_str(set.split(';').next().unwrap()).unwrap();
    let prometheus = PrometheusBuilder::new().set_buckets(&[0.001, 0.01, 0.1, 1.0]).unwrap();
    let prometheus = prometheus.build_recorder();
    let mut fine = true;
    for (name, kind, samples) in [("read", Kind::Read, 1.0), ("update", Kind::Update, 2.0)] {
        let mut figures = [(); 2].map(|()| (Vec::new(), Vec::new()));
        for _ in 0..ROUNDS {
            let off = metrics::with_local_recorder(&NoopRecorder, || turn(&layer, &cookie, kind));
            let on = metrics::with_local_recorder(&prometheus, || turn(&layer, &cookie, kind));
            for ((nanos, allocations), one) in figures.iter_mut().zip([off, on]) {
                nanos.push(one.0);
                allocations.push(one.1);
            }
        }
        let [off, on] = figures.map(|(nanos, allocations)| (median(nanos), median(allocations)));
        let ratio = on.0 / off.0;
        println!("{name}: {:.0} ns and {} allocations without a recorder", off.0, off.1);
        println!("{name}: {:.0} ns ({ratio:.3}) and {} allocations with one", on.0, on.1);
        // The exporter sometimes needs a new block for its samples.
        fine &= on.1 <= off.1 + 2.0 * samples + 0.1;
    }
    if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
