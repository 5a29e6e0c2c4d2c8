//! One budget bounds all waits of a request, whatever else waits; a session's end is moved by
//! nobody who does not say so; a clock never goes back.

use std::{convert::Infallible, future::Future, pin::Pin, pin::pin, time::Duration};

use futures_util::poll;
use http::{Request, Response};
use tokio::time::Instant;
use tower::{Layer, Service};
use tower_redis_session::{
    Error, ErrorKind, MemoryStore, RedisSessionLayer, SessionContext, SessionExpiry,
    clock::ManualClock,
};

use test_support::faulty_store::{FaultyStore, Op, Visitor, session_of};

const BUDGET: Duration = Duration::from_millis(500);
/// What timers of a paused clock add.
const TICKS: Duration = Duration::from_millis(5);

type Handled = Pin<Box<dyn Future<Output = Result<String, Error>> + Send>>;
type Handler = fn(SessionContext) -> Handled;

const COUNT: Handler = |s| {
    Box::pin(async move {
        let n = s.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).await?;
        Ok(n.to_string())
    })
};
const GET: Handler = |s| Box::pin(async move { s.get::<u32>("n").await.map(|_| "".into()) });
const INSERT: Handler = |s| Box::pin(async move { s.insert("n", &9).await.map(|()| "".into()) });
const SAVE: Handler = |s| Box::pin(async move { s.save().await.map(|()| "".into()) });
const LOGOUT: Handler = |s| Box::pin(async move { s.logout().await.map(|()| "".into()) });
const VALIDATE: Handler = |s| Box::pin(async move { s.validate().await.map(|()| "".into()) });

fn layer_on(store: &FaultyStore) -> RedisSessionLayer {
    RedisSessionLayer::builder(store.clone()).budget(BUDGET).build().unwrap()
}

async fn visitor_of(layer: &RedisSessionLayer) -> Visitor {
    let mut visitor = Visitor::new(layer);
    assert_eq!(visitor.ask(INSERT).await.status(), 200);
    visitor
}

