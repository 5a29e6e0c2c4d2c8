//! A client that leaves at any moment leaves nothing half-written: what has not started to be
//! stored is dropped, what has started is stored.

use std::{
    convert::Infallible,
    future::Future,
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{future::join_all, stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tower::{Layer, Service};
use tower_redis_session::{
    Error, ErrorKind, RedisSessionLayer, SessionContext, clock::ManualClock,
};

use test_support::faulty_store::{Fault, FaultyStore, Op, Visitor, full, session_of};

type Handled = Pin<Box<dyn Future<Output = Result<String, Error>> + Send>>;

fn layer_on(store: &FaultyStore) -> RedisSessionLayer {
    RedisSessionLayer::builder(store.clone()).build().unwrap()
}

/// Polls so many times at most; answers whether it ended.
async fn polled<F: Future>(mut future: Pin<&mut F>, polls: usize) -> Option<F::Output> {
    for _ in 0..polls {
        let once = std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context)));
        if let Poll::Ready(output) = once.await {
            return Some(output);
        }
    }
    None
}

/// A request that is dropped after so many polls; answers whether it came to its head before.
async fn visit_and_leave(
    layer: &RedisSessionLayer,
    request: Request<()>,
    handler: fn(SessionContext) -> Handled,
    polls: usize,
) -> bool {
    let inner = tower::service_fn(move |request: Request<()>| {
        let handled = handler(session_of(&request));
        async move { Ok::<_, Infallible>(full(handled.await)) }
    });
    let mut service = layer.layer(inner);
    let response = pin!(service.call(request));
    polled(response, polls).await.is_some()
}

struct Case {
    name: &'static str,
    /// Whether there is a session with `n` = 1 before.
    session: bool,
    handler: fn(SessionContext) -> Handled,
    /// The call that does it.
    op: Option<Op>,
    /// Whether it is done once it was begun: by the layer, or a logout.
    commits: bool,
    /// `n` and the user under the old cookie, and the number of sessions, once it is done.
    after: (&'static str, usize),
}

/// `n` and the user, as a handler sees them.
async fn look(session: SessionContext) -> Result<String, Error> {
    let n = session.get::<u32>("n").await?.map_or("-".into(), |n| n.to_string());
    let user = session.user_id().await?.unwrap_or("-".into());
    Ok(format!("{n},{user}"))
}

fn cases() -> Vec<Case> {
    let case = |name, handler, op, commits, after| Case {
        name,
        session: true,
        handler,
        op: Some(op),
        commits,
        after,
    };
    let new = |name, handler, commits| Case {
        name,
        session: false,
        handler,
        op: Some(Op::Create),
        commits,
        after: ("-,-", 1),
    };
    vec![
        Case {
            name: "read",
            session: true,
            handler: |s| Box::pin(look(s)),
            op: None,
            commits: false,
            after: ("1,-", 1),
        },
        case(
            "insert",
            |s| Box::pin(async move { s.insert("n", &2).await.map(|()| String::new()) }),
            Op::Save,
            true,
            ("2,-", 1),
        ),
        case(
            "insert and save",
            |s| {
                Box::pin(async move {
                    s.insert("n", &2).await?;
                    s.save().await?;
                    Ok(String::new())
                })
            },
            Op::Save,
            false,
            ("2,-", 1),
        ),
        case(
            "update",
            |s| {
                Box::pin(async move {
                    let n = s.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).await?;
                    Ok(n.to_string())
                })
            },
            Op::Save,
            false,
            ("2,-", 1),
        ),
        case(
            "clear",
            |s| Box::pin(async move { s.clear().await.map(|()| String::new()) }),
            Op::DeleteIf,
            true,
            ("-,-", 0),
        ),
        case(
            "login",
            |s| Box::pin(async move { s.login("alice").await.map(|()| String::new()) }),
            Op::Renew,
            true,
            ("-,-", 1),
        ),
        case(
            "login and save",
            |s| {
                Box::pin(async move {
                    s.login("alice").await?;
                    s.save().await?;
                    Ok(String::new())
                })
            },
            Op::Renew,
            false,
            ("-,-", 1),
        ),
        case(
            "renew",
            |s| Box::pin(async move { s.renew().await.map(|()| String::new()) }),
            Op::Renew,
            true,
            ("-,-", 1),
        ),
        case(
            "logout",
            |s| Box::pin(async move { s.logout().await.map(|()| String::new()) }),
            Op::Delete,
            true,
            ("-,-", 0),
        ),
        new(
            "first insert",
            |s| Box::pin(async move { s.insert("n", &1).await.map(|()| String::new()) }),
            true,
        ),
        new(
            "first login",
            |s| Box::pin(async move { s.login("alice").await.map(|()| String::new()) }),
            true,
        ),
        new(
            "first update",
            |s| {
                Box::pin(async move {
                    s.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).await?;
                    Ok(String::new())
                })
            },
            false,
        ),
    ]
}

