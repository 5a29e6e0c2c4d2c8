//! An upload that is answered while it goes on: a line for each piece.

use std::io;

use futures_util::{TryStreamExt as _, stream};
use http_body_util::BodyExt as _;
use salvo::prelude::*;

use crate::session::{Failed, session};

#[handler]
pub(crate) async fn upload(request: &mut Request, response: &mut Response) -> Result<(), Failed> {
    let parts = (session(request)?, request.take_body().into_data_stream(), 0);
    response.stream(stream::try_unfold(parts, async |(session, mut pieces, total)| {
        let piece = pieces.try_next().await.map_err(io::Error::other)?;
        let Some(piece) = piece else { return Ok::<_, io::Error>(None) };
        let total = total + piece.len();
        // Buffered, and stored before the last piece leaves.
        session.insert("uploaded", &total).await.map_err(io::Error::other)?;
        Ok(Some((format!("{total} bytes\n"), (session, pieces, total))))
    }));
    Ok(())
}
