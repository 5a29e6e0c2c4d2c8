//! What a client does in every cell, and what it has to see.

use http::{Method, StatusCode, Version, header};

use crate::{
    client::{Client, Got, get, post},
    stack::{Boxed, Door, FRAMES, frame, padded},
};

/// One place of a layer in a stack.
pub struct Cell {
    pub column: &'static str,
    pub door: Door,
    pub service: Boxed,
}

/// A layer, and the places where it was put.
pub struct Row {
    pub name: &'static str,
    pub cells: Vec<Cell>,
}

/// Their bodies have no size hint, whatever the inner one has.
const FORGETS_THE_LENGTH: [&str; 2] = ["response body timeout", "response body deadline"];

/// Signs in by a form, counts, streams, is denied, signs out.
pub async fn walk(name: &str, cell: &Cell, version: Version) {
    let place = format!("{name}, {}, {version:?}", cell.column);
    let is = |got: &Got, status: u16| {
        // The one layer whose purpose this is.
        let overridden = name == "set-status" && got.status == StatusCode::OK;
        assert!(got.status == status || overridden, "{place}: {status} expected of {got:?}");
    };
    let says = |got: &Got, body: &str| {
        is(got, 200);
        assert_eq!(got.body, body, "{place}");
    };
    let mut client = Client::connect(cell.service.clone(), version).await;
    cell.door.set_closed(false);

    let page = client.send(get("/token").header("accept-encoding", "gzip"), "").await;
    let token = page.body.split('\n').next().unwrap().to_owned();
    says(&page, &padded(&token));
    assert_eq!(page.headers.contains_key("content-encoding"), name == "compression", "{place}");

    let forged = client.send(post("/login"), "user=alice").await;
    is(&forged, 403);
    let form = format!("user=alice&csrf_token={token}&note={}", "x".repeat(3000));
    let kind = "application/x-www-form-urlencoded";
    let welcome = client.send(post("/login").header(header::CONTENT_TYPE, kind), form.clone());
    let welcome = welcome.await;
    says(&welcome, &form);
    assert!(welcome.headers.contains_key(header::SET_COOKIE), "{place}: {welcome:?}");

    cell.door.set_closed(true);
    for n in 1..3 {
        let count = client.send(get("/count").header("accept-encoding", "gzip"), "").await;
        says(&count, &padded(&n.to_string()));
        assert!(!count.headers.contains_key(header::SET_COOKIE), "{place}: {count:?}");
        assert_eq!(count.headers[header::VARY].to_str().unwrap().split(',').count(), 1);
    }
    let head = client.send(get("/count").method(Method::HEAD), "").await;
    says(&head, "");
    if let Some(length) = head.headers.get(header::CONTENT_LENGTH) {
        assert_eq!(length, &*padded("3").len().to_string(), "{place}");
    }
    let count = client.send(get("/count"), "").await;
    says(&count, &padded("4"));
    match count.headers.get(header::CONTENT_LENGTH) {
        Some(length) => assert_eq!(length, &*count.body.len().to_string(), "{place}"),
        None => assert!(FORGETS_THE_LENGTH.contains(&name), "{place}: {count:?}"),
    }

    let page = client.send(get("/token"), "").await;
    let token = page.body.split('\n').next().unwrap().to_owned();
    let text = "{\"a\": 1}".repeat(500);
    let echo = client.send(post("/echo").header("x-csrf-token", &token), text.clone()).await;
    says(&echo, &text);

    let stream = client.send(get("/stream").header("accept-encoding", "gzip"), "").await;
    says(&stream, &(0..FRAMES).map(frame).collect::<String>());
    // Over HTTP/1.1 trailers go only to who asks for them.
    if version == Version::HTTP_2 {
        let trailers = stream.trailers.as_ref().map(|trailers| &trailers["x-frames"]);
        assert_eq!(trailers.unwrap(), &FRAMES.to_string(), "{place}");
    }
    says(&client.send(get("/streamed"), "").await, &padded(&FRAMES.to_string()));

    for (path, status) in [("/nothing", 204), ("/same", 304)] {
        let got = client.send(get(path), "").await;
        is(&got, status);
        assert_eq!(got.body, "", "{place}");
    }

    let cookies = std::mem::take(&mut client.cookies);
    let denied = client.send(get("/count"), "").await;
    is(&denied, 401);
    assert!(denied.body.contains("unauthenticated"), "{place}: {denied:?}");
    let denied = client.send(get("/count").method(Method::HEAD), "").await;
    is(&denied, 401);
    assert_eq!(denied.body, "");
    client.cookies = cookies.clone();
    let left = client.send(post("/logout").header("x-csrf-token", &token), "").await;
    says(&left, &padded("signed out"));
    client.cookies = cookies;
    is(&client.send(get("/count"), "").await, 401);
}
