//! Impersonation: a user acts as another one and comes back, and both names are known meanwhile.
//!
//! To see these fail: index the session under the user who is impersonated; leave the values where
//! they are; leave the platform that is set aside; let `proved` be `authenticated`; let the
//! response try again what has failed.

use std::time::Duration;

use http::{Request, Response};
use test_support::faulty_store::{Fault, FaultyStore, Op, Visitor};
use tower::{Layer as _, ServiceExt as _};
use tower_redis_session::{
    DatabaseConfig, DatabaseStore, Error, ErrorKind, MemoryStore, RedisSessionLayer,
    RedisSessionLayerBuilder, SessionContext, encryption::UnsealedRecords, guard::RequireLayer,
    telemetry::Event,
};

const LATELY: Duration = Duration::from_secs(60);

fn memory() -> RedisSessionLayer {
    built(RedisSessionLayer::builder(MemoryStore::new()))
}

/// What a session was before it moved is not read any more.
fn built(builder: RedisSessionLayerBuilder) -> RedisSessionLayer {
    builder.renewal_grace(Duration::ZERO).build().unwrap()
}

/// Root, signed in with everything that a sign-in can have.
async fn root(layer: &RedisSessionLayer) -> Visitor {
    let mut visitor = Visitor::new(layer);
    within(&mut visitor, async |s: SessionContext| {
        s.login("root").await?;
        s.set_stamp("1").await?;
        s.set_label(Some("Desk")).await?;
        s.set_platform("pixelfed").await?;
        s.insert("theme", "dark").await
    })
    .await;
    visitor
}

async fn acting(layer: &RedisSessionLayer) -> Visitor {
    let mut visitor = root(layer).await;
    within(&mut visitor, async |s: SessionContext| s.impersonate("alice").await).await;
    visitor
}

async fn within<F, Fut>(visitor: &mut Visitor, work: F)
where
    F: FnOnce(SessionContext) -> Fut,
    Fut: Future<Output = Result<(), Error>>,
{
    let answered = visitor.ask(move |s| async move { work(s).await.map(|()| String::new()) });
    let answered = answered.await;
    assert_eq!(answered.status(), 200, "{answered:?}");
}

/// Who is seen, who it is, the values, the platform, and whether the sign-in is fresh.
async fn seen(visitor: &mut Visitor) -> String {
    let seen = visitor.ask(async |s: SessionContext| {
        let (user, actor) = (s.user_id().await?, s.impersonator().await?);
        let fresh = s.is_fresh(LATELY).await?;
        assert_eq!(s.authenticated_at().await?.is_some(), fresh);
        assert_eq!(s.loaded_user_id(), user);
        if let Ok(snapshot) = s.snapshot().await {
            assert_eq!((&snapshot.user_id, &snapshot.impersonator_id), (&user, &actor));
        }
        let (keys, platform) = (s.keys().await?, s.platform_id().await?);
        let name = |name: Option<String>| name.unwrap_or("-".into());
        let (user, actor, platform) = (name(user), name(actor), name(platform));
        Ok(format!("{user} by {actor}, {}, {platform}, {fresh}", keys.join("+")))
    });
    seen.await.text().to_owned()
}

async fn listed(layer: &RedisSessionLayer, user: &str) -> Vec<(Option<String>, Option<String>)> {
    let sessions = layer.admin().sessions_of(user).await.unwrap();
    sessions.into_iter().map(|one| (one.label, one.acting_as)).collect()
}

const ROOT: &str = "root by -, theme, pixelfed, true";
const ALICE: &str = "alice by root, , -, false";
const NOBODY: &str = "- by -, , -, false";

