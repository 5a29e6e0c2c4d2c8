//! Several cookies of our name in one request: of several live sessions none is used, and whoever
//! signs in has one session afterwards, and nobody else's beside it.
//!
//! To see these fail: leave out `end_twins`; take several live sessions for a fault of the server;
//! forget the twins with a `validate`; end what a moved session has become.

use std::{convert::Infallible, future::Future, pin::Pin};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use test_support::faulty_store::{Answered, Failure, Fault, FaultyStore, Op, Visitor, answer};
use tower_redis_session::{
    Error, ErrorKind, RedisSessionLayer, SessionContext, SessionId, encryption::UnsealedRecords,
    guard::RequireLayer, store::Store,
};

type Handled = Pin<Box<dyn Future<Output = Result<String, Error>> + Send>>;
type Handler = fn(SessionContext) -> Handled;

const LOGIN: Handler = |s| Box::pin(async move { s.login("alice").await.map(|()| "in".into()) });
const LOGIN_BOB: Handler = |s| Box::pin(async move { s.login("bob").await.map(|()| "in".into()) });
const LOGOUT: Handler = |s| Box::pin(async move { s.logout().await.map(|()| "out".into()) });
const RENEW: Handler = |s| Box::pin(async move { s.renew().await.map(|()| "renewed".into()) });
const USER: Handler = |s| Box::pin(async move { Ok(s.user_id().await?.unwrap_or("-".into())) });

fn layer_on(store: &FaultyStore) -> RedisSessionLayer {
    RedisSessionLayer::builder(store.clone()).build().unwrap()
}

/// A browser in which somebody has signed in, and the id of the session.
async fn signed_in(layer: &RedisSessionLayer, login: Handler) -> (Visitor, SessionId) {
    let mut visitor = Visitor::new(layer);
    assert_eq!(visitor.ask(login).await.status(), 200);
    let id = id_of(&mut visitor).await;
    (visitor, id)
}

async fn id_of(visitor: &mut Visitor) -> SessionId {
    let id = |s: SessionContext| async move { Ok(s.id().await?.expect("a session").to_string()) };
    visitor.ask(id).await.text().parse().unwrap()
}

/// The cookies of all of them in one browser.
fn together(jars: &[&Visitor]) -> Visitor {
    let cookies: Vec<_> = jars.iter().map(|jar| jar.cookie.as_deref().unwrap()).collect();
    Visitor { cookie: Some(cookies.join("; ")), ..jars[0].clone() }
}

async fn user(visitor: &Visitor) -> String {
    visitor.clone().ask(USER).await.text().to_owned()
}

async fn is_there(store: &FaultyStore, id: &SessionId) -> bool {
    store.sound().load(id).await.unwrap().is_some()
}

#[tokio::test]
async fn under_two_live_cookies_everything_is_401() {
    let store = FaultyStore::new();
    let layer = layer_on(&store);
    let (one, _) = signed_in(&layer, LOGIN).await;
    let (other, _) = signed_in(&layer, LOGIN_BOB).await;
    let both = together(&[&one, &other]);
    let acts: [(&str, Handler); 5] = [
        ("insert", |s| Box::pin(async move { s.insert("a", &1).await.map(|()| "".into()) })),
        ("update", |s| {
            let more = |n: Option<u32>| n.unwrap_or(0) + 1;
            Box::pin(async move { s.update("n", more).await.map(|n| n.to_string()) })
        }),
        ("validate", |s| Box::pin(async move { s.validate().await.map(|()| "".into()) })),
        ("platform", |s| Box::pin(async move { s.set_platform("p").await.map(|()| "".into()) })),
        ("devices", |s| Box::pin(async move { s.sessions().await.map(|_| "".into()) })),
    ];
    for (name, act) in acts {
        let answered = both.clone().ask(act).await;
        assert_eq!(answered.status(), 401, "{name}: {answered:?}");
        assert_eq!(answered.head.headers["www-authenticate"], "Session", "{name}");
        assert_eq!(answered.set_cookie(), None, "{name}");
    }
    let inner = tower::service_fn(async |_: http::Request<()>| {
        Ok::<_, Infallible>(Response::new(String::new()))
    });
    let guarded = tower::Layer::layer(&layer, tower::Layer::layer(&RequireLayer::user(), inner));
    let answer = tower::ServiceExt::oneshot(guarded, both.request()).await.unwrap();
    assert_eq!(answer.status(), 401, "a guard");
    assert_eq!(user(&both).await, "-");
    assert_eq!((user(&one).await.as_str(), user(&other).await.as_str()), ("alice", "bob"));
}

