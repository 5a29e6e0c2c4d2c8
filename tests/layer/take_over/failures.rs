//! Stores that fail: no user is signed out, and no session is created twice.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use test_support::{
    LogCapture,
    faulty_store::{Op, session_of},
    take_over::importer_builder,
};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_redis_session::{
    ErrorKind, Timestamp,
    import::{OldSession, OldSessions, StoredSession, decode_line},
    store::StoreFuture,
};

use super::*;

/// Rows 20 to 22.
#[tokio::test]
async fn while_a_store_fails_the_response_is_503_and_no_cookie_changes() {
    for op in [Op::Load, Op::Create, Op::Login, Op::Save] {
        let clock = ManualClock::new();
        let (store, shelf) = (FaultyStore::with_clock(&clock), Shelf::new());
        let layer = instance(store.clone(), &shelf);
        store.fault(op, Fault::Fails);
        let answer = ask(&layer, &old(), user).await;
        assert!(answer.is_failure(), "{op:?}: {answer:?}");
        // A claim that was left is taken over.
        clock.advance(Duration::from_secs(30));
        ask(&layer, &old(), user).await.taken_over();
        assert_eq!(store.faults_left(), 0);
    }
    let clock = ManualClock::new();
    let (store, shelf) = (FaultyStore::with_clock(&clock), Shelf::new());
    let layer = instance(store, &shelf);
    shelf.fails(true);
    let answer = ask(&layer, &old(), user).await;
    assert!(answer.is_failure(), "{answer:?}");
    // Requests without the old cookie are not affected.
    assert_eq!(ask(&layer, "", user).await.status, 200);
    shelf.fails(false);
    // A deletion that fails changes nothing: the claim counts.
    shelf.keeps(true);
    let new = ask(&layer, &old(), user).await.taken_over();
    layer.shutdown().await;
    assert!(!shelf.is_empty());
    clock.advance(GRACE);
    assert!(ask(&layer, &old(), user).await.is_rejected());
    assert_eq!(ask(&layer, &new, user).await.text, "alice");
}

#[tokio::test]
async fn deletions_that_fail_are_a_warning_once_until_one_succeeds() {
    let (captured, _guard) = LogCapture::on_this_thread();
    let (store, shelf) = (FaultyStore::new(), Shelf::default());
    let layer = instance(store, &shelf);
    let mut levels = Vec::new();
    for (number, fails) in [true, true, false, true].into_iter().enumerate() {
        shelf.keeps(fails);
        let old = format!("{number}{}", &OLD[1..]);
        shelf.put(&old, ALICE);
        captured.clear();
        ask(&layer, &format!("session={old}"), user).await.taken_over();
        layer.shutdown().await;
        let events = captured.events().into_iter();
        let events = events.filter(|event| event.text.contains("not deleted: "));
        levels.push(events.map(|event| event.level.to_string()).collect::<Vec<_>>().join(", "));
    }
    assert_eq!(levels, ["WARN", "DEBUG", "", "WARN"]);
}

/// Row 18.
#[tokio::test]
async fn a_write_whose_reply_is_lost_is_found_out_and_not_repeated_as_another() {
    for op in [Op::Create, Op::Login, Op::Save] {
        for fault in [Fault::Unknown, Fault::UnknownAfter] {
            let (store, shelf) = (FaultyStore::new(), Shelf::new());
            let layer = instance(store.clone(), &shelf);
            store.fault(op, fault.clone());
            let new = ask(&layer, &old(), user).await.taken_over();
            assert_eq!(sessions(&layer).await, 1, "{op:?} {fault:?}");
            assert_eq!(ask(&layer, &old(), user).await.taken_over(), new, "{op:?} {fault:?}");
            assert_eq!(store.faults_left(), 0);
        }
    }
}

/// The claim is written late, and found by the second attempt.
#[tokio::test]
async fn a_claim_that_is_written_late_is_the_requests_own() {
    let (store, shelf) = (FaultyStore::new(), Shelf::new());
    let layer = instance(store.clone(), &shelf);
    store.fault(Op::Create, Fault::UnknownLate);
    store.fault(Op::Create, Fault::LandsFirst);
    ask(&layer, &old(), user).await.taken_over();
    assert_eq!((store.faults_left(), sessions(&layer).await), (0, 1));
}

