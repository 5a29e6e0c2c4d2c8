//! What becomes of changes that a streaming body makes, of those of a handler that fails, and of
//! responses that are no ordinary 200.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, request::Parts};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use tower::Layer;
use tower_redis_session::{
    Error, ErrorKind, RedisSessionLayer, SessionContext,
    layer::Success,
    response::{BodyError, HttpError as _},
};

use test_support::faulty_store::{Failure, Fault, FaultyStore, Op, Visitor, answer, session_of};

fn layer_on(store: &FaultyStore) -> RedisSessionLayer {
    RedisSessionLayer::builder(store.clone()).build().unwrap()
}

async fn visitor_with_n(store: &FaultyStore, layer: &RedisSessionLayer) -> Visitor {
    let mut visitor = Visitor::new(layer);
    visitor.ask(|s| async move { s.insert("n", &1).await.map(|()| "".into()) }).await;
    store.calls();
    visitor
}

async fn look(session: SessionContext) -> Result<String, Error> {
    let n = session.get::<u32>("n").await?.map_or("-".into(), |n| n.to_string());
    let user = session.user_id().await?.unwrap_or("-".into());
    Ok(format!("{n},{user}"))
}

/// Four chunks of five bytes; the third writes `n` = 2, and the fourth tells what it sees.
fn writes_at_the_third(
    session: SessionContext,
) -> impl Body<Data = Bytes, Error = Infallible> + Send {
    let chunks = stream::unfold((session, 0), |(session, chunk)| async move {
        let data = match chunk {
            0 | 1 => Bytes::from_static(b"chunk"),
            2 => {
                session.insert("n", &2).await.unwrap();
                Bytes::from_static(b"write")
            }
            3 => format!("n = {}", session.get::<u32>("n").await.unwrap().unwrap()).into(),
            _ => return None,
        };
        Some((Ok(Frame::data(data)), (session, chunk + 1)))
    });
    StreamBody::new(Box::pin(chunks))
}

#[tokio::test]
async fn a_stream_that_writes_is_stored_before_it_ends() {
    for length in [None, Some("20"), Some("not a number"), Some("7"), Some("1000")] {
        let store = FaultyStore::new();
        let layer = layer_on(&store);
        let mut visitor = visitor_with_n(&store, &layer).await;
        let streamed = visitor.visit(|s| async move {
            let mut response = Response::new(writes_at_the_third(s));
            if let Some(length) = length {
                response.headers_mut().insert(header::CONTENT_LENGTH, length.parse().unwrap());
            }
            Ok::<_, Infallible>(response)
        });
        assert_eq!(streamed.await.text(), "chunkchunkwriten = 2", "{length:?}");
        assert_eq!(visitor.ask(look).await.text(), "2,-", "{length:?}");
    }
}

/// A server that has sent as many bytes as the head promised asks for nothing more, so the commit
/// has to come with the last of them.
#[tokio::test]
async fn with_a_content_length_the_commit_comes_with_the_last_promised_byte() {
    let store = FaultyStore::new();
    let layer = layer_on(&store);
    let mut visitor = visitor_with_n(&store, &layer).await;
    let inner = tower::service_fn(|request: http::Request<()>| {
        let mut response = Response::new(writes_at_the_third(session_of(&request)));
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("20"));
        async move { Ok::<_, Infallible>(response) }
    });
    let request = visitor.request();
    let response = tower::ServiceExt::oneshot(layer.layer(inner), request).await.unwrap();
    let mut body = Box::pin(response.into_body());
    let mut rest = 20;
    while rest > 0 {
        assert!(!store.calls().contains(&Op::Save), "not before the last");
        let data = body.frame().await.unwrap().unwrap().into_data().unwrap();
        rest -= data.len();
    }
    assert!(store.calls().contains(&Op::Save));
    drop(body);
    assert_eq!(visitor.ask(look).await.text(), "2,-");
}

