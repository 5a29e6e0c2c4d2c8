//! Success of a response: only a success commits the handler's changes.

use std::{fmt, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// Decides whether a response is a success: only then are the handler's buffered changes stored.
/// Calls that act at once (`update`, `save`, `logout`) are stored either way.
///
/// Set by [`success`](crate::RedisSessionLayerBuilder::success). Defaults to [`Success::http`].
///
/// # Streams
///
/// A response is judged by its head, since the cookie is sent with it. If a stream fails after its
/// head was sent, earlier changes stay stored. Of the changes that the stream itself has buffered,
/// [`Success::http`] and [`Success::grpc`] drop those before trailers that report a failure, and a
/// body that ends in an error, or is dropped, never stores any.
#[derive(Clone, Default)]
pub struct Success(Rule);

#[derive(Clone, Default)]
enum Rule {
    #[default]
    Http,
    Grpc,
    Always,
    Custom(Arc<Predicate>),
}

type Predicate = dyn Fn(StatusCode, &HeaderMap) -> bool + Send + Sync;

impl Success {
    /// A failure is a status of 500 and above. A gRPC response whose head reports a fault of the
    /// server (unknown, deadline exceeded, unimplemented, internal, unavailable, data loss) is one
    /// too, so that gRPC next to pages needs no setting. Errors of the client are a success: with
    /// 404 or `NOT_FOUND` the handler's changes are stored.
    ///
    /// ```
    /// # use tower_redis_session::layer::Success;
    /// let response = http::Response::builder().status(502).body(())?;
    /// assert!(!Success::http().is_success(&response));
    /// # Ok::<(), http::Error>(())
    /// ```
    #[must_use]
    pub const fn http() -> Self {
        Self(Rule::Http)
    }

    /// A failure is every gRPC status except 0, as of a call that returns an error: tonic and other
    /// libraries send such a status in the head, as a response of trailers only. A response without
    /// a gRPC status fails from 500 on.
    ///
    /// ```
    /// # use tower_redis_session::layer::Success;
    /// let not_found = http::Response::builder().header("grpc-status", "5").body(())?;
    /// assert!(!Success::grpc().is_success(&not_found));
    /// assert!(Success::http().is_success(&not_found));
    /// # Ok::<(), http::Error>(())
    /// ```
    #[must_use]
    pub const fn grpc() -> Self {
        Self(Rule::Grpc)
    }

    /// No response is a failure: the handler's changes are stored with any status. A handler that
    /// returns an error instead of a response still stores nothing.
    ///
    /// ```
    /// # use tower_redis_session::layer::Success;
    /// let response = http::Response::builder().status(500).body(())?;
    /// assert!(Success::always().is_success(&response));
    /// # Ok::<(), http::Error>(())
    /// ```
    #[must_use]
    pub const fn always() -> Self {
        Self(Rule::Always)
    }

    /// Decides by a function of status and headers of the response. Trailers are not checked.
    ///
    /// ```
    /// use tower_redis_session::{MemoryStore, RedisSessionLayer, layer::Success};
    ///
    /// // A failed form, too, stores nothing.
    /// let success = Success::from_fn(|status, _| !status.is_server_error() && status != 422);
    /// let layer = RedisSessionLayer::builder(MemoryStore::new()).success(success).build()?;
    /// # drop(layer);
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    #[must_use]
    pub fn from_fn(
        predicate: impl Fn(StatusCode, &HeaderMap) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self(Rule::Custom(Arc::new(predicate)))
    }

    /// Whether `response` is a success.
    ///
    /// ```
    /// # use tower_redis_session::layer::Success;
    /// assert!(Success::default().is_success(&http::Response::new("a page")));
    /// ```
    #[must_use]
    pub fn is_success<B>(&self, response: &Response<B>) -> bool {
        let (status, headers) = (response.status(), response.headers());
        match &self.0 {
            Rule::Http | Rule::Grpc => !status.is_server_error() && self.reports_success(headers),
            Rule::Always => true,
            Rule::Custom(predicate) => predicate(status, headers),
        }
    }

    /// Whether the gRPC status in head or trailers, if any, is a success.
    pub(crate) fn reports_success(&self, headers: &HeaderMap) -> bool {
        // Faults of the server ("Library-generated" in gRPC's list of status codes).
        const FAULTS: [&[u8]; 6] = [b"2", b"4", b"12", b"13", b"14", b"15"];
        let status = || headers.get(GRPC_STATUS).map(HeaderValue::as_bytes);
        match &self.0 {
            Rule::Http => !status().is_some_and(|status| FAULTS.contains(&status)),
            Rule::Grpc => status().is_none_or(|status| status == b"0"),
            Rule::Always | Rule::Custom(_) => true,
        }
    }
}

impl fmt::Debug for Success {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Rule::Http => "Success::http()",
            Rule::Grpc => "Success::grpc()",
            Rule::Always => "Success::always()",
            Rule::Custom(_) => "Success::from_fn(..)",
        })
    }
}