#[tokio::test]
async fn impersonation_and_back_with_a_fresh_id_each_way_and_nothing_of_one_seen_as_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.db");
    let database = DatabaseStore::new(DatabaseConfig::new(format!("sqlite:{}", path.display())));
    let sealed = RedisSessionLayer::builder(MemoryStore::new());
    for (name, layer) in [
        ("memory", memory()),
        ("sealed", built(sealed.seal_records(UnsealedRecords::Reject))),
        ("sqlite", built(RedisSessionLayer::builder(database.unwrap()))),
    ] {
        layer.migrate().await.unwrap();
        let mut events = layer.admin().events();
        let mut visitor = root(&layer).await;
        assert_eq!(seen(&mut visitor).await, ROOT, "{name}");
        let mut before = visitor.clone();
        within(&mut visitor, async |s: SessionContext| {
            s.insert("more", &1).await?;
            s.remove("more").await?;
            s.impersonate("alice").await
        })
        .await;
        assert_ne!(visitor.cookie, before.cookie, "{name}");
        assert_eq!(seen(&mut before).await, NOBODY, "{name}");
        assert_eq!(seen(&mut visitor).await, ALICE, "{name}");
        let desk = Some("Desk".to_owned());
        assert_eq!(listed(&layer, "root").await, [(desk.clone(), Some("alice".into()))], "{name}");
        assert_eq!(listed(&layer, "alice").await, [], "{name}");
        within(&mut visitor, async |s: SessionContext| {
            for (user, kind) in [
                ("bob", ErrorKind::Forbidden),
                ("", ErrorKind::Invalid),
                (&*"x".repeat(257), ErrorKind::Invalid),
            ] {
                assert_eq!(s.impersonate(user).await.unwrap_err().kind(), kind, "{user}");
            }
            assert_eq!(s.get::<String>("\0set-aside").await?, None);
            s.insert("draft", "of alice").await?;
            s.set_platform("mastodon").await?;
            s.set_stamp("of alice").await?;
            s.set_label(Some("Help")).await?;
            s.renew().await?;
            s.save().await?;
            s.clear().await?;
            s.insert("draft", "of alice").await
        })
        .await;
        assert_eq!(seen(&mut visitor).await, "alice by root, draft, mastodon, false", "{name}");
        let mut before = visitor.clone();
        within(&mut visitor, async |s: SessionContext| {
            s.insert("late", &1).await?;
            assert!(s.end_impersonation().await?);
            assert_eq!(s.stamp().await?.as_deref(), Some("1"));
            assert!(!s.end_impersonation().await?);
            let myself = s.impersonate("root").await.unwrap_err();
            assert_eq!(myself.kind(), ErrorKind::Invalid);
            Ok(())
        })
        .await;
        assert_ne!(visitor.cookie, before.cookie, "{name}");
        assert_eq!(seen(&mut before).await, NOBODY, "{name}");
        assert_eq!(seen(&mut visitor).await, ROOT, "{name}");
        assert_eq!(listed(&layer, "root").await, [(Some("Help".into()), None)], "{name}");
        let mut told = Vec::new();
        while let Ok(Some(event)) = tokio::time::timeout(Duration::ZERO, events.next()).await {
            match event {
                Event::ImpersonationBegan { actor, user, .. } => {
                    told.push(format!("{actor} as {user}"));
                }
                Event::ImpersonationEnded { actor, user, .. } => {
                    told.push(format!("{actor} was {user}"));
                }
                _ => {}
            }
        }
        assert_eq!(told, ["root as alice", "root was alice"], "{name}");
        layer.shutdown().await;
    }
}

#[tokio::test]
async fn what_ends_the_sign_in_ends_the_impersonation() {
    for (name, ended) in [
        ("revoke_all of the administrator", true),
        ("revoke_all of the user", false),
        ("logout", true),
        ("logout_everywhere", true),
        ("revoke_others", false),
    ] {
        let layer = memory();
        let (mut visitor, mut alice) = (acting(&layer).await, Visitor::new(&layer));
        within(&mut alice, async |s: SessionContext| s.login("alice").await).await;
        let mut elsewhere = root(&layer).await;
        let mut events = layer.admin().events();
        let within = async |work| within(&mut visitor.clone(), work).await;
        match name {
            "revoke_all of the administrator" => {
                assert_eq!(layer.admin().revoke_all("root").await.unwrap(), 2);
            }
            "revoke_all of the user" => {
                assert_eq!(layer.admin().revoke_all("alice").await.unwrap(), 1)
            }
            other => {
                within(async move |s: SessionContext| {
                    let _ = s.user_id().await?;
                    match other {
                        "logout" => s.logout().await,
                        "logout_everywhere" => s.logout_everywhere().await,
                        _ => s.revoke_others().await.map(drop),
                    }
                })
                .await;
            }
        }
        assert_eq!(seen(&mut visitor).await, if ended { NOBODY } else { ALICE }, "{name}");
        let root_too = name == "revoke_all of the administrator";
        assert_eq!(seen(&mut elsewhere).await == NOBODY, root_too, "{name}");
        let keeps_alice = root_too || name == "logout";
        assert_eq!(seen(&mut alice).await != NOBODY, keeps_alice, "{name}");
        let mut told = false;
        while let Ok(Some(event)) = tokio::time::timeout(Duration::ZERO, events.next()).await {
            told |= matches!(event, Event::ImpersonationEnded { .. });
        }
        assert_eq!(told, name.starts_with("logout"), "{name}");
    }
}

