//! The layers of tower, and the services of it that stand where a layer would.

use std::{convert::Infallible, future::Ready, time::Duration};

use axum::{body::Body, error_handling::HandleErrorLayer};
use http::{Request, StatusCode};
use tower::{
    BoxError,
    balance::p2c::Balance,
    buffer::BufferLayer,
    discover::ServiceList,
    filter::{AsyncFilterLayer, FilterLayer},
    hedge::{self, Hedge},
    layer::layer_fn,
    limit::{ConcurrencyLimitLayer, GlobalConcurrencyLimitLayer, RateLimitLayer},
    load::Constant,
    load_shed::LoadShedLayer,
    retry::{self, RetryLayer},
    spawn_ready::SpawnReadyLayer,
    steer::Steer,
    timeout::TimeoutLayer,
    util::{
        AndThenLayer, BoxCloneService, BoxCloneSyncService, BoxService, Either, MapErrLayer,
        MapFutureLayer, MapRequestLayer, MapResponseLayer, MapResultLayer, ThenLayer, option_layer,
    },
};
use tower_http::map_request_body::MapRequestBodyLayer;

use crate::{table::row, walk::Row};

const LONG: Duration = Duration::from_secs(60);

/// Retries and hedges nothing: what they leave behind is tested with savepoints.
#[derive(Clone)]
struct Once;

impl<A, B, C> retry::Policy<A, B, C> for Once {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut A, _: &mut Result<B, C>) -> Option<Self::Future> {
        None
    }

    fn clone_request(&mut self, _: &A) -> Option<A> {
        None
    }
}

impl<A> hedge::Policy<A> for Once {
    fn clone_request(&self, _: &A) -> Option<A> {
        None
    }

    fn can_retry(&self, _: &A) -> bool {
        false
    }
}

/// For axum, whose services cannot fail.
async fn failed(error: BoxError) -> (StatusCode, String) {
    (StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}

/// A row whose layer has errors of its own.
macro_rules! fallible {
    ($name:literal, $layer:expr) => {
        row!(
            $name,
            $layer,
            ServiceBuilder::new().layer(HandleErrorLayer::new(failed)).layer($layer)
        )
    };
}

/// A row whose service is not `Clone`: behind a buffer it is.
macro_rules! buffered {
    ($name:literal, $layer:expr) => {
        fallible!($name, ServiceBuilder::new().layer(BufferLayer::new(8)).layer($layer))
    };
}

/// A row whose service is for one type of request.
macro_rules! of_one_body {
    ($layer:expr) => {
        ServiceBuilder::new().layer(MapRequestBodyLayer::new(Body::new)).layer($layer)
    };
}

pub fn rows() -> Vec<Row> {
    let mut rows = limits();
    rows.extend(functions());
    rows.extend(services());
    rows
}

fn limits() -> Vec<Row> {
    vec![
        fallible!("buffer", BufferLayer::new(8)),
        row!("concurrency limit", ConcurrencyLimitLayer::new(8)),
        row!("global concurrency limit", GlobalConcurrencyLimitLayer::new(8)),
        buffered!("rate limit", RateLimitLayer::new(1_000_000, Duration::from_secs(1))),
        fallible!("load shed", LoadShedLayer::new()),
        fallible!("timeout", TimeoutLayer::new(LONG)),
        row!("retry", RetryLayer::new(Once)),
        buffered!("spawn ready", SpawnReadyLayer::new()),
    ]
}

fn functions() -> Vec<Row> {
    vec![
        fallible!("filter", FilterLayer::new(|request: Request<_>| Ok::<_, BoxError>(request))),
        fallible!(
            "async filter",
            AsyncFilterLayer::new(|request: Request<_>| std::future::ready(Ok::<_, BoxError>(
                request
            )))
        ),
        row!("map request", MapRequestLayer::new(|request: Request<_>| request)),
        row!("map response", MapResponseLayer::new(|response| response)),
        row!("map error", MapErrLayer::new(|error| error)),
        row!("map result", MapResultLayer::new(|result: Result<_, _>| result)),
        row!("map future", MapFutureLayer::new(|future| future)),
        row!("then", ThenLayer::new(std::future::ready)),
        row!(
            "and then",
            AndThenLayer::new(|response| { std::future::ready(Ok::<_, Infallible>(response)) })
        ),
        row!("option layer", option_layer(Some(ConcurrencyLimitLayer::new(8)))),
        row!("either", Either::<_, ConcurrencyLimitLayer>::Left(ConcurrencyLimitLayer::new(8))),
    ]
}

fn services() -> Vec<Row> {
    vec![
        buffered!("boxed", BoxService::layer()),
        buffered!("boxed, clone", BoxCloneService::layer()),
        row!("boxed, clone, sync", BoxCloneSyncService::layer()),
        buffered!(
            "hedge",
            of_one_body!(layer_fn(|inner| {
                Hedge::new::<Request<Body>>(inner, Once, 10, 0.9, LONG)
            }))
        ),
        buffered!("steer", layer_fn(|inner| Steer::new([inner], |_: &Request<_>, _: &[_]| 0))),
        buffered!(
            "balance",
            of_one_body!(layer_fn(|inner| {
                Balance::new(ServiceList::new::<Request<Body>>([Constant::new(inner, 1)]))
            }))
        ),
    ]
}