#[tokio::test]
async fn what_cannot_be_read_is_no_session_an_event_and_stays_for_another_configuration() {
    let too_long = format!(r#"{{"user_id": "alice", "text": "{}"}}"#, "x".repeat(2_000));
    for (name, stored) in [
        ("malformed", r#"{"user_id": "#),
        ("no user", r#"{"user_id": 4.5}"#),
        ("above the layer's limit", &too_long),
    ] {
        let (store, shelf) = (FaultyStore::new(), Shelf::new());
        let layer = configured(store.clone(), &shelf, |builder| builder.max_record_size(1_000));
        shelf.put(OLD, stored);
        let answer = ask(&layer, &old(), user).await;
        assert!(answer.text == "-" && answer.new.is_none() && !answer.removes_old, "{name}");
        assert_eq!(layer.admin().report().count("import_failed"), Some(1), "{name}");
        assert_eq!(store.len(), 0, "{name}: not even a claim");
        shelf.put(OLD, ALICE);
        ask(&layer, &old(), user).await.taken_over();
    }
}

#[tokio::test]
async fn a_session_without_users_and_a_visitors_session_are_taken_over_too() {
    let (store, shelf) = (FaultyStore::new(), Shelf::new());
    shelf.put(OLD, r#"{"visits": 3}"#);
    let visits = async |s: SessionContext| {
        assert_eq!(s.user_id().await?, None);
        Ok(s.get::<u32>("visits").await?.map_or("-".into(), |visits| visits.to_string()))
    };
    let layer = instance(tower_redis_session::store::WithoutUsers::new(store), &shelf);
    let first = ask(&layer, &old(), visits).await;
    assert!(first.text == "3" && first.removes_old, "{first:?}");
    assert_eq!(ask(&layer, &old(), visits).await.new, first.new);
    // A signed-in one, where there is no index of users.
    let other = "u".repeat(43);
    shelf.put(&other, ALICE);
    ask(&layer, &format!("session={other}"), user).await.taken_over();
    // One without content is none.
    let empty = "e".repeat(43);
    shelf.put(&empty, "{}");
    assert!(ask(&layer, &format!("session={empty}"), user).await.is_rejected());
}

/// A store of one session, or of one error.
pub(super) struct Only<F>(pub(super) F);

impl<F> OldSessions for Only<F>
where
    F: Fn() -> Result<StoredSession, Error> + Send + Sync + 'static,
{
    fn load<'a>(&'a self, _: &'a OldSession) -> StoreFuture<'a, Option<StoredSession>> {
        Box::pin(std::future::ready((self.0)().map(Some)))
    }

    fn delete<'a>(&'a self, _: &'a OldSession) -> StoreFuture<'a, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

async fn only<F>(stored: F) -> (RedisSessionLayer, Answer)
where
    F: Fn() -> Result<StoredSession, Error> + Send + Sync + 'static,
{
    let import = TakeOver::new(importer(), Only(stored)).take_over_key(KEY);
    let layer = RedisSessionLayer::builder(FaultyStore::new()).import(import).build().unwrap();
    let answer = ask(&layer, &old(), user).await;
    (layer, answer)
}

/// By the old store's time, of bytes and of a line that is decoded already.
#[tokio::test]
async fn an_old_session_that_has_expired_is_none() {
    let line = r#"{"key": "k", "user": "alice"}"#;
    let decoded = || StoredSession::from(decode_line(line).unwrap().session().clone());
    only(move || Ok(decoded())).await.1.taken_over();
    let past = Timestamp::from_millis(1);
    let (_, answer) = only(move || Ok(decoded().expires(past))).await;
    assert!(answer.is_rejected(), "{answer:?}");
    let (_, answer) = only(move || Ok(StoredSession::new(ALICE).expires(past))).await;
    assert!(answer.is_rejected(), "{answer:?}");
}

/// A sealed record is opened by the new token alone.
#[tokio::test]
async fn sealed_records_are_taken_over_like_others() {
    use tower_redis_session::encryption::UnsealedRecords::Reject;
    let (store, shelf) = (FaultyStore::new(), Shelf::new());
    let [one, other] =
        [(); 2].map(|()| configured(store.clone(), &shelf, |builder| builder.seal_records(Reject)));
    let new = ask(&one, &old(), user).await.taken_over();
    assert_eq!(ask(&other, &old(), user).await.taken_over(), new);
    assert_eq!(ask(&other, &new, user).await.text, "alice");
}

#[tokio::test]
async fn the_oldest_session_ends_where_a_take_over_exceeds_the_users_limit() {
    let (store, shelf) = (FaultyStore::new(), Shelf::new());
    let layer = configured(store, &shelf, |builder| builder.sessions_per_user(1));
    let login = async |s: SessionContext| s.login("alice").await.map(|()| String::new());
    let before = ask(&layer, "", login).await.new.unwrap();
    let new = ask(&layer, &old(), user).await.taken_over();
    assert_eq!(ask(&layer, &before, user).await.text, "-");
    assert_eq!(ask(&layer, &new, user).await.text, "alice");
}

#[tokio::test]
async fn an_entry_that_is_no_session_is_an_event_too() {
    let (layer, answer) = only(|| Err(Error::new(ErrorKind::Corrupt, "a hash"))).await;
    assert!(answer.status == 200 && !answer.removes_old, "{answer:?}");
    assert_eq!(layer.admin().report().count("import_failed"), Some(1));
}

/// A wrong prefix, database or table must not remove the cookies of all users.
#[tokio::test]
async fn an_old_cookie_whose_session_no_store_has_is_counted_and_stays() {
    let (store, shelf) = (FaultyStore::new(), Shelf::new());
    let wrong = importer_builder().key_prefix("wrong:").build().unwrap();
    let import = TakeOver::new(wrong, shelf.clone()).take_over_key(KEY);
    let wrong = RedisSessionLayer::builder(store.clone()).import(import).build().unwrap();
    let second = format!("{}; session={}", old(), "s".repeat(43));
    for cookie in [old(), second] {
        let answer = ask(&wrong, &cookie, user).await;
        assert!(answer.text == "-" && answer.new.is_none() && !answer.removes_old, "{answer:?}");
    }
    assert_eq!(wrong.admin().report().count("import_unknown"), Some(2));
    ask(&instance(store, &shelf), &old(), user).await.taken_over();
}

/// Its response has no cookie to send any more.
#[tokio::test]
async fn a_body_that_asks_for_its_session_first_is_not_served_as_a_visitors() {
    let layer = instance(FaultyStore::new(), &Shelf::new());
    let handler = service_fn(async |request: Request<()>| {
        let session = session_of(&request);
        let frame = async move {
            let user = session.user_id().await.map_err(|error| error.kind());
            Ok::<_, Infallible>(Frame::data(Bytes::from(format!("{user:?}"))))
        };
        Ok::<_, Infallible>(Response::new(StreamBody::new(futures_util::stream::once(frame))))
    });
    let request = Request::builder().header("cookie", old()).body(()).unwrap();
    let response = layer.layer(handler).oneshot(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "Err(Closed)");
    ask(&layer, &old(), user).await.taken_over();
}