#[tokio::test]
async fn guards_see_the_user_who_is_impersonated_and_no_fresh_sign_in() {
    let layer = memory();
    let (mut visitor, inside) = (acting(&layer).await, async |_: Request<()>| {
        Ok::<_, std::convert::Infallible>(Response::new(String::new()))
    });
    let lookup = |user: String| async move {
        Ok(Some(if user == "root" { "admin" } else { "member" }.to_owned()))
    };
    for (name, as_alice, as_root) in
        [("admin", 403, 200), ("member", 200, 403), ("fresh", 401, 200)]
    {
        for (expected, end) in [(as_alice, false), (as_root, true)] {
            let mut visitor = visitor.clone();
            if end {
                visitor = root(&layer).await;
            }
            let (request, inner) = (visitor.request(), tower::service_fn(inside));
            let status = if name == "fresh" {
                let guarded = RequireLayer::fresh(LATELY).layer(inner);
                layer.layer(guarded).oneshot(request).await.unwrap().status()
            } else {
                let guarded = RequireLayer::role(name, lookup).layer(inner);
                layer.layer(guarded).oneshot(request).await.unwrap().status()
            };
            assert_eq!(status, expected, "{name}, ended: {end}");
        }
    }
    assert_eq!(seen(&mut visitor).await, ALICE);
}

#[tokio::test]
async fn a_sign_in_over_an_impersonation_takes_nothing_along() {
    for user in ["root", "alice", "bob"] {
        let layer = memory();
        let mut visitor = acting(&layer).await;
        within(&mut visitor, async |s: SessionContext| {
            s.insert("draft", "of alice").await?;
            s.save().await?;
            s.insert("late", &1).await?;
            s.login(user).await
        })
        .await;
        assert_eq!(seen(&mut visitor).await, format!("{user} by -, , -, true"));
        assert_eq!(listed(&layer, user).await, [(None, None)], "{user}");
        within(&mut visitor, async |s: SessionContext| {
            assert!(!s.end_impersonation().await?);
            assert_eq!(s.stamp().await?, None);
            Ok(())
        })
        .await;
    }
}

#[tokio::test]
async fn an_impersonation_that_fails_is_not_tried_again() {
    let store = FaultyStore::new();
    let layer = built(RedisSessionLayer::builder(store.clone()));
    let mut visitor = root(&layer).await;
    store.fault(Op::Renew, Fault::Fails);
    within(&mut visitor, async |s: SessionContext| {
        assert_eq!(s.impersonate("alice").await.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(s.user_id().await?.as_deref(), Some("root"));
        Ok(())
    })
    .await;
    assert_eq!(store.faults_left(), 0);
    assert_eq!(seen(&mut visitor).await, ROOT);
}

#[tokio::test]
async fn a_platform_that_was_cleared_does_not_come_back_after_an_impersonation() {
    let layer = memory();
    let mut visitor = acting(&layer).await;
    assert_eq!(layer.admin().clear_platform_of("root").await.unwrap(), 1);
    assert_eq!(layer.admin().clear_platform_of("root").await.unwrap(), 0);
    within(&mut visitor, async |s: SessionContext| s.end_impersonation().await.map(drop)).await;
    assert_eq!(seen(&mut visitor).await, "root by -, theme, -, true");
}

#[tokio::test]
async fn a_label_forges_no_impersonation() {
    let layer = memory();
    let mut visitor = root(&layer).await;
    within(&mut visitor, async |s: SessionContext| {
        let refused = s.set_label(Some("Desk\u{1f}alice")).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        Ok(())
    })
    .await;
    assert_eq!(listed(&layer, "root").await, [(Some("Desk".into()), None)]);
}
