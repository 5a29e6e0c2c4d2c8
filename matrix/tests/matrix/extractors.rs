//! Every extractor of axum that takes the body, behind a CSRF layer that may have read it.

use axum::{
    Form, Json, Router,
    body::{Body, Bytes},
    extract::{Multipart, Query, RawForm, Request},
    routing::{get, post},
};
use http::{Version, header::CONTENT_TYPE};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use tower_redis_session::{Error, SessionContext, csrf::CsrfLayer, layer::SavepointLayer};

use crate::{
    client::{self, Client},
    stack::{boxed, sessions},
};

#[derive(Deserialize)]
struct Note {
    note: String,
}

async fn token(session: SessionContext) -> Result<String, Error> {
    Ok(session.csrf_token().await?.to_string())
}

async fn multipart(mut parts: Multipart) -> String {
    let mut texts = Vec::new();
    while let Some(part) = parts.next_field().await.unwrap() {
        texts.push(part.text().await.unwrap());
    }
    texts.concat()
}

fn router() -> Router {
    Router::new()
        .route("/token", get(token))
        .route("/json", post(async |Json(note): Json<Note>| note.note))
        .route("/form", post(async |Form(note): Form<Note>| note.note))
        .route("/raw-form", post(async |RawForm(form): RawForm| form))
        .route("/multipart", post(multipart))
        .route("/bytes", post(async |bytes: Bytes| bytes))
        .route("/string", post(async |text: String| text))
        .route("/body", post(async |body: Body| body.collect().await.unwrap().to_bytes()))
        .route("/request", post(async |request: Request| request.into_body()))
        .route("/query", post(async |Query(note): Query<Note>, _: SessionContext| note.note))
        .layer(SavepointLayer::new())
        .layer(CsrfLayer::new())
        .layer(sessions())
}

#[tokio::test]
async fn every_extractor_of_axum_gets_its_body_behind_the_csrf_layer() {
    const URLENCODED: &str = "application/x-www-form-urlencoded";
    const PARTS: &str =
        "--x\r\ncontent-disposition: form-data; name=\"note\"\r\n\r\na\r\n--x--\r\n";
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let mut client = Client::connect(boxed(router()), version).await;
        let token = client.send(client::get("/token"), "").await.body;
        for (path, kind, body, expected) in [
            ("/json", "application/json", "{\"note\":\"a\"}", "a"),
            ("/form", URLENCODED, "note=a", "a"),
            ("/raw-form", URLENCODED, "note=a", "note=a"),
            ("/multipart", "multipart/form-data; boundary=x", PARTS, "a"),
            ("/bytes", "text/plain", "a", "a"),
            ("/string", "text/plain", "a", "a"),
            ("/body", "text/plain", "a", "a"),
            ("/request", "text/plain", "a", "a"),
            ("/query?note=a", "text/plain", "", "a"),
        ] {
            let post = || client::post(path).header(CONTENT_TYPE, kind);
            let refused = client.send(post(), body).await;
            assert_eq!(refused.status, 403, "{path}, {version:?}");
            let got = client.send(post().header("x-csrf-token", &token), body).await;
            assert_eq!((got.status.as_u16(), &*got.body), (200, expected), "{path}, {version:?}");
        }
        for (path, expected) in [("/form", "a".to_owned()), ("/raw-form", String::new())] {
            let form = format!("note=a&csrf_token={token}");
            let post = client::post(path).header(CONTENT_TYPE, URLENCODED);
            let got = client.send(post, form.clone()).await;
            let expected = if path == "/form" { expected } else { form };
            assert_eq!((got.status.as_u16(), &*got.body), (200, &*expected), "{path}, the field");
        }
        let large = "x".repeat(3 * 1024 * 1024);
        let post = client::post("/bytes").header("x-csrf-token", &token);
        let refused = client.send(post, large).await;
        assert_eq!(refused.status, 413, "axum's own limit holds behind the layer, {version:?}");
    }
}