#[tokio::test]
async fn a_stream_whose_change_cannot_be_stored_ends_in_an_error() {
    for length in [None, Some("20")] {
        let store = FaultyStore::new();
        let layer = layer_on(&store);
        let mut visitor = visitor_with_n(&store, &layer).await;
        store.fault(Op::Save, Fault::Fails);
        let inner = tower::service_fn(|request: http::Request<()>| {
            let mut response = Response::new(writes_at_the_third(session_of(&request)));
            if let Some(length) = length {
                response.headers_mut().insert(header::CONTENT_LENGTH, length.parse().unwrap());
            }
            async move { Ok::<_, Infallible>(response) }
        });
        let request = visitor.request();
        let response = tower::ServiceExt::oneshot(layer.layer(inner), request).await.unwrap();
        assert_eq!(response.status(), 200);
        let mut body = Box::pin(response.into_body());
        let mut sent = 0;
        let error = loop {
            match body.frame().await.expect("no silent end") {
                Ok(frame) => sent += frame.into_data().unwrap().len(),
                Err(error) => break error,
            }
        };
        let BodyError::Session(error) = error else { panic!("{error:?}") };
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{length:?}");
        // With a length the last chunk is held back, so the client sees that something is missing.
        assert_eq!(sent, if length.is_some() { 15 } else { 20 }, "{length:?}");
        assert!(body.frame().await.is_none(), "{length:?}: the error is the end");
        drop(body);
        assert_eq!(visitor.ask(look).await.text(), "1,-", "{length:?}");
    }
}

#[tokio::test]
async fn a_stream_begins_no_session_and_changes_no_id() {
    let store = FaultyStore::new();
    let layer = layer_on(&store);
    let mut stranger = Visitor::new(&layer);
    let mut visitor = visitor_with_n(&store, &layer).await;
    for (visitor, signed_in) in [(&mut stranger, false), (&mut visitor, true)] {
        let streamed = visitor.visit(|s| async move {
            let chunk = stream::once(async move {
                let mut said = Vec::new();
                for error in [
                    s.insert("n", &5).await.err(),
                    s.update("n", |_: Option<u32>| 5).await.err(),
                    s.login("alice").await.err(),
                    s.renew().await.err(),
                ] {
                    said.push(error.map_or("ok".to_owned(), |error| format!("{:?}", error.kind())));
                }
                Ok::<_, Infallible>(Frame::data(Bytes::from(said.join(" "))))
            });
            Ok::<_, Infallible>(Response::new(StreamBody::new(Box::pin(chunk))))
        });
        let expected = if signed_in { "ok ok Closed Closed" } else { "Closed Closed Closed ok" };
        let streamed = streamed.await;
        assert_eq!(streamed.text(), expected);
        assert_eq!(streamed.set_cookie(), None);
    }
    assert_eq!(store.len(), 1);
    assert_eq!(visitor.ask(look).await.text(), "5,-");
}

/// The last moment at which a new id may be asked for is before the commit for the head. One that
/// comes between that commit and the head cannot be handed out, and is not dropped in silence.
#[tokio::test]
async fn a_renewal_between_the_commit_and_the_head_ends_the_body_in_an_error() {
    let store = FaultyStore::new();
    let layer = layer_on(&store);
    let mut visitor = visitor_with_n(&store, &layer).await;
    let gate = store.hold(Op::Save);
    let asked = visitor.visit(|s| async move {
        s.insert("n", &2).await.unwrap();
        tokio::spawn(async move {
            gate.arrived().await;
            s.renew().await.unwrap();
            gate.open();
        });
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("chunk")))
    });
    let asked = asked.await;
    assert_eq!((asked.status(), asked.set_cookie()), (200, None));
    assert!(asked.body.unwrap_err().contains("Closed"));
    assert_eq!(visitor.ask(look).await.text(), "2,-", "under the id that it had");
    assert_eq!(store.len(), 1);
}

