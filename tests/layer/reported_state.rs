//! What a handler is told is what the store has, what a client is told to come back with is there,
//! and what a session holds is told to nobody else.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{FutureExt, stream};
use http::{HeaderMap, Request, Response, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::{Layer, ServiceExt};
use tower_redis_session::{
    Error, ErrorKind, RedisSessionLayer, SessionContext, SessionId, layer::Success,
    response::BodyError, telemetry::Event,
};

use test_support::faulty_store::{
    Failure, Fault, FaultyStore, Gate, Op, Visitor, answer, session_of,
};

type Handled = Pin<Box<dyn Future<Output = Result<String, Error>> + Send>>;
type Handler = fn(SessionContext) -> Handled;

const LOGIN: Handler = |s| Box::pin(async move { s.login("alice").await.map(|()| "in".into()) });
const LOGOUT: Handler = |s| Box::pin(async move { s.logout().await.map(|()| "out".into()) });
const RENEW: Handler = |s| Box::pin(async move { s.renew().await.map(|()| "renewed".into()) });
const COUNT: Handler = |s| {
    Box::pin(async move {
        let n = s.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).await?;
        Ok(n.to_string())
    })
};
const VALIDATE: Handler = |s| Box::pin(async move { s.validate().await.map(|()| "valid".into()) });
const USER: Handler = |s| Box::pin(async move { Ok(s.user_id().await?.unwrap_or("-".into())) });
const N: Handler =
    |s| Box::pin(async move { Ok(s.get::<u32>("n").await?.map_or("-".into(), |n| n.to_string())) });

fn layer_on(store: &FaultyStore) -> RedisSessionLayer {
    RedisSessionLayer::builder(store.clone()).build().unwrap()
}

async fn alice_on(store: &FaultyStore) -> Visitor {
    let mut visitor = Visitor::new(&layer_on(store));
    assert_eq!(visitor.ask(LOGIN).await.status(), 200);
    visitor
}

#[tokio::test]
async fn what_a_dead_session_had_buffered_begins_no_new_one() {
    for (name, finds_out) in [("update", COUNT), ("validate", VALIDATE)] {
        for goes_on in [false, true] {
            let at = format!("{name}, the handler goes on: {goes_on}");
            let store = FaultyStore::new();
            let mut visitor = alice_on(&store).await;
            let mut other = visitor.clone();
            let dead = visitor.cookie.clone();
            let answered = visitor.ask(|s| async move {
                s.insert("draft", "of alice").await?;
                s.set_platform("hers").await?;
                assert_eq!(other.ask(LOGOUT).await.status(), 200);
                match finds_out(s).await {
                    Err(error) if goes_on => Ok(format!("{:?}", error.kind())),
                    result => result,
                }
            });
            let answered = answered.await;
            let status = if goes_on { 200 } else { 401 };
            assert_eq!((answered.status(), answered.text()), (status, "Absent"), "{at}");
            assert_eq!(store.len(), 0, "{at}");
            assert!(visitor.cookie.is_none() || visitor.cookie == dead, "{at}");
        }
    }
}

#[tokio::test]
async fn an_update_that_changes_nothing_is_an_answer_of_the_store() {
    const CLAIM: Handler = |s| {
        Box::pin(async move {
            s.update("owner", |owner: Option<String>| owner.unwrap_or("me".into())).await
        })
    };
    const TAKE: Handler =
        |s| Box::pin(async move { s.insert("owner", "other").await.map(|()| "".into()) });
    for (name, meanwhile, status, text) in
        [("taken by another", TAKE, 200, "other"), ("ended", LOGOUT, 401, "Absent")]
    {
        let store = FaultyStore::new();
        let mut visitor = alice_on(&store).await;
        assert_eq!(visitor.ask(CLAIM).await.text(), "me", "{name}");
        let mut other = visitor.clone();
        let answered = visitor.ask(|s| async move {
            assert_eq!(s.get::<String>("owner").await?.as_deref(), Some("me"));
            assert_eq!(other.ask(meanwhile).await.status(), 200);
            CLAIM(s).await
        });
        let answered = answered.await;
        assert_eq!((answered.status(), answered.text()), (status, text), "{name}");
    }
}