#[tokio::test]
async fn a_request_dropped_after_any_poll_leaves_nothing_half_written() {
    for case in cases() {
        let mut outcomes = Vec::new();
        for polls in 0.. {
            let at = format!("{} after {polls} polls", case.name);
            let clock = ManualClock::new();
            let store = FaultyStore::with_clock(&clock);
            let layer = layer_on(&store);
            let mut visitor = Visitor::new(&layer);
            if case.session {
                visitor.ask(|s| async move { s.insert("n", &1).await.map(|()| "".into()) }).await;
            }
            store.yields(true);
            store.calls();
            let ended = visit_and_leave(&layer, visitor.request(), case.handler, polls).await;
            layer.shutdown().await;
            let done = case.op.is_some_and(|op| store.done().contains(&op));
            let started = case.op.is_some_and(|op| store.calls().contains(&op));
            store.yields(false);

            if case.commits {
                assert_eq!(started, done, "{at}: what has started is done");
            }
            // Later than a client may come back with the cookie of a session that has moved.
            clock.advance(Duration::from_secs(60));
            let before = if case.session { ("1,-", 1) } else { ("-,-", 0) };
            let (seen, sessions) = if done { case.after } else { before };
            assert_eq!(store.len(), sessions, "{at}: sessions");
            assert_eq!(visitor.ask(look).await.text(), seen, "{at}");

            let written =
                visitor.ask(|s| async move { s.insert("n", &7).await.map(|()| "".into()) });
            assert_eq!(written.await.status(), 200, "{at}: a later request");
            assert!(visitor.ask(look).await.text().starts_with("7,"), "{at}: a later request");
            outcomes.push(done);
            if ended {
                break;
            }
        }
        assert!(outcomes.len() > 2, "{}: every call was to be pending", case.name);
        assert!(!outcomes[0], "{}: nothing is done before the first poll", case.name);
        assert_eq!(*outcomes.last().unwrap(), case.op.is_some(), "{}: at the end", case.name);
    }
}

/// Logout, then something new, in one request: two calls. Whatever the moment, the old session is
/// alive alone, or dead.
#[tokio::test]
async fn a_new_session_after_a_logout_is_never_beside_the_old_one() {
    for polls in 0.. {
        let store = FaultyStore::new();
        let layer = layer_on(&store);
        let mut visitor = Visitor::new(&layer);
        visitor.ask(|s| async move { s.login("alice").await.map(|()| "".into()) }).await;
        store.yields(true);
        store.calls();
        let ended = visit_and_leave(
            &layer,
            visitor.request(),
            |s| {
                Box::pin(async move {
                    s.logout().await?;
                    s.login("bob").await?;
                    Ok(String::new())
                })
            },
            polls,
        )
        .await;
        layer.shutdown().await;
        store.yields(false);
        let deleted = store.done().contains(&Op::Delete);
        let created = store.done().contains(&Op::Create);
        assert!(deleted || !created, "after {polls} polls: the old one goes first");
        assert_eq!(created, store.calls().contains(&Op::Create), "after {polls} polls");
        assert_eq!(store.len(), usize::from(!deleted) + usize::from(created), "{polls} polls");
        let seen = if deleted { "-,-" } else { "-,alice" };
        assert_eq!(visitor.ask(look).await.text(), seen, "after {polls} polls");
        if ended {
            assert!(created);
            break;
        }
    }
}

