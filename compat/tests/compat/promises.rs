//! What a `Session` of tower-sessions has from the layer: merged changes, a logout that is final,
//! 503 when the store is unavailable; and what is different from tower-sessions' own layer.

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::StatusCode,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use serde_json::{Value, json};
use test_support::faulty_store::{Fault, FaultyStore, Gate, Op};
use time::OffsetDateTime;
use tower::{Layer, Service, ServiceExt};
use tower_redis_session::{
    RedisSessionLayer, SessionContext, SessionExpiry,
    clock::ManualClock,
    testing::{TestClient, TestSessions},
};
use tower_redis_session_compat::v0_15::SessionManagerLayer;
use tower_sessions::{Expiry, Session};

use crate::browser;

type Client = TestClient<Router, Body>;

fn layer_on(store: &FaultyStore) -> RedisSessionLayer {
    RedisSessionLayer::builder(store.clone()).build().unwrap()
}

/// A browser for one page, `/`.
fn page<H, T>(sessions: &RedisSessionLayer, handler: H) -> Client
where
    H: axum::handler::Handler<T, ()>,
    T: 'static,
{
    let layer = SessionManagerLayer::new(sessions.clone()).user_at(["user"]);
    browser(sessions, Router::new().route("/", get(handler)).layer(layer))
}

/// The same browser at another page.
fn at<H, T>(client: &Client, sessions: &RedisSessionLayer, handler: H) -> Client
where
    H: axum::handler::Handler<T, ()>,
    T: 'static,
{
    let other = page(sessions, handler);
    share(client, &other);
    other
}

fn share(client: &Client, other: &Client) {
    let cookie = client.cookie("__Host-session").unwrap();
    other.set_cookie(&format!("__Host-session={cookie}; Path=/; Secure"));
}

async fn keys(client: &Client) -> Vec<String> {
    client.session(|session| async move { session.keys().await }).await.unwrap()
}

async fn started(sessions: &RedisSessionLayer) -> Client {
    let client = page(sessions, |s: Session| async move { s.insert("n", 1).await.unwrap() });
    assert_eq!(client.get("/").await.status(), 200);
    client
}

/// Runs `meanwhile` while the request of `client` waits at its gate, after `before` of it.
async fn held<F: Future>(client: &Client, gate: &Gate, meanwhile: F) -> StatusCode {
    let other = async {
        gate.arrived().await;
        meanwhile.await;
        gate.open();
    };
    let (response, ()) = tokio::join!(client.get("/"), other);
    response.status()
}

/// A page that reads, waits at the gate, and inserts `name`.
fn slow(client: &Client, sessions: &RedisSessionLayer, gate: &Gate, name: &'static str) -> Client {
    let gate = gate.clone();
    at(client, sessions, move |s: Session| async move {
        let _ = s.get::<u32>("n").await.unwrap();
        gate.pass().await;
        s.insert(name, 1).await.unwrap();
    })
}

#[tokio::test]
async fn requests_that_overlap_both_keep_their_values() {
    let sessions = TestSessions::new().layer();
    let client = started(&sessions).await;
    let gate = Gate::new();
    let first = slow(&client, &sessions, &gate, "a");
    let second = at(&client, &sessions, |s: Session| async move {
        s.insert("b", 1).await.unwrap();
        s.remove::<u32>("n").await.unwrap();
    });
    assert_eq!(held(&first, &gate, async { second.get("/").await }).await, 200);
    assert_eq!(keys(&client).await, ["a", "b"]);
}

#[tokio::test]
async fn a_request_in_flight_cannot_revive_a_session_that_was_flushed() {
    let sessions = TestSessions::new();
    let client = started(&sessions.layer()).await;
    let gate = Gate::new();
    let first = slow(&client, &sessions.layer(), &gate, "a");
    let second =
        at(&client, &sessions.layer(), |s: Session| async move { s.flush().await.unwrap() });
    let flush = async { assert_eq!(second.get("/").await.status(), 200) };
    held(&first, &gate, flush).await;
    assert!(keys(&client).await.is_empty());
    assert!(sessions.store().is_empty());
}

