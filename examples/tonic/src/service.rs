//! The services.

use std::pin::Pin;

use example_tonic::{account_server::Account, sessions_server::Sessions};
use futures_util::{Stream, stream};
use tonic::{Request, Response, Status, Streaming};
use tower_redis_session::{Error, SessionContext};

/// Both services, which keep everything in sessions.
pub(crate) struct Example;

fn failed(error: Error) -> Status {
    Status::new(error.grpc_code().into(), error.to_string())
}

fn session<T>(request: &Request<T>) -> Result<SessionContext, Status> {
    request.extensions().get().cloned().ok_or(Status::internal("there is no session layer"))
}

#[tonic::async_trait]
impl Sessions for Example {
    async fn sign_in(&self, request: Request<String>) -> Result<Response<()>, Status> {
        // An application compares with the hash that it keeps for each of its users.
        if request.get_ref() != "wonderland" {
            return Err(Status::permission_denied("wrong password"));
        }
        session(&request)?.login("alice").await.map_err(failed).map(Response::new)
    }

    async fn sign_out(&self, request: Request<()>) -> Result<Response<()>, Status> {
        session(&request)?.logout().await.map_err(failed).map(Response::new)
    }

    async fn visit(&self, request: Request<()>) -> Result<Response<u32>, Status> {
        let count = |visits: Option<u32>| visits.unwrap_or(0) + 1;
        session(&request)?.update("visits", count).await.map_err(failed).map(Response::new)
    }

    async fn note(&self, request: Request<String>) -> Result<Response<()>, Status> {
        session(&request)?.insert("note", request.get_ref()).await.map_err(failed)?;
        // A call that fails stores nothing.
        match request.get_ref().len() {
            0..=10 => Ok(Response::new(())),
            _ => Err(Status::invalid_argument("the note is too long")),
        }
    }

    type UploadStream = Pin<Box<dyn Stream<Item = Result<u64, Status>> + Send>>;

    async fn upload(
        &self,
        request: Request<Streaming<String>>,
    ) -> Result<Response<Self::UploadStream>, Status> {
        let parts = (session(&request)?, request.into_inner(), 0);
        Ok(Response::new(Box::pin(stream::try_unfold(
            parts,
            async |(session, mut pieces, total)| {
                let Some(piece) = pieces.message().await? else { return Ok(None) };
                let total = total + piece.len() as u64;
                // Buffered, and stored before the status of the call leaves.
                session.insert("uploaded", &total).await.map_err(failed)?;
                Ok(Some((total, (session, pieces, total))))
            },
        ))))
    }
}

#[tonic::async_trait]
impl Account for Example {
    async fn show(&self, request: Request<()>) -> Result<Response<String>, Status> {
        let session = session(&request)?;
        let user = session.user_id().await.map_err(failed)?.unwrap_or_default();
        let note = session.get::<String>("note").await.map_err(failed)?.unwrap_or_default();
        let uploaded = session.get::<u64>("uploaded").await.map_err(failed)?.unwrap_or(0);
        Ok(Response::new(format!("{user}: {note:?}, {uploaded} bytes")))
    }
}