/// A commit of two steps: the delete that failed in the handler, then what was buffered.
#[tokio::test]
async fn a_commit_of_two_steps_that_has_started_does_both() {
    for polls in 0.. {
        let store = FaultyStore::new();
        let layer = layer_on(&store);
        let mut visitor = Visitor::new(&layer);
        visitor.ask(|s| async move { s.insert("n", &1).await.map(|()| "".into()) }).await;
        store.yields(true);
        store.calls();
        store.fault(Op::Delete, Fault::Fails);
        let ended = visit_and_leave(
            &layer,
            visitor.request(),
            |s| {
                Box::pin(async move {
                    assert_eq!(s.logout().await.unwrap_err().kind(), ErrorKind::Unavailable);
                    s.insert("n", &2).await?;
                    Ok(String::new())
                })
            },
            polls,
        )
        .await;
        layer.shutdown().await;
        store.yields(false);
        let created = store.done().contains(&Op::Create);
        let committing = store.calls().iter().filter(|op| **op == Op::Delete).count() > 1;
        assert_eq!(created, committing, "after {polls} polls: all of the commit or none");
        assert_eq!(store.len(), 1, "after {polls} polls");
        if ended {
            assert!(created);
            break;
        }
    }
}

#[tokio::test]
async fn a_commit_that_waits_for_its_turn_has_started() {
    let store = FaultyStore::new();
    let layer = layer_on(&store);
    let mut visitor = Visitor::new(&layer);
    visitor.ask(|s| async move { s.insert("n", &1).await.map(|()| "".into()) }).await;
    let gate = store.hold(Op::Save);
    let (handle, mut handles) = tokio::sync::mpsc::unbounded_channel();
    let held = gate.clone();
    let inner = tower::service_fn(move |request: Request<()>| {
        let session = session_of(&request);
        let (handle, held) = (handle.clone(), held.clone());
        async move {
            let other = session.clone();
            let task = tokio::spawn(async move { other.update("n", |_: Option<u32>| 5).await });
            handle.send(task).unwrap();
            held.arrived().await;
            session.insert("other", &1).await.unwrap();
            Ok::<_, Infallible>(Response::new(String::new()))
        }
    });
    let mut service = layer.layer(inner);
    {
        let mut response = pin!(service.call(visitor.request()));
        assert!(polled(response.as_mut(), 1).await.is_none());
        tokio::task::yield_now().await;
        assert!(polled(response.as_mut(), 3).await.is_none(), "the update has the turn");
    }
    gate.open();
    assert_eq!(handles.recv().await.unwrap().await.unwrap().unwrap(), 5);
    layer.shutdown().await;
    let keys = visitor.ask(|s| async move { Ok(s.keys().await?.join("+")) }).await;
    assert_eq!(keys.text(), "n+other");
}

/// A body whose third chunk writes; polled so many times and dropped.
#[tokio::test]
async fn a_body_dropped_after_any_poll_leaves_nothing_half_written() {
    for polls in 0.. {
        let store = FaultyStore::new();
        let layer = layer_on(&store);
        let mut visitor = Visitor::new(&layer);
        visitor.ask(|s| async move { s.insert("n", &1).await.map(|()| "".into()) }).await;
        let inner = tower::service_fn(|request: Request<()>| {
            let session = session_of(&request);
            let chunks = stream::unfold((session, 0), |(session, chunk)| async move {
                if chunk == 2 {
                    session.insert("n", &2).await.unwrap();
                }
                let frame = Frame::data(Bytes::from_static(b"chunk"));
                (chunk < 3).then_some((Ok::<_, Infallible>(frame), (session, chunk + 1)))
            });
            let response = Response::new(StreamBody::new(chunks));
            async move { Ok::<_, Infallible>(response) }
        });
        let response = layer.layer(inner).call(visitor.request()).await.unwrap();
        store.yields(true);
        store.calls();
        let ended = {
            let body = pin!(response.into_body().collect());
            polled(body, polls).await.is_some()
        };
        layer.shutdown().await;
        store.yields(false);
        let saved = store.done().contains(&Op::Save);
        assert_eq!(saved, store.calls().contains(&Op::Save), "after {polls} polls");
        let seen = if saved { "2,-" } else { "1,-" };
        assert_eq!(visitor.ask(look).await.text(), seen, "after {polls} polls");
        if ended {
            assert!(saved);
            break;
        }
    }
}