#[tokio::test]
async fn a_flush_is_final_at_once_and_what_follows_is_another_session() {
    let store = FaultyStore::new();
    let sessions = layer_on(&store);
    let client = started(&sessions).await;
    let before = client.cookie("__Host-session").unwrap();
    let seen = Arc::new(Mutex::new(None));
    let ended = (seen.clone(), store.clone());
    let again = at(&client, &sessions, move |s: Session| async move {
        assert_eq!(s.get::<u32>("n").await.unwrap(), Some(1));
        s.flush().await.unwrap();
        *ended.0.lock().unwrap() = Some(ended.1.len());
        s.insert("flash", "signed out").await.unwrap();
        s.insert("n", 1).await.unwrap();
        s.save().await.unwrap();
        s.insert("later", 1).await.unwrap();
    });
    assert_eq!(again.get("/").await.status(), 200);
    assert_eq!(*seen.lock().unwrap(), Some(0), "before the response");
    assert_ne!(again.cookie("__Host-session").unwrap(), before);
    // An equal value is new in the new session.
    assert_eq!(keys(&again).await, ["flash", "later", "n"]);
    assert!(keys(&client).await.is_empty());
}

/// tower-sessions stores it again under the same id.
#[tokio::test]
async fn a_deleted_session_is_not_stored_again_with_the_response() {
    let sessions = TestSessions::new();
    let client = started(&sessions.layer()).await;
    let other = at(&client, &sessions.layer(), |s: Session| async move {
        s.insert("m", 2).await.unwrap();
        s.delete().await.unwrap();
        s.insert("o", 3).await.unwrap();
    });
    assert_eq!(other.get("/").await.status(), 200);
    assert!(sessions.store().is_empty());
}

