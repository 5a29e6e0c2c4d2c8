//! An upload that is answered while it goes on: a line for each piece.

use std::io;

use futures_util::{TryStreamExt as _, stream};
use poem::{Body, handler, web::Data};
use tower_redis_session::SessionContext;

#[handler]
pub(crate) fn upload(Data(session): Data<&SessionContext>, body: Body) -> Body {
    let parts = (session.clone(), Box::pin(body.into_bytes_stream()), 0);
    Body::from_bytes_stream(stream::try_unfold(parts, async |(session, mut pieces, total)| {
        let Some(piece) = pieces.try_next().await? else { return Ok::<_, io::Error>(None) };
        let total = total + piece.len();
        // Buffered, and stored before the last piece leaves.
        session.insert("uploaded", &total).await.map_err(io::Error::other)?;
        Ok(Some((format!("{total} bytes\n"), (session, pieces, total))))
    }))
}
