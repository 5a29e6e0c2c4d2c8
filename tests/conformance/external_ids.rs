//! A logout by the identity provider ends the session on every store, also one that signs in or moves
//! at the same time.
//!
//! To see these fail: enter a session before it is stored, or mark the name after the sessions were
//! read; in `renew_as` do not enter what has moved.

use test_support::{Matching, RedisServer, RespProxy, faulty_store::Visitor, patient};
use tower_redis_session::{
    RedisSessionLayer, RedisStore, SessionContext,
    telemetry::{Cause, Event},
};

use crate::stores::Stores;

const ROUNDS: usize = 12;

fn name(number: impl std::fmt::Display) -> String {
    format!("https://id.example.org|sid-{number}")
}

async fn sign_in(layer: &RedisSessionLayer, name: String) -> (u16, Visitor) {
    let mut visitor = Visitor::new(layer);
    let sign_in = async move |s: SessionContext| {
        let attempt = s.begin_login("alice").await?;
        s.finish_login(attempt.with_external_id(name)).await.map(|()| String::new())
    };
    let answered = visitor.ask(sign_in).await;
    (answered.status(), visitor)
}

async fn renew(visitor: &mut Visitor) -> u16 {
    let renew = async |s: SessionContext| {
        s.renew().await?;
        s.save().await.map(|()| String::new())
    };
    visitor.ask(renew).await.status()
}

async fn user(visitor: &mut Visitor) -> String {
    let user = async |s: SessionContext| Ok(s.user_id().await?.unwrap_or_default());
    visitor.ask(user).await.text().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_ends_its_sessions_on_every_store_whatever_is_in_progress() {
    for stores in Stores::all().await {
        println!("{}", stores.name);
        let [ours, theirs] = stores.two_instances().await;
        let (_, mut other) = sign_in(&ours, name("other")).await;
        let (status, mut moved) = sign_in(&ours, name("moved")).await;
        assert_eq!((status, renew(&mut moved).await), (200, 200));
        assert_eq!(user(&mut moved).await, "alice");
        assert_eq!(theirs.admin().revoke_by_external_id(&name("moved")).await.unwrap(), 1);
        assert_eq!(user(&mut moved).await, "");
        assert_eq!(theirs.admin().revoke_by_external_id(&name("moved")).await.unwrap(), 0);
        assert_eq!(sign_in(&ours, name("moved")).await.0, 401);
        assert_eq!(theirs.admin().revoke_by_external_id(&name("unknown")).await.unwrap(), 0);
        assert_eq!(sign_in(&ours, name("unknown")).await.0, 401);
        for round in 0..ROUNDS {
            let (name, admin) = (name(round), theirs.admin());
            let (signed_in, revoked) =
                tokio::join!(sign_in(&ours, name.clone()), admin.revoke_by_external_id(&name));
            let (status, mut visitor) = signed_in;
            assert!([200, 401].contains(&status) && revoked.is_ok(), "{status} {revoked:?}");
            assert_eq!(user(&mut visitor).await, "", "round {round}");

            let name = format!("{name}, renewed");
            let (_, mut visitor) = sign_in(&ours, name.clone()).await;
            let mut before = visitor.clone();
            let (_, revoked) =
                tokio::join!(renew(&mut visitor), admin.revoke_by_external_id(&name));
            assert!(revoked.is_ok(), "{revoked:?}");
            assert_eq!(user(&mut visitor).await + &user(&mut before).await, "", "round {round}");
        }
        // No session of the user but the other one is left.
        assert_eq!(theirs.admin().sessions_of("alice").await.unwrap().len(), 1);
        assert_eq!(user(&mut other).await, "alice");
    }
}

/// The list of a user's sessions takes two commands in Redis: one that moves between them is in
/// neither.
#[tokio::test]
async fn a_session_that_moves_while_the_list_is_read_ends_too() {
    let redis = RedisServer::start().await;
    let proxy = RespProxy::start(redis.addr()).await;
    let at = |url: &str| {
        RedisSessionLayer::builder(RedisStore::new(patient(url)).unwrap()).build().unwrap()
    };
    let ours = at(&redis.url());
    let theirs = at(&format!("redis://{}", proxy.addr()));
    let (_, mut visitor) = sign_in(&ours, name(1)).await;
    let mut events = ours.admin().events();
    theirs.check().await.unwrap();
    // The command after the ids: the heads of the records.
    let heads = proxy.hold_reply(Matching::command("HKEYS"));
    let admin = theirs.admin();
    let revoking =
        tokio::spawn(async move { admin.revoke_by_external_id(&name(1)).await.unwrap() });
    heads.reached().await;
    assert_eq!(renew(&mut visitor).await, 401);
    heads.release().await;
    assert_eq!(revoking.await.unwrap(), 0);
    assert_eq!(user(&mut visitor).await, "");
    assert_eq!(ours.admin().sessions_of("alice").await.unwrap(), []);
    let revoked = async {
        loop {
            if let Event::Revoked { user, cause, .. } = events.next().await.unwrap() {
                break (user, cause);
            }
        }
    };
    let revoked = tokio::time::timeout(std::time::Duration::from_secs(10), revoked).await;
    assert_eq!(revoked.unwrap(), ("alice".to_owned(), Cause::Provider));
}