#[tokio::test]
async fn a_sign_in_ends_every_session_that_the_cookies_open() {
    for looks_first in [false, true] {
        let store = FaultyStore::new();
        let layer = layer_on(&store);
        let (one, first) = signed_in(&layer, LOGIN).await;
        let (other, second) = signed_in(&layer, LOGIN).await;
        let (phone, _) = signed_in(&layer, LOGIN).await;
        let mut events = layer.admin().events();
        let mut both = together(&[&one, &other]);
        let answered = both.ask(move |s| async move {
            if looks_first {
                assert_eq!(s.user_id().await?, None);
                assert_eq!(s.validate().await.unwrap_err().kind(), ErrorKind::Ambiguous);
            }
            LOGIN(s).await
        });
        assert_eq!(answered.await.status(), 200);
        assert!(!is_there(&store, &first).await && !is_there(&store, &second).await);
        assert_eq!(user(&phone).await, "alice", "in a third browser");
        assert_eq!(store.len(), 2);
        assert_eq!(layer.admin().report().count("destroyed"), Some(2));
        assert!(events.next().await.is_some());
        // The new cookie takes the place of one of the two, or of none, by where they were set.
        for jar in [together(&[&other, &both]), together(&[&both, &one]), both.clone()] {
            assert_eq!(user(&jar).await, "alice");
        }
        let all = together(&[&one, &other, &both]);
        assert_eq!(user(&all).await, "alice");
    }
}