#[tokio::test]
async fn a_logout_that_the_store_does_not_confirm_is_never_reported_as_done() {
    let store = FaultyStore::new();
    let sessions = layer_on(&store);
    let client = started(&sessions).await;
    let flush = |s: Session| async move {
        match s.flush().await {
            Ok(()) => StatusCode::OK,
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    };
    let other = at(&client, &sessions, flush);
    for _ in 0..2 {
        store.fault(Op::Delete, Fault::Fails);
    }
    let response = other.get("/").await;
    assert_eq!((response.status().as_u16(), response.header("retry-after")), (503, Some("1")));
    assert!(other.cookie("__Host-session").is_some());
    assert_eq!(other.get("/").await.status(), 200);
    assert_eq!(store.len(), 0);
}

#[tokio::test]
async fn an_unavailable_store_is_503_and_signs_no_user_out() {
    let store = FaultyStore::new();
    let sessions = layer_on(&store);
    let client = started(&sessions).await;
    let read = |s: Session| async move {
        match s.get::<u32>("n").await {
            Ok(n) => format!("{n:?}").into_response(),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    };
    let reader = at(&client, &sessions, read);
    store.fault(Op::Load, Fault::Fails);
    let response = reader.get("/").await;
    assert_eq!((response.status().as_u16(), response.header("retry-after")), (503, Some("1")));
    assert_eq!(response.header("set-cookie"), None);
    assert_eq!(reader.get("/").await.text(), "Some(1)");

    // A save that fails is never a 2xx.
    let writer =
        at(&client, &sessions, |s: Session| async move { s.insert("n", 2).await.unwrap() });
    for _ in 0..3 {
        store.fault(Op::Save, Fault::Fails);
    }
    assert_eq!(writer.get("/").await.status(), 503);
    assert_eq!(reader.get("/").await.text(), "Some(1)");
}

#[tokio::test]
async fn an_unused_session_costs_no_command_and_a_change_one_load_and_one_save() {
    let store = FaultyStore::new();
    let sessions = layer_on(&store);
    let client = started(&sessions).await;
    store.calls();
    let idle = at(&client, &sessions, |_: Session| async { "unused" });
    let response = idle.get("/").await;
    assert_eq!((response.header("vary"), store.calls()), (None, vec![]));
    let busy = at(&client, &sessions, |s: Session| async move {
        assert_eq!(s.get::<u32>("n").await.unwrap(), Some(1));
        s.insert("n", 2).await.unwrap();
        s.insert("m", 2).await.unwrap();
    });
    busy.get("/").await;
    assert_eq!(store.calls(), [Op::Load, Op::Save]);
}

/// A `Session` does not say whether it was read: a shared cache must not serve a visitor's page to
/// a user.
#[tokio::test]
async fn a_page_for_a_visitor_varies_by_the_cookie() {
    let store = FaultyStore::new();
    let client = page(&layer_on(&store), |s: Session| async move {
        format!("{:?}", s.get::<u32>("n").await.unwrap())
    });
    let response = client.get("/").await;
    assert_eq!((response.text(), response.header("vary")), ("None", Some("cookie")));
    assert_eq!(store.calls(), []);
}

#[tokio::test]
async fn a_failed_response_stores_what_was_saved_and_nothing_else() {
    let sessions = TestSessions::new().layer();
    let client = started(&sessions).await;
    let failing = at(&client, &sessions, |s: Session| async move {
        s.insert("saved", 1).await.unwrap();
        s.save().await.unwrap();
        s.insert("lost", 1).await.unwrap();
        StatusCode::INTERNAL_SERVER_ERROR
    });
    assert_eq!(failing.get("/").await.status(), 500);
    assert_eq!(keys(&client).await, ["n", "saved"]);
}

/// 128 bits of the public id, which the log has too.
#[tokio::test]
async fn the_id_is_public_and_opens_nothing() {
    let sessions = TestSessions::new().layer();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let ids = seen.clone();
    let client = page(&sessions, move |s: Session, context: SessionContext| async move {
        assert!(s.id().is_none());
        s.insert("n", 1).await.unwrap();
        s.save().await.unwrap();
        let public = context.id().await.unwrap().unwrap().to_string();
        ids.lock().unwrap().push((s.id().unwrap().to_string(), public));
    });
    client.get("/").await;
    let ids = seen.clone();
    let again = at(&client, &sessions, move |s: Session, context: SessionContext| async move {
        let public = context.id().await.unwrap().unwrap().to_string();
        ids.lock().unwrap().push((s.id().unwrap().to_string(), public));
    });
    again.get("/").await;
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen[0], seen[1]);
    let (id, public) = &seen[0];
    assert_eq!((id.len(), &id[..21]), (22, &public[..21]));
    let token = client.cookie("__Host-session").unwrap();
    assert!(!token.starts_with(&id[..8]) && token != *public);
    for made in [id, public] {
        let thief = page(&sessions, |s: Session| async move {
            format!("{:?}", s.get::<u32>("n").await.unwrap())
        });
        thief.set_cookie(&format!("__Host-session={made}; Path=/; Secure"));
        assert_eq!(thief.get("/").await.text(), "None");
    }
}

#[tokio::test]
async fn a_second_load_reads_what_another_request_has_stored() {
    let sessions = TestSessions::new().layer();
    let client = started(&sessions).await;
    let gate = Gate::new();
    let waits = gate.clone();
    let reader = at(&client, &sessions, move |s: Session| async move {
        assert_eq!(s.get::<u32>("m").await.unwrap(), None);
        waits.pass().await;
        s.load().await.unwrap();
        assert_eq!(s.get::<u32>("m").await.unwrap(), Some(7));
        s.insert("o", 1).await.unwrap();
    });
    let writer =
        at(&client, &sessions, |s: Session| async move { s.insert("m", 7).await.unwrap() });
    assert_eq!(held(&reader, &gate, async { writer.get("/").await }).await, 200);
    assert_eq!(keys(&client).await, ["m", "n", "o"]);
}

#[tokio::test]
async fn a_value_that_names_the_user_signs_in_and_its_removal_ends_the_session() {
    let sessions = TestSessions::new();
    let layer = sessions.layer();
    let visitor = started(&layer).await;
    let login = |s: Session| async move { s.insert("user", 42).await.unwrap() };
    let client = at(&visitor, &layer, login);
    client.get("/").await;
    assert_ne!(client.cookie("__Host-session"), visitor.cookie("__Host-session"));
    assert_eq!(layer.admin().sessions_of("42").await.unwrap().len(), 1);
    let out = at(&client, &layer, |s: Session| async move {
        assert_eq!(s.remove::<u32>("user").await.unwrap(), Some(42));
    });
    out.get("/").await;
    assert!(layer.admin().sessions_of("42").await.unwrap().is_empty());
    assert_ne!(out.cookie("__Host-session"), client.cookie("__Host-session"));
    assert_eq!(keys(&out).await, ["n"], "the other values are a visitor's");

    let client = at(&out, &layer, login);
    client.get("/").await;
    let none = |s: Session| async move { s.insert("user", None::<u32>).await.unwrap() };
    let out = at(&client, &layer, none);
    out.get("/").await;
    assert_eq!(out.session(|session| async move { session.user_id().await }).await.unwrap(), None);

    let broken = page(&layer, |s: Session| async move { s.insert("user", [1]).await.unwrap() });
    assert_eq!(broken.get("/").await.status(), 500, "neither a text nor an integer");
    assert!(keys(&broken).await.is_empty());
}

/// The object that holds the user has other members too.
#[tokio::test]
async fn a_change_beside_the_user_is_no_sign_in_and_revives_no_revoked_session() {
    let account = |theme: &str| json!({ "id": 42, "theme": theme });
    let sessions = TestSessions::new();
    let layer = sessions.layer();
    let site = |handler: MethodRouter| {
        let manager = SessionManagerLayer::new(layer.clone()).user_at(["account", "id"]);
        browser(&layer, Router::new().route("/", handler).layer(manager))
    };
    let change = move |s: Session, theme: &'static str| async move {
        s.insert("account", account(theme)).await.unwrap();
    };
    let client = site(get(move |s: Session| change(s, "light")));
    client.get("/").await;
    let of_user = async || layer.admin().sessions_of("42").await.unwrap();
    let before = of_user().await;
    let token = client.cookie("__Host-session");

    sessions.clock().advance(Duration::from_secs(60));
    let dark = site(get(move |s: Session| change(s, "dark")));
    share(&client, &dark);
    assert_eq!(dark.get("/").await.status(), 200);
    assert_eq!((dark.cookie("__Host-session"), of_user().await.len()), (token.clone(), 1));
    assert_eq!(of_user().await[0].created_at, before[0].created_at);
    let read = |session: SessionContext| async move { session.get::<Value>("account").await };
    assert_eq!(client.session(read).await.unwrap(), Some(account("dark")));

    // With a new id it is a sign-in.
    let cycled = site(get(move |s: Session| async move {
        s.cycle_id().await.unwrap();
        change(s, "blue").await;
    }));
    share(&client, &cycled);
    cycled.get("/").await;
    assert_ne!(cycled.cookie("__Host-session"), token);
    assert_ne!(of_user().await[0].created_at, before[0].created_at);

    for saves in [false, true] {
        let signed_in = site(get(move |s: Session| change(s, "light")));
        signed_in.get("/").await;
        let gate = Gate::new();
        let waits = gate.clone();
        let slow = site(get(move |s: Session| async move {
            assert!(s.get::<Value>("account").await.unwrap().is_some());
            waits.pass().await;
            if saves {
                s.insert("n", 1).await.unwrap();
                s.save().await.unwrap_err();
            }
            change(s, "late").await;
        }));
        share(&signed_in, &slow);
        held(&slow, &gate, async { layer.admin().revoke_all("42").await.unwrap() }).await;
        assert!(sessions.store().is_empty(), "saves: {saves}");
    }
}

