//! The stamp of a sign-in: a session ends when it changes elsewhere.
//!
//! To see these fail: let `is_stamped` be true; leave the stamp out of `forget_reserved`, or the
//! reserved values out of `kept`; do not look again before a session ends.

use std::sync::{Arc, Mutex};

use http::{Request, Response};
use test_support::faulty_store::{FaultyStore, Visitor};
use tower::{Layer as _, ServiceExt as _};
use tower_redis_session::{
    Error, ErrorKind, MemoryStore, RedisSessionLayer, SessionContext,
    directory::{Credentials, Directory, PlatformInfo, UserInfo, UserValidation, ValidUser},
    guard::RequireLayer,
    telemetry::{Event, EventStream},
};

/// Everybody's stamp; none where it is empty, and "?" where nobody knows.
#[derive(Clone)]
struct Accounts(Arc<Mutex<&'static str>>);

impl Accounts {
    fn change(&self, stamp: &'static str) {
        *self.0.lock().unwrap() = stamp;
    }
}

impl Directory for Accounts {
    type Settings = ();

    async fn user(&self, id: &str) -> Result<Option<UserInfo>, Error> {
        let mut user = UserInfo::new(id, id);
        user.active = id != "gone";
        Ok(Some(user))
    }

    async fn stamp(&self, id: &str) -> Result<Option<String>, Error> {
        match *self.0.lock().unwrap() {
            _ if id != "alice" => Ok(Some("another's".to_owned())),
            "?" => Err(Error::unavailable("the accounts are away")),
            stamp => Ok(Some(stamp.to_owned()).filter(|stamp| !stamp.is_empty())),
        }
    }

    async fn platforms(&self, _: &str) -> Result<Vec<PlatformInfo>, Error> {
        Ok(vec![])
    }

    async fn settings(&self, _: &str) -> Result<Option<()>, Error> {
        Ok(None)
    }

    async fn credentials(&self, _: &str, _: &str) -> Result<Option<Credentials>, Error> {
        Ok(None)
    }
}

struct Site {
    store: FaultyStore,
    layer: RedisSessionLayer,
    accounts: Accounts,
    events: EventStream,
}

impl Site {
    fn new() -> Self {
        let store = FaultyStore::new();
        let layer = RedisSessionLayer::builder(store.clone()).build().unwrap();
        let events = layer.admin().events();
        Self { store, layer, accounts: Accounts(Arc::new(Mutex::new("1"))), events }
    }

    async fn signed_in(&self, stamp: Option<&str>) -> Visitor {
        let mut visitor = Visitor::new(&self.layer);
        let login = visitor.ask(async |s: SessionContext| {
            s.login("alice").await?;
            if let Some(stamp) = stamp {
                s.set_stamp(stamp).await?;
            }
            Ok(String::new())
        });
        assert_eq!(login.await.status(), 200);
        visitor
    }

    async fn validated(&self, visitor: &mut Visitor) -> String {
        let accounts = self.accounts.clone();
        let answered = visitor.ask(async move |s: SessionContext| {
            Ok(match s.validate_user(&accounts).await? {
                UserValidation::User(user) => user.id,
                other => format!("{other:?}"),
            })
        });
        answered.await.text().to_owned()
    }

    /// How many sessions were told to end for their stamp.
    async fn told(&mut self) -> usize {
        let mut count = 0;
        let now = std::time::Duration::ZERO;
        while let Ok(event) = tokio::time::timeout(now, self.events.next()).await {
            count += usize::from(matches!(event, Some(Event::StampChanged { .. })));
        }
        count
    }
}

#[tokio::test]
async fn a_stamp_that_changed_elsewhere_ends_the_session() {
    let mut site = Site::new();
    let mut old = site.signed_in(Some("1")).await;
    let mut unstamped = site.signed_in(None).await;
    assert_eq!(site.validated(&mut old).await, "alice");
    site.accounts.change("2");
    let mut new = site.signed_in(Some("2")).await;
    site.accounts.change("?");
    // Who does not answer ends nothing.
    assert_eq!(site.validated(&mut old).await, "Unavailable");
    assert_eq!((site.told().await, site.store.len()), (0, 3));
    site.accounts.change("2");
    assert_eq!(site.validated(&mut old).await, "StampChanged");
    assert_eq!((old.cookie.as_ref(), site.told().await, site.store.len()), (None, 1, 2));
    for visitor in [&mut new, &mut unstamped] {
        assert_eq!(site.validated(visitor).await, "alice");
    }
    // A user who has no password any more, as after a move to another identity provider.
    site.accounts.change("");
    assert_eq!(site.validated(&mut new).await, "StampChanged");
    assert_eq!(site.validated(&mut unstamped).await, "alice");
    assert_eq!((site.told().await, site.store.len()), (1, 1));
    assert_eq!(site.layer.admin().report().count("stamp_changed"), Some(2));
}

#[tokio::test]
async fn a_guard_ends_the_session_whose_stamp_changed_and_asks_for_a_sign_in() {
    let mut site = Site::new();
    let mut visitor = site.signed_in(Some("1")).await;
    let guard = RequireLayer::new(ValidUser::new(Arc::new(site.accounts.clone())));
    let inner = tower::service_fn(async |_: Request<()>| {
        Ok::<_, std::convert::Infallible>(Response::new("inside".to_owned()))
    });
    let guarded = site.layer.layer(guard.layer(inner));
    for (stamp, status) in [("1", 200), ("2", 401), ("2", 401)] {
        site.accounts.change(stamp);
        let response = guarded.clone().oneshot(visitor.request()).await.unwrap();
        assert_eq!(response.status(), status, "{stamp}");
        if status == 401 && visitor.cookie.take().is_some() {
            let removal = response.headers()["set-cookie"].to_str().unwrap();
            assert!(removal.contains("Max-Age=0"), "{removal}");
        }
    }
    assert_eq!((site.told().await, site.store.len()), (1, 0));
}

#[tokio::test]
async fn a_stamp_is_hidden_and_stays_until_the_next_sign_in() {
    let site = Site::new();
    let mut visitor = site.signed_in(Some("1")).await;
    let stays = visitor.ask(async |s: SessionContext| {
        s.insert("a", &1).await?;
        assert_eq!(s.keys().await?, ["a"]);
        assert_eq!(s.get::<String>("\0stamp").await?, None);
        assert_eq!(s.take_once::<String>("\0stamp").await?, None);
        assert!(!s.remove("\0stamp").await?);
        let refused = s.insert("\0stamp", "mine").await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        s.clear().await?;
        s.renew().await?;
        s.save().await?;
        s.update("b", |_: Option<u32>| 2).await?;
        assert_eq!(s.keys().await?, ["b"]);
        Ok(s.stamp().await?.unwrap())
    });
    assert_eq!(stays.await.text(), "1");
    // A clear and a sign-in that are not stored yet are seen at once.
    for login in ["alice", "bob"] {
        let buffered = visitor.ask(async |s: SessionContext| {
            s.set_stamp("2").await?;
            s.clear().await?;
            assert_eq!(s.stamp().await?.as_deref(), Some("2"));
            s.login(login).await?;
            assert_eq!(s.stamp().await?, None, "{login}");
            s.save().await?;
            assert_eq!(s.stamp().await?, None, "{login}");
            Ok(String::new())
        });
        assert_eq!(buffered.await.status(), 200);
        visitor = site.signed_in(Some("1")).await;
        let stored = visitor.ask(async |s: SessionContext| {
            s.login(login).await?;
            s.save().await?;
            Ok(format!("{:?}", s.stamp().await?))
        });
        assert_eq!(stored.await.text(), "None", "{login}");
        visitor = site.signed_in(Some("1")).await;
    }
}

#[tokio::test]
async fn a_new_stamp_of_another_request_is_seen_before_the_session_ends() {
    let mut site = Site::new();
    let visitor = site.signed_in(Some("1")).await;
    let mut other = visitor.clone();
    let validated = other.ask(async |slow: SessionContext| {
        assert_eq!(slow.stamp().await?.as_deref(), Some("1"));
        let changes = async |s: SessionContext| s.set_stamp("2").await.map(|()| String::new());
        assert_eq!(visitor.clone().ask(changes).await.status(), 200);
        Ok(slow.validate_stamp(Some("2")).await?.to_string())
    });
    assert_eq!(validated.await.text(), "true");
    assert_eq!((site.told().await, site.store.len()), (0, 1));
}

#[tokio::test]
async fn a_stamp_is_stored_in_the_step_of_the_sign_in() {
    let layer = RedisSessionLayer::builder(MemoryStore::new()).build().unwrap();
    let mut visitor = Visitor::new(&layer);
    let login = visitor.ask(async |s: SessionContext| {
        let bad = s.begin_login("alice").await?.with_stamp("");
        assert_eq!(s.finish_login(bad).await.unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(s.user_id().await?, None);
        assert_eq!(s.set_stamp("1").await.unwrap_err().kind(), ErrorKind::Absent);
        let attempt = s.begin_login("alice").await?;
        s.finish_login(attempt.with_stamp("1")).await?;
        let id = s.id().await?;
        let late = s.begin_login("alice").await?.with_stamp("2");
        s.revoke_others().await?;
        assert_eq!(s.finish_login(late).await.unwrap_err().kind(), ErrorKind::Revoked);
        assert_eq!((s.stamp().await?.as_deref(), s.id().await?), (Some("1"), id));
        Ok(String::new())
    });
    assert_eq!(login.await.status(), 200);
    let stamp = visitor.ask(async |s: SessionContext| Ok(s.stamp().await?.unwrap()));
    assert_eq!(stamp.await.text(), "1");
}

#[tokio::test]
async fn the_stamp_of_an_impersonation_is_that_of_who_signed_in() {
    let site = Site::new();
    for (user, stamp, outcome) in
        [("eve", "1", "eve"), ("eve", "2", "StampChanged"), ("gone", "1", "Ended")]
    {
        site.accounts.change(stamp);
        let mut visitor = site.signed_in(Some("1")).await;
        let acts = async |s: SessionContext| s.impersonate(user).await.map(|()| String::new());
        assert_eq!(visitor.ask(acts).await.status(), 200);
        assert_eq!(site.validated(&mut visitor).await, outcome, "{user}, {stamp}");
    }
}