#[tokio::test]
async fn an_inner_error_never_moves_the_session_to_an_id_that_nobody_is_told() {
    for (name, act) in [("renewal", RENEW), ("login", LOGIN)] {
        let store = FaultyStore::new();
        let mut visitor = alice_on(&store).await;
        let builder = RedisSessionLayer::builder(store.clone()).success(Success::always());
        let layer = builder.build().unwrap();
        let failed = answer(&layer, visitor.request(), |s| async move {
            act(s).await.unwrap();
            Err::<Response<Full<Bytes>>, _>(Failure)
        });
        assert_eq!(failed.await.unwrap_err(), Failure, "{name}");
        assert_eq!(visitor.ask(USER).await.text(), "alice", "{name}");
    }
}

#[tokio::test]
async fn an_error_never_tells_the_value_that_it_is_about() {
    #[derive(Debug, Deserialize, serde::Serialize)]
    enum Choice {
        One,
    }
    let store = FaultyStore::new();
    let mut visitor = Visitor::new(&layer_on(&store));
    let answered = visitor.ask(|s| async move {
        s.insert("api_token", "CANARY-9431").await?;
        s.save().await?;
        for (name, error) in [
            ("a number", s.get::<u32>("api_token").await.unwrap_err()),
            ("a list", s.get::<Vec<u32>>("api_token").await.unwrap_err()),
            ("a variant", s.get::<Choice>("api_token").await.unwrap_err()),
            ("update", s.update("api_token", |n: Option<u32>| n.unwrap_or(0)).await.unwrap_err()),
        ] {
            assert_eq!(error.kind(), ErrorKind::Value, "{name}");
            let mut said = format!("{error} {error:?}");
            assert!(error.to_string().ends_with("(key \"api_token\")"), "{name}: {error}");
            let mut cause = std::error::Error::source(&error);
            while let Some(error) = cause {
                said += &format!(" {error} {error:?}");
                cause = error.source();
            }
            assert!(!said.contains("CANARY"), "{name}: {said}");
        }
        Ok(format!("{:?}", Choice::One))
    });
    assert_eq!(answered.await.text(), "One");
}

type AnyBody = UnsyncBoxBody<Bytes, Infallible>;

/// Writes `n` = 2 with its last frame, and does not know that it is the last.
fn writes_with_its_trailers(session: SessionContext) -> AnyBody {
    let frames = stream::unfold((session, 0), |(session, frame)| async move {
        let made = match frame {
            0 => Frame::data(Bytes::from_static(b"chunk")),
            1 => {
                session.insert("n", &2).await.unwrap();
                Frame::trailers(HeaderMap::from_iter([(header::ETAG, "x".parse().unwrap())]))
            }
            _ => return None,
        };
        Some((Ok(made), (session, frame + 1)))
    });
    StreamBody::new(frames).boxed_unsync()
}

/// The same with its only chunk, under a hint that does not count down.
struct AlwaysFive(Option<SessionContext>);

impl Body for AlwaysFive {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(session) = self.0.take() else { return Poll::Ready(None) };
        session.insert("n", &2).now_or_never().expect("loaded before").unwrap();
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"chunk")))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(5)
    }
}

/// A server asks a body for nothing after its trailers.
#[tokio::test]
async fn what_changed_before_the_trailers_is_stored_before_they_leave() {
    for (name, fault, after) in [("sound", None, "2"), ("failing", Some(Fault::Fails), "-")] {
        let store = FaultyStore::new();
        let mut visitor = alice_on(&store).await;
        if let Some(fault) = fault.clone() {
            store.fault(Op::Save, fault);
        }
        let inner = tower::service_fn(|request: Request<()>| async move {
            let body = writes_with_its_trailers(session_of(&request));
            Ok::<_, Infallible>(Response::new(body))
        });
        let request = visitor.request();
        let mut response = layer_on(&store).layer(inner).oneshot(request).await.unwrap();
        let body = response.body_mut();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "chunk", "{name}");
        match (body.frame().await.unwrap(), fault) {
            (Ok(frame), None) => assert!(frame.is_trailers(), "{name}"),
            (Err(BodyError::Session(error)), Some(_)) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{name}");
            }
            (other, _) => panic!("{name}: {other:?}"),
        }
        drop(response);
        assert_eq!(visitor.ask(N).await.text(), after, "{name}");
    }
}

