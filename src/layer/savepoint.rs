//! Savepoints: discard the changes of failed attempts, for retries inside of the layer.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project::{pin_project, pinned_drop};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    context::SessionContext,
    request::{RequestSession, savepoint::Savepoint},
};

/// Drops what a failed attempt has buffered in the session. Apply it inside of a layer that calls
/// its inner service more than once for a request, such as tower's `RetryLayer`:
///
/// ```
/// use http::{Request, Response};
/// use tower::{ServiceBuilder, retry::{Policy, RetryLayer}, service_fn};
/// use tower_redis_session::{Error, MemoryStore, RedisSessionLayer, layer::SavepointLayer};
///
/// # #[derive(Clone)]
/// # struct Twice;
/// # impl<A, B, C> Policy<A, B, C> for Twice {
/// #     type Future = std::future::Ready<()>;
/// #     fn retry(&mut self, _: &mut A, _: &mut Result<B, C>) -> Option<Self::Future> { None }
/// #     fn clone_request(&mut self, _: &A) -> Option<A> { None }
/// # }
/// # let policy = Twice;
/// let service = ServiceBuilder::new()
///     .layer(RedisSessionLayer::builder(MemoryStore::new()).build()?)
///     .layer(RetryLayer::new(policy))
///     .layer(SavepointLayer::new())
///     .service(service_fn(async |_: Request<String>| {
///         Ok::<_, Error>(Response::new("done".to_owned()))
///     }));
/// # drop(service);
/// # Ok::<(), tower_redis_session::ConfigError>(())
/// ```
///
/// All attempts of a request share one session, and the session layer sees the last response only.
/// Without a savepoint a failed attempt's login or insert is stored together with the next one's
/// changes. An attempt has failed if its response is no [`Success`](crate::layer::Success) by the
/// session layer's rule or an error, or if it is dropped. What it has stored itself, by
/// [`save`](SessionContext::save), [`update`](SessionContext::update) or
/// [`logout`](SessionContext::logout), stays. Attempts have to be sequential: the changes of
/// concurrent ones cannot be separated.
#[derive(Clone, Copy, Debug, Default)]
pub struct SavepointLayer(());

/// The service that [`SavepointLayer`] makes.
#[derive(Clone)]
pub struct SavepointService<S>(S);

/// The response future of one attempt.
#[must_use = "futures do nothing unless polled"]
#[pin_project(PinnedDrop)]
pub struct SavepointFuture<F> {
    #[pin]
    inner: F,
    /// Taken when the attempt is over.
    attempt: Option<(Arc<RequestSession>, Savepoint)>,
}

impl SavepointLayer {
    /// A savepoint for each call.
    ///
    /// ```
    /// # use tower_redis_session::layer::SavepointLayer;
    /// let layer = SavepointLayer::new();
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }
}

impl<S> Layer<S> for SavepointLayer {
    type Service = SavepointService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SavepointService(inner)
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for SavepointService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = SavepointFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let session = request.extensions().get::<SessionContext>();
        let session = session.map(|session| Arc::clone(&session.session));
        let attempt = session.map(|session| {
            let savepoint = session.savepoint();
            (session, savepoint)
        });
        SavepointFuture { inner: self.0.call(request), attempt }
    }
}

impl<F, B, E> Future for SavepointFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let output = ready!(this.inner.poll(context));
        if let Some((session, savepoint)) = this.attempt.take() {
            let success = &session.backend.rules.success;
            match &output {
                Ok(response) if success.is_success(response) => session.release(savepoint),
                _ => session.roll_back(savepoint),
            }
        }
        Poll::Ready(output)
    }
}

#[pinned_drop]
impl<F> PinnedDrop for SavepointFuture<F> {
    fn drop(self: Pin<&mut Self>) {
        if let Some((session, savepoint)) = self.project().attempt.take() {
            session.roll_back(savepoint);
        }
    }
}

impl<S> fmt::Debug for SavepointService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SavepointService").finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for SavepointFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SavepointFuture").finish_non_exhaustive()
    }
}