#[tokio::test]
async fn a_logout_in_a_stream_ends_the_session() {
    let store = FaultyStore::new();
    let layer = layer_on(&store);
    let mut visitor = visitor_with_n(&store, &layer).await;
    let streamed = visitor.visit(|s| async move {
        let chunk = stream::once(async move {
            s.logout().await.unwrap();
            Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"out")))
        });
        Ok::<_, Infallible>(Response::new(StreamBody::new(Box::pin(chunk))))
    });
    assert_eq!(streamed.await.text(), "out");
    assert_eq!(store.len(), 0);
    assert_eq!(visitor.ask(look).await.text(), "-,-");
}

/// A body of which every question is counted.
struct Watched {
    frames: Vec<Frame<Bytes>>,
    hint: SizeHint,
    fails: bool,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        if self.frames.is_empty() {
            let fails = std::mem::take(&mut self.fails);
            return Poll::Ready(fails.then_some(Err(Failure)));
        }
        let frame = self.frames.remove(0);
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty() && !self.fails
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}

#[tokio::test]
async fn frames_trailers_hints_and_errors_of_the_body_pass_as_they_are() {
    let trailers: HeaderMap = [(header::ETAG, HeaderValue::from_static("x"))].into_iter().collect();
    for fails in [false, true] {
        let store = FaultyStore::new();
        let layer = layer_on(&store);
        let visitor = visitor_with_n(&store, &layer).await;
        let inner = tower::service_fn(|request: http::Request<()>| {
            let trailers = trailers.clone();
            async move {
                session_of(&request).insert("n", &2).await.unwrap();
                let frames = vec![Frame::data("ab".into()), Frame::trailers(trailers)];
                Ok::<_, Infallible>(Response::new(Watched {
                    frames,
                    hint: SizeHint::with_exact(2),
                    fails,
                }))
            }
        });
        let request = visitor.request();
        let response = tower::ServiceExt::oneshot(layer.layer(inner), request).await.unwrap();
        let mut body = Box::pin(response.into_body());
        assert_eq!(body.size_hint().exact(), Some(2));
        assert!(!body.is_end_stream());
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "ab");
        assert_eq!(body.frame().await.unwrap().unwrap().into_trailers().unwrap(), trailers);
        match body.frame().await {
            None => assert!(!fails),
            Some(Err(BodyError::Inner(error))) if error.is::<Failure>() => assert!(fails),
            other => panic!("{other:?}"),
        }
        assert!(body.is_end_stream());
    }
}

#[tokio::test]
async fn what_a_stream_changed_before_it_failed_is_dropped() {
    let store = FaultyStore::new();
    let layer = layer_on(&store);
    let mut visitor = visitor_with_n(&store, &layer).await;
    let streamed = visitor.visit(|s| async move {
        let chunks = stream::unfold((s, 0), |(s, chunk)| async move {
            s.insert("n", &2).await.unwrap();
            let frame = if chunk == 0 { Ok(Frame::data(Bytes::from("a"))) } else { Err(Failure) };
            (chunk < 2).then_some((frame, (s, chunk + 1)))
        });
        Ok::<_, Infallible>(Response::new(StreamBody::new(Box::pin(chunks))))
    });
    assert!(streamed.await.body.unwrap_err().contains("Inner(Failure)"));
    assert_eq!(visitor.ask(look).await.text(), "1,-");
}

/// Buffered, and three that act at once.
#[derive(Clone, Copy, Debug)]
enum Act {
    Insert,
    Update,
    Save,
    Login,
    Logout,
}

impl Act {
    async fn on(self, s: &SessionContext) -> Result<(), Error> {
        match self {
            Self::Insert => s.insert("n", &2).await,
            Self::Update => s.update("n", |_: Option<u32>| 2).await.map(drop),
            Self::Save => {
                s.insert("n", &2).await?;
                s.save().await
            }
            Self::Login => s.login("alice").await,
            Self::Logout => s.logout().await,
        }
    }
}