#[tokio::test]
async fn what_the_last_frame_that_a_server_asks_for_changed_is_stored() {
    type Make = fn(SessionContext) -> AnyBody;
    let always_five: Make = |s| AlwaysFive(Some(s)).boxed_unsync();
    for (name, body, tail) in [
        ("trailers", writes_with_its_trailers as Make, "etag: x\r\n\r\n"),
        ("a hint that does not count down", always_five, "content-length: 5"),
    ] {
        let store = FaultyStore::new();
        let mut visitor = alice_on(&store).await;
        let service = layer_on(&store).layer(tower::service_fn(
            move |request: Request<Incoming>| async move {
                let session = request.extensions().get::<SessionContext>().unwrap().clone();
                session.user_id().await.unwrap();
                let response = Response::builder().header(header::TRAILER, "etag");
                Ok::<_, Infallible>(response.body(body(session)).unwrap())
            },
        ));
        let (mut client, server) = tokio::io::duplex(64 * 1024);
        let serving = http1::Builder::new()
            .serve_connection(TokioIo::new(server), TowerToHyperService::new(service));
        let cookie = visitor.cookie.clone().unwrap();
        let asking = async {
            let lines = ["GET / HTTP/1.1", "host: a", "te: trailers", "connection: close"];
            let request = format!("{}\r\ncookie: {cookie}\r\n\r\n", lines.join("\r\n"));
            client.write_all(request.as_bytes()).await.unwrap();
            let mut said = String::new();
            client.read_to_string(&mut said).await.unwrap();
            said
        };
        let (served, said) = tokio::join!(serving, asking);
        served.unwrap();
        assert!(said.starts_with("HTTP/1.1 200") && said.contains("chunk"), "{name}: {said}");
        assert!(said.contains(tail), "{name}: {said}");
        assert_eq!(visitor.ask(N).await.text(), "2", "{name}");
    }
}

#[tokio::test]
async fn a_revocation_of_one_that_has_moved_meanwhile_ends_it_under_its_new_id() {
    let store = FaultyStore::new();
    let mut visitor = alice_on(&store).await;
    let id = visitor.ask(|s| async move { Ok(s.id().await?.unwrap().to_string()) }).await;
    let id: SessionId = id.text().parse().unwrap();
    let mut events = visitor.layer.admin().events();
    let (layer, loaded) = (visitor.layer.clone(), Gate::new());
    store.fault(Op::Load, Fault::After(loaded.clone()));
    let revoking = tokio::spawn(async move { layer.admin().revoke("alice", &id).await });
    loaded.arrived().await;
    assert_eq!(visitor.ask(RENEW).await.status(), 200);
    loaded.open();
    assert!(revoking.await.unwrap().unwrap());
    assert_eq!(visitor.ask(USER).await.text(), "-");
    assert!(matches!(events.next().await, Some(Event::Renewed { .. })));
    let told = events.next().await;
    assert!(matches!(told, Some(Event::Revoked { id: told, .. }) if told == id), "{told:?}");
    let Some(Event::UnknownToken { .. }) = events.next().await else {
        panic!("its cookie opens nothing")
    };
    let mut visitor = alice_on(&store).await;
    let mut events = visitor.layer.admin().events();
    // What was written to meanwhile has not moved.
    let id = visitor.ask(|s| async move { Ok(s.id().await?.unwrap().to_string()) }).await;
    let id: SessionId = id.text().parse().unwrap();
    let (layer, loaded) = (visitor.layer.clone(), Gate::new());
    store.fault(Op::Load, Fault::After(loaded.clone()));
    let revoking = tokio::spawn(async move { layer.admin().revoke("alice", &id).await });
    loaded.arrived().await;
    assert_eq!(visitor.ask(COUNT).await.text(), "1");
    loaded.open();
    assert!(revoking.await.unwrap().unwrap());
    let told = events.next().await;
    assert!(matches!(told, Some(Event::Revoked { id: told, .. }) if told == id), "{told:?}");
    assert_eq!(visitor.ask(USER).await.text(), "-");
}