/// An attacker can plant a second cookie: neither session is used then.
#[tokio::test]
async fn of_two_sessions_none_is_used_a_flush_ends_both_and_a_sign_in_replaces_them() {
    for flush in [true, false] {
        let sessions = TestSessions::new();
        let layer = sessions.layer();
        let (one, two) = (started(&layer).await, started(&layer).await);
        let [one, two] = [one, two].map(|client| client.cookie("__Host-session").unwrap());
        let client = page(&layer, move |s: Session| async move {
            assert_eq!(s.get::<u32>("n").await.unwrap(), None);
            match flush {
                true => s.flush().await.unwrap(),
                false => s.insert("user", "alice").await.unwrap(),
            }
        });
        let cookies = format!("__Host-session={one}; __Host-session={two}");
        let response = client.get("/").header("cookie", &cookies).await;
        assert_eq!(response.status(), 200);
        let left = if flush { 0 } else { 1 };
        assert_eq!(sessions.store().len(), left, "flush: {flush}");
    }
}

#[tokio::test]
async fn an_expiry_that_was_set_outlives_later_writes() {
    let clock = ManualClock::new();
    let store = FaultyStore::with_clock(&clock);
    let sessions = layer_on(&store);
    let client = started(&sessions).await;
    let month = at(&client, &sessions, |s: Session| async move {
        s.set_expiry(Some(Expiry::OnInactivity(time::Duration::days(30))));
    });
    month.get("/").await;
    let write = at(&month, &sessions, |s: Session| async move { s.insert("m", 1).await.unwrap() });
    write.get("/").await;
    clock.advance(Duration::from_secs(29 * 86_400));
    let reader = at(&month, &sessions, |s: Session| async move {
        format!("{:?}", s.get::<u32>("m").await.unwrap())
    });
    assert_eq!(reader.get("/").await.text(), "Some(1)");
    clock.advance(Duration::from_secs(2 * 86_400));
    assert_eq!(reader.get("/").await.text(), "None", "no longer than the absolute timeout");
}