#[tokio::test]
async fn a_bodys_commit_that_waits_for_its_turn_has_started() {
    let store = FaultyStore::new();
    let layer = layer_on(&store);
    let mut visitor = Visitor::new(&layer);
    visitor.ask(|s| async move { s.insert("n", &1).await.map(|()| "".into()) }).await;
    let gate = store.hold(Op::Save);
    let (handle, mut handles) = tokio::sync::mpsc::unbounded_channel();
    let held = gate.clone();
    let inner = tower::service_fn(move |request: Request<()>| {
        let (session, handle, held) = (session_of(&request), handle.clone(), held.clone());
        let chunks = stream::once(async move {
            let other = session.clone();
            let task = tokio::spawn(async move { other.update("n", |_: Option<u32>| 5).await });
            handle.send(task).unwrap();
            held.arrived().await;
            session.insert("other", &1).await.unwrap();
            Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"chunk")))
        });
        async move { Ok::<_, Infallible>(Response::new(StreamBody::new(Box::pin(chunks)))) }
    });
    let response = layer.layer(inner).call(visitor.request()).await.unwrap();
    {
        let mut body = pin!(response.into_body().collect());
        assert!(polled(body.as_mut(), 1).await.is_none());
        tokio::task::yield_now().await;
        assert!(polled(body.as_mut(), 3).await.is_none(), "the update has the turn");
    }
    gate.open();
    assert_eq!(handles.recv().await.unwrap().await.unwrap().unwrap(), 5);
    layer.shutdown().await;
    let keys = visitor.ask(|s| async move { Ok(s.keys().await?.join("+")) }).await;
    assert_eq!(keys.text(), "n+other");
}

#[tokio::test]
async fn touches_of_one_session_at_once_load_it_once() {
    let store = FaultyStore::new();
    let layer = layer_on(&store);
    let mut visitor = Visitor::new(&layer);
    visitor.ask(|s| async move { s.insert("n", &1).await.map(|()| "".into()) }).await;
    store.yields(true);
    store.calls();
    let seen = visitor.ask(|s| async move {
        let all = join_all((0..16).map(|_| look(s.clone()))).await;
        let tasks = (0..4).map(|_| tokio::spawn(look(s.clone())));
        let more = join_all(tasks).await.into_iter().map(Result::unwrap);
        assert!(all.into_iter().chain(more).all(|one| one.unwrap() == "1,-"));
        Ok(String::new())
    });
    assert_eq!(seen.await.status(), 200);
    assert_eq!(store.calls(), [Op::Load]);
}

#[tokio::test]
async fn a_touch_that_is_dropped_while_it_loads_leaves_the_load_to_the_next() {
    let store = FaultyStore::new();
    let layer = layer_on(&store);
    let mut visitor = Visitor::new(&layer);
    visitor.ask(|s| async move { s.insert("n", &1).await.map(|()| "".into()) }).await;
    store.yields(true);
    for polls in 0..3 {
        let seen = visitor.ask(move |s| async move {
            {
                let first = pin!(s.get::<u32>("n"));
                let _ = polled(first, polls).await;
            }
            look(s).await
        });
        assert_eq!(seen.await.text(), "1,-", "after {polls} polls");
    }
}

/// The load of one task and the logout of another, in one request.
#[tokio::test]
async fn a_load_under_way_does_not_bring_back_what_was_logged_out() {
    let store = FaultyStore::new();
    let layer = layer_on(&store);
    let mut visitor = Visitor::new(&layer);
    visitor.ask(|s| async move { s.login("alice").await.map(|()| "".into()) }).await;
    let gate = test_support::faulty_store::Gate::new();
    store.fault(Op::Load, Fault::After(gate.clone()));
    let seen = visitor.ask(move |s| async move {
        let reader = tokio::spawn(look(s.clone()));
        gate.arrived().await;
        let logout = tokio::spawn({
            let s = s.clone();
            async move { s.logout().await }
        });
        // Whether the logout waits for the load or not, it is asked for before the load ends.
        tokio::task::yield_now().await;
        gate.open();
        let _ = reader.await.unwrap();
        logout.await.unwrap()?;
        look(s).await
    });
    let seen = seen.await;
    assert_eq!(seen.text(), "-,-");
    assert!(seen.set_cookie().unwrap().contains("Max-Age=0"));
    assert_eq!(store.len(), 0);
}

