//! Guards around tower-http's file services, whose bodies cannot be made of anything else.

use axum::Router;
use http::{Method, Version, header};
use tempfile::TempDir;
use tower::{Layer as _, ServiceBuilder};
use tower_http::{
    compression::CompressionLayer,
    cors::CorsLayer,
    services::{ServeDir, ServeFile},
};
use tower_redis_session::{csrf::CsrfLayer, guard::RequireLayer, layer::SavepointLayer};

use crate::{
    client::{Client, get, post},
    stack::{Boxed, Handler, boxed, padded, sessions},
};

/// The same file by each way to serve it, and who signs in.
fn places(folder: &TempDir) -> Vec<(&'static str, Boxed, Boxed)> {
    let path = folder.path();
    let file = path.join("page.txt");
    let (directory, one, compressed, nested) = (sessions(), sessions(), sessions(), sessions());
    let sign_in = [&directory, &one, &compressed, &nested].map(|layer| boxed(layer.layer(Handler)));
    let directory = ServiceBuilder::new()
        .layer(CorsLayer::permissive())
        .layer(directory)
        .layer(CsrfLayer::new())
        .layer(RequireLayer::user())
        .layer(SavepointLayer::new())
        .service(ServeDir::new(path));
    let one = ServiceBuilder::new()
        .layer(one)
        .layer(RequireLayer::user())
        .layer(RequireLayer::session())
        .service(ServeFile::new(file));
    let compressed = ServiceBuilder::new()
        .layer(compressed)
        .layer(CompressionLayer::new())
        .layer(RequireLayer::user())
        .layer(CompressionLayer::new())
        .service(ServeDir::new(path));
    let nested = Router::new()
        .nest_service("/files", ServeDir::new(path))
        .fallback_service(ServeDir::new(path))
        .layer(RequireLayer::user())
        .layer(nested);
    let names = ["directory", "file", "compressed", "nested"];
    let served = [boxed(directory), boxed(one), boxed(compressed), boxed(nested)];
    let both = names.into_iter().zip(served).zip(sign_in);
    both.map(|((name, served), sign_in)| (name, served, sign_in)).collect()
}

#[tokio::test]
async fn guards_fit_around_files() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("page.txt"), padded("page")).unwrap();
    for (name, service, sign_in) in places(&folder) {
        for version in [Version::HTTP_11, Version::HTTP_2] {
            let place = format!("{name}, {version:?}");
            let mut visitor = Client::connect(sign_in.clone(), version).await;
            let _ = visitor.send(post("/login"), "").await;
            let mut client = Client::connect(service.clone(), version).await;

            let denied = client.send(get("/page.txt"), "").await;
            assert_eq!(denied.status, 401, "{place}");
            assert!(denied.body.contains("unauthenticated"), "{place}: {denied:?}");
            client.cookies = visitor.cookies;
            let whole = client.send(get("/page.txt").header("accept-encoding", "gzip"), "").await;
            assert_eq!((whole.status.as_u16(), &*whole.body), (200, &*padded("page")), "{place}");
            let is_compressed = whole.headers.contains_key(header::CONTENT_ENCODING);
            assert_eq!(is_compressed, name == "compressed", "{place}");

            let head = client.send(get("/page.txt").method(Method::HEAD), "").await;
            assert_eq!((head.status.as_u16(), &*head.body), (200, ""), "{place}");
            let length = &head.headers[header::CONTENT_LENGTH];
            assert_eq!(length, &*padded("page").len().to_string(), "{place}");
            let range = client.send(get("/page.txt").header(header::RANGE, "bytes=1-3"), "").await;
            assert_eq!((range.status.as_u16(), &*range.body), (206, "age"), "{place}");
            let tag = whole.headers[header::ETAG].clone();
            let same = client.send(get("/page.txt").header(header::IF_NONE_MATCH, tag), "").await;
            assert_eq!((same.status.as_u16(), &*same.body), (304, ""), "{place}");
        }
    }
}