/// A `Session` has `with_expiry`, or none, from its start.
#[tokio::test]
async fn the_lifetime_of_new_sessions_is_set_again_by_the_other_handle_only() {
    let clock = ManualClock::new();
    let store = FaultyStore::with_clock(&clock);
    let sessions = layer_on(&store);
    let client = started(&sessions).await;
    let month = at(&client, &sessions, |s: Session| async move {
        s.set_expiry(Some(Expiry::OnInactivity(time::Duration::days(30))));
    });
    month.get("/").await;
    let ends = async || client.session(|session| async move { session.expires_at().await }).await;
    let end = ends().await.unwrap();
    let none = at(&month, &sessions, |s: Session| async move { s.set_expiry(None) });
    none.get("/").await;
    assert_eq!(ends().await.unwrap(), end);
    let other = at(&month, &sessions, |context: SessionContext| async move {
        let hour = SessionExpiry::new(Duration::from_secs(3_600));
        context.set_expiry(hour).await.unwrap();
    });
    other.get("/").await;
    assert!(ends().await.unwrap() < end);
}

/// `clear` loads nothing; the values that it removes are those of the store.
#[tokio::test]
async fn a_clear_removes_what_was_not_loaded() {
    let sessions = TestSessions::new().layer();
    let client = started(&sessions).await;
    let clear = at(&client, &sessions, |s: Session| async move {
        s.clear().await;
        s.insert("m", 1).await.unwrap();
    });
    clear.get("/").await;
    assert_eq!(keys(&client).await, ["m"]);
}

#[tokio::test]
async fn a_body_that_streams_stores_by_save() {
    let sessions = TestSessions::new().layer();
    let client = started(&sessions).await;
    let stream = at(&client, &sessions, |s: Session| async move {
        Body::from_stream(futures_util::stream::once(async move {
            s.insert("m", 1).await.unwrap();
            s.save().await.unwrap();
            Ok::<_, Infallible>("streamed")
        }))
    });
    assert_eq!(stream.get("/").await.text(), "streamed");
    assert_eq!(keys(&client).await, ["m", "n"]);
}

/// What a layer or a handler has changed by the other handle is neither undone nor unseen.
#[tokio::test]
async fn both_handles_of_a_request_see_one_session_and_keep_each_others_values() {
    let sessions = TestSessions::new().layer();
    let before = from_fn(|context: SessionContext, request: Request, next: Next| async move {
        context.insert("early", &1).await.unwrap();
        next.run(request).await
    });
    let handler = |s: Session, context: SessionContext| async move {
        assert_eq!(s.get::<u32>("early").await.unwrap(), Some(1), "not stored yet");
        context.insert("theirs", &1).await.unwrap();
        s.insert("ours", 1).await.unwrap();
    };
    let inside = SessionManagerLayer::inside();
    let app = Router::new().route("/", get(handler)).layer(inside).layer(before);
    let client = browser(&sessions, app.layer(sessions.clone()));
    for _ in 0..2 {
        assert_eq!(client.get("/").await.status(), 200);
        assert_eq!(keys(&client).await, ["early", "ours", "theirs"]);
    }
}