#[tokio::test]
async fn a_handle_kept_after_the_response_is_closed() {
    let clock = ManualClock::new();
    let store = FaultyStore::with_clock(&clock);
    let layer = layer_on(&store);
    for loaded in [true, false] {
        let mut visitor = Visitor::new(&layer);
        visitor.ask(|s| async move { s.insert("n", &1).await.map(|()| "".into()) }).await;
        let (keep, mut kept) = tokio::sync::mpsc::unbounded_channel();
        let answered = visitor.ask(move |s| async move {
            if loaded {
                look(s.clone()).await?;
            }
            keep.send(s).unwrap();
            Ok(String::new())
        });
        assert_eq!(answered.await.status(), 200);
        let kept = kept.recv().await.unwrap();
        clock.advance(Duration::from_secs(600));
        store.calls();
        let closed = ErrorKind::Closed;
        for (name, error) in [
            ("id", kept.id().await.err()),
            ("get", kept.get::<u32>("n").await.err()),
            ("keys", kept.keys().await.err()),
            ("insert", kept.insert("n", &2).await.err()),
            ("remove", kept.remove("n").await.err()),
            ("update", kept.update("n", |_: Option<u32>| 2).await.err()),
            ("clear", kept.clear().await.err()),
            ("save", kept.save().await.err()),
            ("login", kept.login("alice").await.err()),
            ("logout", kept.logout().await.err()),
            ("destroy", kept.destroy().await.err()),
            ("renew", kept.renew().await.err()),
            ("validate", kept.validate().await.err()),
            ("touch", kept.touch().await.err()),
            ("snapshot", kept.snapshot().await.err()),
            ("user_id", kept.user_id().await.err()),
            ("platform_id", kept.platform_id().await.err()),
            ("set_platform", kept.set_platform("p").await.err()),
            ("clear_platform", kept.clear_platform().await.err()),
            ("created_at", kept.created_at().await.err()),
            ("last_activity", kept.last_activity().await.err()),
            ("expires_at", kept.expires_at().await.err()),
        ] {
            assert_eq!(error.map(|error| error.kind()), Some(closed), "{name}, loaded: {loaded}");
        }
        assert_eq!(store.calls(), [], "loaded: {loaded}");
        assert_eq!(visitor.ask(look).await.text(), "1,-");
    }
}

#[tokio::test]
async fn a_handle_of_a_request_that_was_dropped_is_closed() {
    let store = FaultyStore::new();
    let layer = layer_on(&store);
    let mut visitor = Visitor::new(&layer);
    visitor.ask(|s| async move { s.insert("n", &1).await.map(|()| "".into()) }).await;
    let (keep, mut kept) = tokio::sync::mpsc::unbounded_channel();
    let inner = tower::service_fn(move |request: Request<()>| {
        let (session, keep) = (session_of(&request), keep.clone());
        async move {
            session.insert("n", &2).await.unwrap();
            keep.send(session).unwrap();
            std::future::pending::<Result<Response<String>, Infallible>>().await
        }
    });
    {
        let mut service = layer.layer(inner);
        let response = pin!(service.call(visitor.request()));
        assert!(polled(response, 4).await.is_none());
    }
    let kept = kept.recv().await.unwrap();
    assert_eq!(kept.save().await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(kept.insert("n", &3).await.unwrap_err().kind(), ErrorKind::Closed);
    layer.shutdown().await;
    assert_eq!(visitor.ask(look).await.text(), "1,-");
}

#[tokio::test]
async fn requests_that_overlap_write_one_activity_down() {
    let clock = ManualClock::new();
    let store = FaultyStore::with_clock(&clock);
    let layer = layer_on(&store);
    let mut visitor = Visitor::new(&layer);
    visitor.ask(|s| async move { s.insert("n", &1).await.map(|()| "".into()) }).await;
    clock.advance(Duration::from_secs(120));
    let gate = store.hold(Op::Touch);
    let tabs: Vec<_> = (0..50).map(|_| visitor.request()).collect();
    let read = async |request| {
        let seen = test_support::faulty_store::answer(&layer, request, |session| async move {
            Ok::<_, Infallible>(full(look(session).await))
        });
        assert_eq!(seen.await.unwrap().text(), "1,-");
    };
    join_all(tabs.into_iter().map(read)).await;
    gate.arrived().await;
    gate.open();
    layer.shutdown().await;
    let touches = store.calls().iter().filter(|op| **op == Op::Touch).count();
    assert_eq!(touches, 1);
    // And the next one, when it is due, is written down again.
    clock.advance(Duration::from_secs(120));
    assert_eq!(visitor.ask(look).await.text(), "1,-");
    layer.shutdown().await;
    assert_eq!(store.calls(), [Op::Load, Op::Touch]);
}
