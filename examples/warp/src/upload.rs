//! An upload that is answered while it goes on: a line for each piece.

use std::io;

use futures_util::{Stream, TryStreamExt as _, stream};
use sync_wrapper::SyncStream;
use tower_redis_session::SessionContext;
use warp::{Buf, Reply as _, reply::Response};

pub(crate) fn upload<S, B>(pieces: S, session: SessionContext) -> Response
where
    S: Stream<Item = Result<B, warp::Error>> + Send + 'static,
    B: Buf + Send + 'static,
{
    let parts = (session, Box::pin(pieces), 0);
    let totals = stream::try_unfold(parts, async |(session, mut pieces, total)| {
        let Some(piece) = pieces.try_next().await.map_err(io::Error::other)? else {
            return Ok(None);
        };
        let total = total + piece.remaining();
        // Buffered, and stored before the last piece leaves.
        session.insert("uploaded", &total).await.map_err(io::Error::other)?;
        Ok::<_, io::Error>(Some((format!("{total} bytes\n"), (session, pieces, total))))
    });
    warp::reply::stream(SyncStream::new(totals)).into_response()
}