/// Also if a layer between the two fails it.
#[tokio::test]
async fn a_response_that_fails_further_out_stores_nothing_and_ends_nothing() {
    let sessions = TestSessions::new();
    let layer = sessions.layer();
    let fails = from_fn(|request: Request, next: Next| async move {
        let _ = next.run(request).await;
        StatusCode::BAD_GATEWAY
    });
    let inside = SessionManagerLayer::inside().user_at(["user"]);
    let change = |s: Session| async move { s.insert("m", 1).await.unwrap() };
    let app = Router::new().route("/", get(change)).layer(inside).layer(fails);
    let other = browser(&layer, app.layer(layer.clone()));
    let client = started(&layer).await;
    share(&client, &other);
    assert_eq!(other.get("/").await.status(), 502);
    assert_eq!(keys(&client).await, ["n"]);

    let user = at(&client, &layer, |s: Session| async move { s.insert("user", 42).await.unwrap() });
    user.get("/").await;
    let failing = at(&user, &layer, |s: Session| async move {
        s.remove::<u32>("user").await.unwrap();
        StatusCode::INTERNAL_SERVER_ERROR
    });
    assert_eq!(failing.get("/").await.status(), 500);
    assert_eq!(layer.admin().sessions_of("42").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_cycled_id_keeps_user_and_start_and_a_failed_response_the_old_id() {
    let sessions = TestSessions::new();
    let layer = sessions.layer();
    let start = |s: Session| async move { s.insert("user", 42).await.unwrap() };
    let client = page(&layer, start);
    client.get("/").await;
    let of_user = async || layer.admin().sessions_of("42").await.unwrap();
    let before = of_user().await;
    sessions.clock().advance(Duration::from_secs(60));
    let failing = at(&client, &layer, |s: Session| async move {
        s.cycle_id().await.unwrap();
        StatusCode::INTERNAL_SERVER_ERROR
    });
    assert_eq!(failing.get("/").await.header("set-cookie"), None);
    assert_eq!(of_user().await[0].id, before[0].id);
    let cycled = at(&client, &layer, |s: Session| async move { s.cycle_id().await.unwrap() });
    cycled.get("/").await;
    let after = of_user().await;
    assert_ne!(after[0].id, before[0].id);
    assert_eq!(after[0].created_at, before[0].created_at);

    // A user without values, whom the other handle has signed in.
    let moved = page(&layer, |s: Session| async move { s.cycle_id().await.unwrap() });
    moved.login("alice").await.get("/").await;
    assert_eq!(layer.admin().sessions_of("alice").await.unwrap().len(), 1);
}

/// tower-sessions calls its store for neither then.
#[tokio::test]
async fn a_flush_after_a_cycled_id_ends_the_session() {
    for status in [StatusCode::OK, StatusCode::INTERNAL_SERVER_ERROR] {
        let sessions = TestSessions::new();
        let client = started(&sessions.layer()).await;
        let other = at(&client, &sessions.layer(), move |s: Session| async move {
            s.cycle_id().await.unwrap();
            s.flush().await.unwrap();
            status
        });
        assert_eq!(other.get("/").await.status(), status);
        assert!(sessions.store().is_empty());
        assert_eq!(other.cookie("__Host-session"), None);
    }
}

#[tokio::test]
async fn an_end_at_a_date_counts_from_the_start_of_the_session() {
    let clock = ManualClock::new();
    let store = FaultyStore::with_clock(&clock);
    let sessions = layer_on(&store);
    let client = started(&sessions).await;
    clock.advance(Duration::from_secs(1_800));
    let dated = at(&client, &sessions, |s: Session, context: SessionContext| async move {
        let created = context.created_at().await.unwrap().unwrap().as_millis();
        let end = OffsetDateTime::UNIX_EPOCH + Duration::from_millis(created + 2 * 3_600_000);
        s.set_expiry(Some(Expiry::AtDateTime(end)));
    });
    dated.get("/").await;
    let reader = at(&dated, &sessions, |s: Session| async move {
        format!("{:?}", s.get::<u32>("n").await.unwrap())
    });
    clock.advance(Duration::from_secs(5_300));
    assert_eq!(reader.get("/").await.text(), "Some(1)", "activity");
    clock.advance(Duration::from_secs(200));
    assert_eq!(reader.get("/").await.text(), "None");
}

/// As tower requires, and unlike its clone.
#[derive(Debug, Default)]
struct ReadyOnce(bool);

impl Clone for ReadyOnce {
    fn clone(&self) -> Self {
        Self(false)
    }
}

impl Service<Request> for ReadyOnce {
    type Response = Response;
    type Error = Infallible;
    type Future = Ready<Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0 = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request) -> Self::Future {
        assert!(std::mem::take(&mut self.0), "called before it was ready");
        ready(Ok(Response::default()))
    }
}

#[tokio::test]
async fn the_service_that_is_called_is_the_one_that_is_ready() {
    let sessions = TestSessions::new().layer();
    let mut service = SessionManagerLayer::new(sessions).layer(ReadyOnce::default());
    for _ in 0..2 {
        let service = service.ready().await.unwrap();
        assert_eq!(service.call(Request::default()).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn without_the_layer_around_it_a_request_is_500() {
    let sessions = TestSessions::new().layer();
    let app =
        Router::new().route("/", get(|_: Session| async {})).layer(SessionManagerLayer::inside());
    assert_eq!(browser(&sessions, app).get("/").await.status(), 500);
}