#[tokio::test]
async fn to_clear_a_platform_loses_nothing_that_was_written_meanwhile() {
    let store = FaultyStore::new();
    let mut visitor = alice_on(&store).await;
    let choose = |s: SessionContext| async move { s.set_platform("11").await.map(|()| "".into()) };
    assert_eq!(visitor.ask(choose).await.status(), 200);
    let (layer, loaded) = (visitor.layer.clone(), Gate::new());
    store.fault(Op::Load, Fault::After(loaded.clone()));
    let clearing = tokio::spawn(async move { layer.admin().clear_platform_of("alice").await });
    loaded.arrived().await;
    assert_eq!(visitor.ask(COUNT).await.text(), "1");
    loaded.open();
    assert_eq!(clearing.await.unwrap().unwrap(), 1);
    let platform = |s: SessionContext| async move {
        let platform = s.platform_id().await?;
        Ok(platform.unwrap_or_else(|| "-".into()))
    };
    assert_eq!(visitor.ask(platform).await.text(), "-");
    assert_eq!(visitor.ask(COUNT).await.text(), "2");
}

#[tokio::test]
async fn a_session_that_moves_while_platforms_are_cleared_is_found_again() {
    let store = FaultyStore::new();
    let mut visitor = alice_on(&store).await;
    let choose = |s: SessionContext| async move { s.set_platform("11").await.map(|()| "".into()) };
    assert_eq!(visitor.ask(choose).await.status(), 200);
    let (layer, loaded) = (visitor.layer.clone(), Gate::new());
    store.fault(Op::Load, Fault::Before(loaded.clone()));
    let clearing = tokio::spawn(async move { layer.admin().clear_platform_of("alice").await });
    loaded.arrived().await;
    assert_eq!(visitor.ask(RENEW).await.status(), 200);
    loaded.open();
    assert_eq!(clearing.await.unwrap().unwrap(), 1);
    let platform = |s: SessionContext| async move {
        let platform = s.platform_id().await?;
        Ok(platform.unwrap_or_else(|| "-".into()))
    };
    assert_eq!(visitor.ask(platform).await.text(), "-");
    assert_eq!(visitor.ask(USER).await.text(), "alice");
}

#[tokio::test]
async fn what_ended_is_told_once_however_often_the_logout_was_tried() {
    let store = FaultyStore::new();
    let (mut one, other) = (alice_on(&store).await, alice_on(&store).await);
    one.layer = layer_on(&store);
    let mut events = one.layer.admin().events();
    one.cookie = Some(format!("{}; {}", one.cookie.unwrap(), other.cookie.unwrap()));
    // The second of two cookies' sessions cannot be deleted at first.
    store.fault(Op::Delete, Fault::FailsAfter);
    let answered = one.ask(|s| async move {
        assert_eq!(s.logout().await.unwrap_err().kind(), ErrorKind::Unavailable);
        s.logout().await.map(|()| "out".into())
    });
    assert_eq!(answered.await.status(), 200);
    assert_eq!(store.len(), 0);
    drop(one);
    let mut ended = Vec::new();
    for _ in 0..2 {
        let Some(Event::Destroyed { id, .. }) = events.next().await else {
            panic!("another event")
        };
        ended.push(id);
    }
    assert_ne!(ended[0], ended[1]);
    assert_eq!(events.next().await, None, "nothing was told twice");
}

#[tokio::test]
async fn a_session_that_two_log_out_at_once_is_told_of_once() {
    let store = FaultyStore::new();
    let mut one = alice_on(&store).await;
    one.layer = layer_on(&store);
    let (mut other, mut events) = (one.clone(), one.layer.admin().events());
    let gate = Gate::new();
    let held = gate.clone();
    let first = one.ask(move |s| async move {
        assert_eq!(s.user_id().await?.as_deref(), Some("alice"), "loaded, and alive");
        held.pass().await;
        s.logout().await.map(|()| "out".into())
    });
    let second = async {
        gate.arrived().await;
        let answered = other.ask(|s| async move { s.logout().await.map(|()| "out".into()) }).await;
        gate.open();
        answered
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!((first.status(), second.status()), (200, 200));
    drop((one, other));
    assert!(matches!(events.next().await, Some(Event::Destroyed { .. })));
    assert_eq!(events.next().await, None, "told by the one that ended it");
}
