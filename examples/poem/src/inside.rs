//! Endpoints of poem as services of Tower.

use std::{convert::Infallible, error::Error as StdError, io, sync::Arc};

use futures_util::TryStreamExt as _;
use http_body_util::{BodyExt as _, combinators::BoxBody};
use hyper::body::Bytes;
use poem::http::{Request, Response, uri::Scheme};
use poem::{Body, Endpoint};
use tower::{Service, service_fn};

/// An endpoint as a service. Bodies go through piece by piece.
pub(crate) fn inside<B>(
    endpoint: impl Endpoint + 'static,
) -> impl Service<
    Request<B>,
    Response = Response<BoxBody<Bytes, io::Error>>,
    Error = Infallible,
    Future: Send,
> + Clone
+ Send
+ Sync
where
    B: hyper::body::Body<Data = Bytes, Error: Into<Box<dyn StdError + Send + Sync>>>
        + Send
        + 'static,
{
    let endpoint = Arc::new(endpoint);
    service_fn(move |request: Request<B>| {
        let (endpoint, (parts, body)) = (Arc::clone(&endpoint), request.into_parts());
        let parts = (parts, Default::default(), Default::default(), Scheme::HTTP).into();
        let body = Body::from_bytes_stream(body.into_data_stream().map_err(io::Error::other));
        let request = poem::Request::from_parts(parts, body);
        async move { Ok(endpoint.get_response(request).await.into()) }
    })
}