#[tokio::test]
async fn a_server_error_drops_what_is_buffered_and_keeps_what_was_done() {
    for (act, keep, after) in [
        (Act::Insert, false, "1,-"),
        (Act::Insert, true, "2,-"),
        (Act::Update, false, "2,-"),
        (Act::Save, false, "2,-"),
        (Act::Login, false, "1,-"),
        (Act::Login, true, "1,alice"),
        (Act::Logout, false, "-,-"),
        (Act::Logout, true, "-,-"),
    ] {
        for status in [500, 503, 599] {
            let at = format!("{act:?}, commit on error: {keep}, {status}");
            let store = FaultyStore::new();
            let rule = if keep { Success::always() } else { Success::http() };
            let builder = RedisSessionLayer::builder(store.clone()).success(rule);
            let layer = builder.build().unwrap();
            let mut visitor = visitor_with_n(&store, &layer).await;
            let answered = visitor.visit(|s| async move {
                act.on(&s).await.unwrap();
                let status = StatusCode::from_u16(status).unwrap();
                Response::builder().status(status).body(Full::from("broken"))
            });
            let answered = answered.await;
            assert_eq!((answered.status(), answered.text()), (status, "broken"), "{at}");
            assert_eq!(visitor.ask(look).await.text(), after, "{at}");
        }
    }
}

#[tokio::test]
async fn an_inner_error_passes_and_drops_what_is_buffered() {
    for (act, after) in [
        (Act::Insert, "1,-"),
        (Act::Update, "2,-"),
        (Act::Save, "2,-"),
        (Act::Login, "1,-"),
        (Act::Logout, "-,-"),
    ] {
        let store = FaultyStore::new();
        let layer = layer_on(&store);
        let mut visitor = visitor_with_n(&store, &layer).await;
        let kept: Arc<Mutex<Option<SessionContext>>> = Arc::default();
        let keep = Arc::clone(&kept);
        let failed = answer(&layer, visitor.request(), |s| async move {
            act.on(&s).await.unwrap();
            *keep.lock().unwrap() = Some(s);
            Err::<Response<Full<Bytes>>, _>(Failure)
        });
        assert_eq!(failed.await.unwrap_err(), Failure, "{act:?}");
        let kept = kept.lock().unwrap().take().unwrap();
        assert_eq!(kept.keys().await.unwrap_err().kind(), ErrorKind::Closed, "{act:?}");
        assert_eq!(visitor.ask(look).await.text(), after, "{act:?}");
    }
}

#[tokio::test]
async fn any_other_status_is_committed_and_passes_as_it_is() {
    for status in [100, 101, 103, 200, 204, 206, 301, 304, 400, 401, 404, 413, 418, 499] {
        let store = FaultyStore::new();
        let layer = layer_on(&store);
        let mut visitor = Visitor::new(&layer);
        let answered = answer(&layer, visitor.request(), |s| async move {
            s.insert("n", &1).await.unwrap();
            Response::builder()
                .status(status)
                .header(header::UPGRADE, "websocket")
                .header(header::ETAG, "\"tag\"")
                .header(header::SET_COOKIE, "theme=dark")
                .header(header::CONTENT_LENGTH, "11")
                .body(Empty::<Bytes>::new())
        });
        let answered = answered.await.unwrap();
        assert_eq!(answered.status(), status);
        let headers = &answered.head.headers;
        assert_eq!(headers[header::UPGRADE], "websocket", "{status}");
        assert_eq!(headers[header::ETAG], "\"tag\"", "{status}");
        assert_eq!(headers[header::CONTENT_LENGTH], "11", "{status}: as for HEAD");
        assert_eq!(headers[header::CACHE_CONTROL], "no-store", "{status}");
        assert_eq!(headers[header::VARY], "cookie", "{status}");
        assert_eq!(answered.text(), "", "{status}");
        let cookies: Vec<_> = headers.get_all(header::SET_COOKIE).iter().collect();
        assert_eq!(cookies.len(), 2, "{status}");
        assert_eq!(cookies[0], "theme=dark", "{status}");
        visitor.cookie = test_support::faulty_store::cookie_of(cookies[1].to_str().unwrap());
        assert_eq!(visitor.ask(look).await.text(), "1,-", "{status}");
    }
}

