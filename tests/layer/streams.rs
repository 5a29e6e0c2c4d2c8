//! Streams of events: a session and a user have a share of them each, and nobody takes the places
//! of all others.
//!
//! To see these fail: count by process alone; give a place back while its stream goes on; keep it
//! when the stream has ended.

use std::time::Duration;

use http::{Request, Response, header};
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_redis_session::{
    Error, MemoryStore, RedisSessionLayer, SessionContext,
    layer::SessionBody,
    session_api::{SessionApi, SessionApiBody},
};

type Stream = Response<SessionBody<SessionApiBody>>;

fn get(cookie: &str, path: &str) -> Request<String> {
    Request::get(path).header("cookie", cookie).body(String::new()).unwrap()
}

async fn sign_in(layer: &RedisSessionLayer, user: &'static str) -> String {
    let service = layer.layer(service_fn(move |request: Request<String>| async move {
        let session = request.extensions().get::<SessionContext>().unwrap();
        session.login(user).await?;
        Ok::<_, Error>(Response::new(String::new()))
    }));
    let response = service.oneshot(get("", "/")).await.unwrap();
    let set = response.headers()[header::SET_COOKIE].to_str().unwrap();
    set.split(';').next().unwrap().to_owned()
}

/// A stream, and what it says first.
async fn open<S>(api: &S, cookie: &str) -> (Stream, String)
where
    S: Service<Request<String>, Response = Stream, Error: std::fmt::Debug> + Clone,
{
    let mut stream = api.clone().oneshot(get(cookie, "/events")).await.unwrap();
    assert_eq!(stream.status(), 200);
    let frame = stream.body_mut().frame().await.unwrap().ok().unwrap();
    let said = String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap();
    (stream, said)
}

/// How many of `tries` streams of `cookie` are opened; they stay in `held`.
async fn opened<S>(api: &S, cookie: &str, tries: usize, held: &mut Vec<Stream>) -> usize
where
    S: Service<Request<String>, Response = Stream, Error: std::fmt::Debug> + Clone,
{
    let before = held.len();
    for _ in 0..tries {
        let (stream, said) = open(api, cookie).await;
        if said.contains("event: state") {
            held.push(stream);
        } else {
            assert!(said.contains("unavailable") && said.contains("too_many_streams"), "{said}");
            assert!(said.contains("retry: 60000"), "{said}");
        }
    }
    held.len() - before
}

#[tokio::test]
async fn a_session_and_a_user_have_a_share_of_the_streams_and_no_more() {
    let layer = RedisSessionLayer::builder(MemoryStore::new()).build().unwrap();
    let api = layer.layer(SessionApi::new().max_streams(40));
    let mallory = [
        sign_in(&layer, "mallory").await,
        sign_in(&layer, "mallory").await,
        sign_in(&layer, "mallory").await,
    ];
    let alice = sign_in(&layer, "alice").await;
    let mut held = Vec::new();
    assert_eq!(opened(&api, &mallory[0], 100, &mut held).await, 8);
    assert_eq!(opened(&api, &mallory[1], 10, &mut held).await, 8);
    assert_eq!(opened(&api, &mallory[2], 10, &mut held).await, 0, "the user's share");
    // A second cookie that opens nothing is no other session.
    let padded = format!("{}; __Host-session={}", mallory[0], "A".repeat(43));
    assert_eq!(opened(&api, &padded, 1, &mut held).await, 0);
    assert_eq!(opened(&api, &alice, 10, &mut held).await, 8);
    // A place is free again when its stream has ended.
    held.truncate(15);
    assert_eq!(opened(&api, &mallory[2], 10, &mut held).await, 1);
    held.clear();
    assert_eq!(opened(&api, &mallory[2], 10, &mut held).await, 8);
}

#[tokio::test]
async fn the_shares_are_settings_and_the_process_has_its_bound() {
    let layer = RedisSessionLayer::builder(MemoryStore::new()).build().unwrap();
    let api = SessionApi::new().streams_per_session(3).streams_per_user(4).max_streams(6);
    let api = layer.layer(api);
    let (one, two) = (sign_in(&layer, "a").await, sign_in(&layer, "a").await);
    let (three, four) = (sign_in(&layer, "b").await, sign_in(&layer, "c").await);
    let mut held = Vec::new();
    for (cookie, expected) in [(&one, 3), (&two, 1), (&three, 2), (&four, 0)] {
        assert_eq!(opened(&api, cookie, 5, &mut held).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_is_free_when_the_life_of_its_stream_is_over_though_nobody_reads_it() {
    let layer = RedisSessionLayer::builder(MemoryStore::new()).build().unwrap();
    let life = Duration::from_secs(10);
    let api = layer.layer(SessionApi::new().streams_per_user(2).stream_life(life));
    let mallory = sign_in(&layer, "mallory").await;
    let mut held = Vec::new();
    assert_eq!(opened(&api, &mallory, 3, &mut held).await, 2);
    tokio::time::sleep(life + Duration::from_millis(1)).await;
    assert_eq!(opened(&api, &mallory, 3, &mut held).await, 2);
}