#[tokio::test(start_paused = true)]
async fn a_call_behind_one_that_nobody_polls_is_bounded_by_the_budget() {
    for (name, op, first, second) in [
        ("save, validate", Op::Save, SAVE, VALIDATE),
        ("save, update", Op::Save, SAVE, COUNT),
        ("save, save", Op::Save, SAVE, SAVE),
        ("save, logout", Op::Save, SAVE, LOGOUT),
        ("load, get", Op::Load, GET, GET),
        ("load, insert", Op::Load, GET, INSERT),
        ("load, validate", Op::Load, GET, VALIDATE),
    ] {
        let store = FaultyStore::new();
        let mut visitor = visitor_of(&layer_on(&store)).await;
        let _gate = store.hold(op);
        visitor
            .ask(|s| async move {
                if op == Op::Save {
                    s.insert("other", &1).await?;
                }
                let mut first = pin!(first(s.clone()));
                assert!(poll!(&mut first).is_pending(), "{name}");
                let start = Instant::now();
                let second = tokio::time::timeout(BUDGET * 10, second(s)).await;
                let kind = second.expect(name).unwrap_err().kind();
                assert_eq!(kind, ErrorKind::Unavailable, "{name}");
                assert!(start.elapsed() <= BUDGET + TICKS, "{name}: {:?}", start.elapsed());
                Ok(String::new())
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn all_touches_and_the_commit_of_a_request_share_one_budget() {
    let clock = ManualClock::new();
    let store = FaultyStore::with_clock(&clock);
    let mut visitor = visitor_of(&layer_on(&store)).await;
    clock.advance(Duration::from_secs(600));
    let _gates: Vec<_> = [Op::Touch; 4].into_iter().map(|op| store.hold(op)).collect();
    let _gate = store.hold(Op::Save);
    let start = Instant::now();
    let answered = visitor.ask(|s| async move {
        for _ in 0..4 {
            assert_eq!(s.touch().await.unwrap_err().kind(), ErrorKind::Unavailable);
        }
        s.insert("n", &1).await.map(|()| "".into())
    });
    assert_eq!(answered.await.status(), 503);
    assert!(start.elapsed() <= BUDGET + TICKS, "{:?}", start.elapsed());
}

/// So many that, were they told apart by less than the whole id, one would stand behind the first.
#[tokio::test(start_paused = true)]
async fn an_update_under_way_holds_up_no_other_session() {
    let store = FaultyStore::new();
    let layer = layer_on(&store);
    let mut visitor = visitor_of(&layer).await;
    let mut others = Vec::new();
    for _ in 0..1_500 {
        others.push(visitor_of(&layer).await);
    }
    let gate = store.hold(Op::Save);
    let updating = visitor.ask(COUNT);
    let meanwhile = async {
        gate.arrived().await;
        let start = Instant::now();
        for other in &mut others {
            assert_eq!(other.ask(COUNT).await.text(), "10");
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        gate.open();
    };
    let (updated, ()) = tokio::join!(updating, meanwhile);
    assert_eq!(updated.text(), "10");
}

#[tokio::test(start_paused = true)]
async fn an_update_that_nobody_polls_refuses_no_other_request_of_its_session() {
    let store = FaultyStore::new();
    let mut visitor = visitor_of(&layer_on(&store)).await;
    let mut other = visitor.clone();
    let _gate = store.hold(Op::Save);
    visitor
        .ask(|s| async move {
            let mut update = pin!(COUNT(s));
            assert!(poll!(&mut update).is_pending());
            assert_eq!(other.ask(COUNT).await.text(), "10");
            Ok(String::new())
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_no_longer_than_two_budgets_for_a_commit_that_nobody_polls() {
    let store = FaultyStore::new();
    let layer = layer_on(&store);
    let _gate = store.hold(Op::Create);
    let inner = tower::service_fn(|request: Request<()>| async move {
        session_of(&request).insert("n", &1).await.unwrap();
        Ok::<_, Infallible>(Response::new(String::new()))
    });
    let mut service = layer.layer(inner);
    let mut response = pin!(service.call(Request::new(())));
    assert!(poll!(&mut response).is_pending());
    let start = Instant::now();
    tokio::time::timeout(BUDGET * 10, layer.shutdown()).await.expect("an end of the shutdown");
    assert!(start.elapsed() <= BUDGET * 2 + TICKS, "{:?}", start.elapsed());
}

#[tokio::test]
async fn an_expiry_without_an_absolute_end_keeps_that_of_the_layer() {
    const DAY: Duration = Duration::from_secs(86_400);
    let clock = ManualClock::new();
    let store = FaultyStore::with_clock(&clock);
    let builder = RedisSessionLayer::builder(store.clone()).absolute_timeout(DAY);
    let mut visitor = Visitor::new(&builder.build().unwrap());
    let login = visitor.ask(|s| async move {
        s.login("alice").await?;
        // Beyond the layer's absolute timeout an idle timeout would do nothing.
        let longer = s.set_expiry(SessionExpiry::new(2 * DAY)).await.unwrap_err();
        assert_eq!(longer.kind(), ErrorKind::Invalid);
        assert_eq!(longer.to_string(), "absolute timeout: is shorter than the idle timeout");
        s.set_expiry(SessionExpiry::new(DAY)).await.map(|()| "".into())
    });
    assert_eq!(login.await.status(), 200);
    for (after, user) in [("20 hours", "alice"), ("40 hours", "-")] {
        clock.advance(Duration::from_secs(20 * 3_600));
        let seen = visitor.ask(|s| async move {
            let Some(user) = s.user_id().await? else { return Ok("-".into()) };
            s.touch().await?;
            Ok(user)
        });
        assert_eq!(seen.await.text(), user, "after {after}");
    }
}

#[tokio::test]
async fn a_number_that_is_not_finite_is_refused_where_it_is_put_in() {
    let layer = RedisSessionLayer::builder(MemoryStore::new()).build().unwrap();
    let mut visitor = Visitor::new(&layer);
    let refused = visitor.ask(|s| async move {
        s.insert("n", &1.5).await?;
        for odd in [f64::NAN, f64::INFINITY] {
            let error = s.insert("n", &Some(odd)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Value);
            let error = s.update("n", |n: Option<f64>| n.unwrap_or(0.0) + odd).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Value);
        }
        Ok(s.get::<f64>("n").await?.unwrap().to_string())
    });
    assert_eq!(refused.await.text(), "1.5");
    let kept = visitor.ask(|s| async move { Ok(format!("{:?}", s.get::<f64>("n").await?)) });
    assert_eq!(kept.await.text(), "Some(1.5)");
}

#[test]
fn a_manual_clock_never_goes_back() {
    let clock = ManualClock::new();
    for step in [1, u64::MAX, u64::MAX, 1].map(Duration::from_secs) {
        let before = clock.clock().now();
        clock.advance(step);
        assert!(clock.clock().now() >= before, "{step:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_wait_of_a_stream_has_a_budget_of_its_own() {
    let store = FaultyStore::new();
    let visitor = visitor_of(&layer_on(&store)).await;
    let handler = tower::service_fn(|request: Request<()>| async move {
        let session = session_of(&request);
        let _ = session.get::<u32>("n").await.unwrap();
        let mut response = Response::new(String::new());
        response.extensions_mut().insert(session);
        Ok::<_, Infallible>(response)
    });
    let response = visitor.layer.layer(handler).call(visitor.request()).await.unwrap();
    // The head is on its way, the body is not over.
    let session = response.extensions().get::<SessionContext>().unwrap().clone();
    for _ in 0..3 {
        let _held = store.hold(Op::Load);
        assert_eq!(session.validate().await.unwrap_err().kind(), ErrorKind::Unavailable);
        session.validate().await.unwrap();
    }
    drop(response);
    assert_eq!(session.validate().await.unwrap_err().kind(), ErrorKind::Closed);
}