#[tokio::test]
async fn an_upgrade_keeps_its_extensions_and_an_untouched_response_is_untouched() {
    #[derive(Clone, Debug, PartialEq)]
    struct OnUpgrade(u32);
    for touched in [false, true] {
        let store = FaultyStore::new();
        let layer = layer_on(&store);
        let visitor = visitor_with_n(&store, &layer).await;
        let inner = tower::service_fn(|request: http::Request<()>| async move {
            if touched {
                session_of(&request).insert("n", &2).await.unwrap();
            }
            let response = Response::builder().status(101).extension(OnUpgrade(7));
            Ok::<_, Infallible>(response.body(Empty::<Bytes>::new()).unwrap())
        });
        let request = visitor.request();
        let response = tower::ServiceExt::oneshot(layer.layer(inner), request).await.unwrap();
        assert_eq!(response.extensions().get(), Some(&OnUpgrade(7)));
        assert_eq!(response.headers().is_empty(), !touched);
        assert!(response.body().is_end_stream());
        assert_eq!(store.calls().is_empty(), !touched);
    }
}

#[tokio::test]
async fn a_failed_commit_takes_the_place_of_the_response() {
    let store = FaultyStore::new();
    let layer = layer_on(&store);
    let mut visitor = visitor_with_n(&store, &layer).await;
    for (name, op, act) in [
        ("insert", Op::Save, Act::Insert),
        ("login", Op::Renew, Act::Login),
        ("logout", Op::Delete, Act::Logout),
    ] {
        for _ in 0..8 {
            store.fault(op, Fault::Fails);
        }
        let answered = visitor.visit(|s| async move {
            let _ = act.on(&s).await;
            Response::builder().header(header::ETAG, "x").body(Full::from("done"))
        });
        let answered = answered.await;
        assert_eq!((answered.status(), answered.text()), (503, "Service Unavailable\n"), "{name}");
        assert!(!answered.head.headers.contains_key(header::ETAG), "{name}");
        assert_eq!(answered.set_cookie(), None, "{name}");
        assert_eq!(answered.head.headers[header::VARY], "cookie", "{name}");
        assert_eq!(visitor.ask(look).await.text(), "1,-", "{name}");
    }
    let custom = layer.on_error(|error: &Error, _: &Parts| {
        error.response::<()>().map(|()| Full::<Bytes>::from(format!("{:?}", error.kind())))
    });
    store.fault(Op::Save, Fault::Fails);
    let inner = tower::service_fn(|request: http::Request<()>| async move {
        session_of(&request).insert("n", &2).await.unwrap();
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("done")))
    });
    let request = visitor.request();
    let response = tower::ServiceExt::oneshot(custom.layer(inner), request).await.unwrap();
    assert_eq!(response.status(), 503);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "Unavailable");
}

/// A body of the handler's that cannot be made of a text, as that of a file server.
struct Opaque;

impl Body for Opaque {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }
}

#[tokio::test]
async fn the_answer_to_a_failed_commit_has_a_body_of_its_own_and_for_head_none() {
    let store = FaultyStore::new();
    let layer = layer_on(&store);
    let visitor = visitor_with_n(&store, &layer).await;
    let layer = layer
        .on_error(|error: &Error, request: &Parts| error.response_to(request, "no".to_owned()));
    for (method, text) in [(Method::GET, "no"), (Method::HEAD, "")] {
        store.fault(Op::Save, Fault::Fails);
        let inner = tower::service_fn(|request: http::Request<()>| async move {
            session_of(&request).insert("n", &2).await.unwrap();
            Ok::<_, Infallible>(Response::new(Opaque))
        });
        let mut request = visitor.request();
        *request.method_mut() = method.clone();
        let response = tower::ServiceExt::oneshot(layer.layer(inner), request).await.unwrap();
        assert_eq!(response.status(), 503);
        let length = response.headers().get(header::CONTENT_LENGTH);
        assert_eq!(length.map(|length| length == "2"), (method == Method::HEAD).then_some(true));
        assert_eq!(response.body().is_end_stream(), method == Method::HEAD);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), text);
    }
}
