//! The layers of tower-http.

use std::time::Duration;

use axum::body::Body;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use tower_http::{
    add_extension::AddExtensionLayer,
    auth::{AddAuthorizationLayer, AsyncRequireAuthorizationLayer},
    catch_panic::CatchPanicLayer,
    compression::CompressionLayer,
    cors::CorsLayer,
    csrf::CsrfLayer as OriginCsrfLayer,
    decompression::{DecompressionLayer, RequestDecompressionLayer},
    follow_redirect::FollowRedirectLayer,
    limit::RequestBodyLimitLayer,
    map_request_body::MapRequestBodyLayer,
    map_response_body::MapResponseBodyLayer,
    metrics::InFlightRequestsLayer,
    normalize_path::NormalizePathLayer,
    on_early_drop::OnEarlyDropLayer,
    propagate_header::PropagateHeaderLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    sensitive_headers::{
        SetSensitiveHeadersLayer, SetSensitiveRequestHeadersLayer, SetSensitiveResponseHeadersLayer,
    },
    set_header::{SetRequestHeaderLayer, SetResponseHeaderLayer},
    set_status::SetStatusLayer,
    timeout::{
        RequestBodyDeadlineLayer, RequestBodyTimeoutLayer, ResponseBodyDeadlineLayer,
        ResponseBodyTimeoutLayer, TimeoutLayer,
    },
    trace::TraceLayer,
    validate_request::ValidateRequestHeaderLayer,
};

use crate::{table::row, walk::Row};

const LONG: Duration = Duration::from_secs(60);
const SEEN: HeaderName = HeaderName::from_static("x-seen");

pub fn rows() -> Vec<Row> {
    let mut rows = bodies();
    rows.extend(heads());
    rows.extend(rejections());
    rows
}

/// Those that change or watch a body.
fn bodies() -> Vec<Row> {
    vec![
        row!("compression", CompressionLayer::new()),
        row!("decompression", DecompressionLayer::new()),
        row!("request decompression", RequestDecompressionLayer::new()),
        row!("request body limit", RequestBodyLimitLayer::new(64 * 1024)),
        row!("request body timeout", RequestBodyTimeoutLayer::new(LONG)),
        row!("request body deadline", RequestBodyDeadlineLayer::new(LONG)),
        row!("response body timeout", ResponseBodyTimeoutLayer::new(LONG)),
        row!("response body deadline", ResponseBodyDeadlineLayer::new(LONG)),
        row!("map request body", MapRequestBodyLayer::new(Body::new)),
        row!("map response body", MapResponseBodyLayer::new(Body::new)),
        row!("trace", TraceLayer::new_for_http()),
        row!("trace for gRPC", TraceLayer::new_for_grpc()),
        row!("in-flight requests", InFlightRequestsLayer::pair().0),
        row!("on early drop", OnEarlyDropLayer::builder()),
    ]
}

/// Those that change a head.
fn heads() -> Vec<Row> {
    let seen = HeaderValue::from_static("yes");
    vec![
        row!("add extension", AddExtensionLayer::new(1_u8)),
        row!("add authorization", AddAuthorizationLayer::bearer("other")),
        row!("normalize path", NormalizePathLayer::trim_trailing_slash()),
        row!("set request id", SetRequestIdLayer::x_request_id(MakeRequestUuid)),
        row!("propagate request id", PropagateRequestIdLayer::x_request_id()),
        row!("propagate header", PropagateHeaderLayer::new(SEEN)),
        row!("sensitive headers", SetSensitiveHeadersLayer::new([header::COOKIE])),
        row!("sensitive request headers", SetSensitiveRequestHeadersLayer::new([header::COOKIE])),
        row!(
            "sensitive response headers",
            SetSensitiveResponseHeadersLayer::new([header::SET_COOKIE])
        ),
        row!("set request header", SetRequestHeaderLayer::overriding(SEEN, seen.clone())),
        row!("set response header", SetResponseHeaderLayer::overriding(SEEN, seen.clone())),
        row!("set-status", SetStatusLayer::new(StatusCode::OK)),
    ]
}

/// Those that may answer in the place of what is inside.
fn rejections() -> Vec<Row> {
    vec![
        row!("timeout", TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, LONG)),
        row!("catch panic", CatchPanicLayer::new()),
        row!("cors", CorsLayer::permissive()),
        row!("csrf by origin", OriginCsrfLayer::new()),
        row!("validate request", ValidateRequestHeaderLayer::accept("text/plain")),
        row!(
            "async require authorization",
            AsyncRequireAuthorizationLayer::new(|request: Request<_>| {
                std::future::ready(Ok::<_, Response<_>>(request))
            })
        ),
        row!(
            "follow redirect",
            ServiceBuilder::new()
                .layer(MapRequestBodyLayer::new(Body::new))
                .layer(FollowRedirectLayer::new())
        ),
    ]
}