/// A cookie that a sibling host has set for the whole domain opens the attacker's session.
#[tokio::test]
async fn a_planted_session_is_over_when_its_victim_signs_in() {
    for victim_had_one in [false, true] {
        let store = FaultyStore::new();
        let layer = layer_on(&store);
        let (attacker, _) = signed_in(&layer, LOGIN_BOB).await;
        let mut victim = if victim_had_one {
            together(&[&signed_in(&layer, LOGIN).await.0, &attacker])
        } else {
            attacker.clone()
        };
        assert_eq!(victim.ask(LOGIN).await.status(), 200);
        assert_eq!(user(&together(&[&victim, &attacker])).await, "alice");
        assert_eq!(store.len(), 1);
        // It reads nothing of the victim's, not even where the session has moved to the victim.
        let seen = user(&attacker).await;
        assert_eq!(seen, if victim_had_one { "-" } else { "bob" }, "for the grace, of before");
        assert_eq!(attacker.clone().ask(RENEW).await.set_cookie(), None);
        assert_eq!(user(&victim).await, "alice");
        assert!(layer.admin().sessions_of("bob").await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_session_that_moves_while_a_sign_in_ends_it_ends_under_its_new_id() {
    let store = FaultyStore::new();
    let layer = layer_on(&store);
    let (one, _) = signed_in(&layer, LOGIN).await;
    let (mut attacker, _) = signed_in(&layer, LOGIN_BOB).await;
    let mut both = together(&[&one, &attacker]);
    let deletes = store.hold(Op::Delete);
    let meanwhile = async {
        deletes.arrived().await;
        assert_eq!(attacker.ask(RENEW).await.status(), 200);
        assert_eq!(user(&attacker).await, "bob");
        deletes.open();
    };
    let (answered, ()) = tokio::join!(both.ask(LOGIN), meanwhile);
    assert_eq!(answered.status(), 200);
    assert_eq!((user(&both).await.as_str(), user(&attacker).await.as_str()), ("alice", "-"));
    assert_eq!(store.len(), 1);
}

/// A layer that seals takes what is not sealed for made up.
fn sealed(store: &FaultyStore) -> RedisSessionLayer {
    let builder = RedisSessionLayer::builder(store.clone());
    builder.seal_records(UnsealedRecords::Reject).build().unwrap()
}

#[tokio::test]
async fn an_unreadable_record_goes_with_a_sign_in_or_a_logout() {
    const LOOK_AND_LOGIN: Handler = |s| {
        Box::pin(async move {
            let _ = s.user_id().await?;
            let _ = s.validate().await;
            LOGIN(s).await
        })
    };
    const LOOK_AND_LOGOUT: Handler = |s| {
        Box::pin(async move {
            let _ = s.user_id().await?;
            let _ = s.validate().await;
            LOGOUT(s).await
        })
    };
    for (name, act, sessions) in [
        ("login", LOGIN, 1),
        ("validate and login", LOOK_AND_LOGIN, 1),
        ("logout", LOGOUT, 0),
        ("validate and logout", LOOK_AND_LOGOUT, 0),
    ] {
        for beside_a_live_one in [false, true] {
            let at = format!("{name}, beside a live one: {beside_a_live_one}");
            let store = FaultyStore::new();
            let layer = sealed(&store);
            let (plain, unreadable) = signed_in(&layer_on(&store), LOGIN_BOB).await;
            let mut visitor = Visitor { layer: layer.clone(), ..plain };
            if beside_a_live_one {
                let (live, _) = signed_in(&layer, LOGIN).await;
                visitor = together(&[&live, &visitor]);
                assert_eq!(user(&visitor).await, "alice", "{at}");
            }
            assert!(is_there(&store, &unreadable).await, "{at}");
            assert_eq!(visitor.ask(act).await.status(), 200, "{at}");
            assert!(!is_there(&store, &unreadable).await, "{at}");
            assert_eq!(store.len(), sessions, "{at}");
        }
    }
}

#[tokio::test]
async fn of_a_moved_session_and_a_live_one_the_live_one_is_used_and_the_other_lives_on() {
    let store = FaultyStore::new();
    let layer = layer_on(&store);
    let (mut moved, _) = signed_in(&layer, LOGIN_BOB).await;
    let old = moved.clone();
    assert_eq!(moved.ask(RENEW).await.status(), 200);
    let (live, _) = signed_in(&layer, LOGIN).await;
    for mut both in [together(&[&old, &live]), together(&[&live, &old])] {
        assert_eq!(user(&both).await, "alice");
        assert_eq!(both.clone().ask(RENEW).await.status(), 200);
        // The live one has moved as well by now, and a second sign-in begins one of its own.
        assert_eq!(both.ask(LOGIN).await.status(), 200);
        assert_eq!(user(&both).await, "alice");
        assert_eq!(user(&moved).await, "bob", "the heir lives on");
    }
    assert_eq!(layer.admin().sessions_of("bob").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_sign_in_that_fails_ends_nobody() {
    let store = FaultyStore::new();
    let layer = layer_on(&store);
    let (one, _) = signed_in(&layer, LOGIN).await;
    let (other, _) = signed_in(&layer, LOGIN_BOB).await;
    let mut both = together(&[&one, &other]);
    let failing = both.visit(|s| async move {
        LOGIN(s).await.unwrap();
        let mut response = Response::new(Full::<Bytes>::default());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        Ok::<_, Infallible>(response)
    });
    let answered: Answered = failing.await;
    assert_eq!((answered.status(), answered.set_cookie()), (500, None));
    let failed = answer(&layer, both.request(), |s| async move {
        LOGIN(s).await.unwrap();
        Err::<Response<Full<Bytes>>, _>(Failure)
    });
    assert_eq!(failed.await.unwrap_err(), Failure);
    assert_eq!((user(&one).await.as_str(), user(&other).await.as_str()), ("alice", "bob"));
    assert_eq!(store.len(), 2);
}

#[tokio::test]
async fn nobody_is_signed_in_beside_a_session_that_could_not_be_ended() {
    let store = FaultyStore::new();
    let layer = layer_on(&store);
    let (one, _) = signed_in(&layer, LOGIN).await;
    let (other, _) = signed_in(&layer, LOGIN_BOB).await;
    let mut both = together(&[&one, &other]);
    store.calls();
    store.fault(Op::Delete, Fault::Fails);
    let answered = both.ask(LOGIN).await;
    assert_eq!((answered.status(), answered.set_cookie()), (503, None));
    assert!(!store.calls().contains(&Op::Create));
    // Once more, also within one request.
    store.fault(Op::Delete, Fault::Fails);
    let answered = both.ask(|s| async move {
        s.login("alice").await?;
        assert_eq!(s.save().await.unwrap_err().kind(), ErrorKind::Unavailable);
        s.save().await.map(|()| "in".into())
    });
    assert_eq!(answered.await.status(), 200);
    assert_eq!((user(&both).await.as_str(), store.len()), ("alice", 1));
}

#[tokio::test]
async fn a_logout_under_two_live_cookies_ends_both() {
    for looks_first in [false, true] {
        let store = FaultyStore::new();
        let layer = layer_on(&store);
        let (one, _) = signed_in(&layer, LOGIN).await;
        let (other, _) = signed_in(&layer, LOGIN_BOB).await;
        let (phone, _) = signed_in(&layer, LOGIN).await;
        let mut both = together(&[&one, &other]);
        let answered = both.ask(move |s| async move {
            if looks_first {
                assert_eq!(s.user_id().await?, None);
            }
            LOGOUT(s).await
        });
        assert!(answered.await.set_cookie().is_some_and(|line| line.contains("Max-Age=0")));
        assert_eq!((store.len(), user(&phone).await.as_str()), (1, "alice"));
        assert_eq!(layer.admin().report().count("destroyed"), Some(2));
    }
}
