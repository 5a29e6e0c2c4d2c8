//! Ids that somebody else chose, that belong to another, or that should be dead.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use http::{Request, Response};
use tower::{Layer, ServiceExt};
use tower_redis_session::{
    MemoryStore, SessionContext, SessionId,
    store::{Expected, LoginWrite, Record, SaveOutcome, Store, StoreFuture, Touch, UserStore},
};

use super::visitors::durable;
use test_support::{
    COOKIE, NOBODY, REMOVED, RedisServer, Site, key_end, records, signed_in, token, who,
};

/// gofiber CVE-2024-38513: an id that the client had made up was taken for the new session's.
#[tokio::test]
async fn cve_2024_38513_an_id_that_the_client_chose_is_not_used() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let well_formed = BASE64.encode([7; 32]);
    for chosen in [well_formed.as_str(), "admin", "", "session-of-mallory"] {
        for first in [
            "/insert:cart:tea",
            "/login:alice",
            "/user,insert:cart:tea",
            "/update:n",
            "/renew,insert:cart:tea",
        ] {
            let mut browser = site.browser().await;
            browser.set_cookie(COOKIE, chosen);
            browser.get(first).await.expect(200);
            assert_ne!(token(&browser), chosen, "{first}");
            assert_eq!(who(&site, chosen).await, NOBODY, "{first} with {chosen}");
            assert_eq!(records(&redis).await.len(), 1, "{first} with {chosen}");
            browser.get("/destroy").await.expect(200);
        }
    }
    assert!(redis.find_everywhere(&well_formed).await.is_empty());
}

/// aiohttp-session CVE-2018-1000519: an invalidated session kept its key with an empty value, and
/// with it an id that could be used again.
#[tokio::test]
async fn cve_2018_1000519_the_id_of_an_ended_session_opens_nothing_again() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    for end in ["/logout", "/destroy", "/logout_everywhere", "/renew"] {
        let mut browser = signed_in(&site).await;
        let old = token(&browser);
        browser.get(end).await.expect(200);
        let mut replayed = site.browser().await;
        replayed.set_cookie(COOKIE, &old);
        replayed.get("/insert:cart:planted").await.expect(200);
        // Of what has moved nothing begins, and nothing is kept.
        assert_eq!(token(&replayed) == old, end == "/renew", "{end}");
        assert_eq!(who(&site, &old).await, NOBODY, "{end}");
    }
}

/// pow CVE-2020-5205, Symfony CVE-2023-46733, SncRedisBundle #364, PHP CVE-2011-4718: the id that
/// somebody had before the login was the one of the signed-in user.
#[tokio::test]
async fn cve_2020_5205_an_id_from_before_the_login_is_dead_after_it() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    for login in ["/login:victim", "/begin_login:victim,finish_login", "/login:victim,save"] {
        // The attacker's session, planted in the victim's browser.
        let mut attacker = site.browser().await;
        attacker.get("/insert:cart:bait").await.expect(200);
        let planted = token(&attacker);
        let mut victim = site.browser().await;
        victim.set_cookie(COOKIE, &planted);
        victim.get(login).await.expect(200);
        assert_ne!(token(&victim), planted, "{login}");
        assert_eq!(victim.get("/user").await.expect(200).text(), "victim", "{login}");
        assert_eq!(attacker.get("/user,get:cart").await.expect(200).text(), NOBODY, "{login}");
    }
}

/// Django CVE-2015-3982: `flush` of the cache and database backend left the empty string as the
/// key, which all who had been flushed then shared.
#[tokio::test]
async fn cve_2015_3982_those_who_were_flushed_share_no_session() {
    let redis = RedisServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let site = durable(&redis, &folder).await;
    let (mut one, mut two) = (signed_in(&site).await, signed_in(&site).await);
    for browser in [&mut one, &mut two] {
        browser.get("/clear,logout").await.expect(200);
        // As a browser that keeps the cookie without its value.
        browser.set_cookie(COOKIE, "");
    }
    one.get("/insert:cart:hers").await.expect(200);
    assert_eq!(two.get("/get:cart").await.expect(200).text(), "-");
    two.get("/insert:cart:his").await.expect(200);
    assert_eq!(one.get("/get:cart").await.expect(200).text(), "hers");
    assert_ne!(token(&one), token(&two));
}

/// Django CVE-2011-4136: sessions shared the names of a cache with keys that users could choose.
#[tokio::test]
async fn cve_2011_4136_no_name_that_a_user_chooses_is_the_key_of_a_session() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut victim = signed_in(&site).await;
    let id = victim.get("/id").await.expect(200).text();
    let key = records(&redis).await.pop().unwrap().0;
    // The list of a user may have any name, so only the place of the records is looked at.
    let sessions = async || {
        let keys = redis.dump().await.into_iter();
        let keys = keys.filter(|(key, value)| key.starts_with("session:0:s:") && value != b"T");
        keys.collect::<Vec<_>>()
    };
    let before = sessions().await;
    for chosen in [
        key.clone(),
        format!("0:s:{}", key_end(&id)),
        format!("s:{}", key_end(&id)),
        format!("\n{key}"),
    ] {
        let name = chosen.clone();
        let handler = tower::service_fn(move |request: Request<()>| {
            let name = name.clone();
            async move {
                let session = request.extensions().get::<SessionContext>().unwrap();
                session.login(&name).await.unwrap();
                session.set_platform(&name).await.unwrap();
                session.insert(&name, &name).await.unwrap();
                Ok::<_, std::convert::Infallible>(Response::new(String::new()))
            }
        });
        let response = site.layer.layer(handler).oneshot(Request::new(())).await.unwrap();
        assert_eq!(response.status(), 200, "{chosen}");
        assert_eq!(sessions().await.len(), 2, "{chosen}");
        assert_eq!(site.layer.admin().revoke_all(&chosen).await.unwrap(), 1, "{chosen}");
        assert_eq!(sessions().await, before, "{chosen}");
    }
    assert_eq!(who(&site, &token(&victim)).await, "alice,tea");
}

/// Rack CVE-2019-16782, activerecord-session_store CVE-2019-25025, redis-session-store #145: the
/// cookie's id was the key that the store compares, and an incomplete fix took a key for an id.
#[tokio::test]
async fn cve_2019_16782_neither_is_the_cookie_a_key_nor_a_key_a_cookie() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = signed_in(&site).await;
    assert!(redis.find_everywhere(token(&browser)).await.is_empty());
    let id = browser.get("/id").await.expect(200).text();
    let key = records(&redis).await.pop().unwrap().0;
    assert!(key.ends_with(&key_end(&id)));
    for stolen in [id.as_str(), &key] {
        assert_eq!(who(&site, stolen).await, NOBODY, "{stolen}");
    }
}

/// gorilla/sessions #274 and PAN-OS CVE-2024-3400: the id of the cookie became the path of a file.
#[tokio::test]
async fn cve_2024_3400_an_id_is_parsed_and_leads_to_no_file() {
    let redis = RedisServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let site = durable(&redis, &folder).await;
    let list = || {
        let entries = std::fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let (files, keys) = (list(), redis.keys().await.len());
    let paths =
        ["../../../../tmp/x", "/etc/passwd", "....//sessions.db", "sessions.db", "..%2f", "."];
    for path in paths {
        let mut browser = site.browser().await;
        browser.set_cookie(COOKIE, path);
        assert_eq!(browser.get("/user,get:cart").await.expect(200).text(), NOBODY, "{path}");
        assert!(browser.get("/logout").await.expect(200).set_cookies().len() <= 1, "{path}");
    }
    assert_eq!((list(), redis.keys().await.len()), (files, keys));
}

/// tower-sessions 0.12.0 and 0.12.1: a new id that was in use already overwrote that session, first
/// in a save, then in a change of the id.
#[tokio::test]
async fn tower_sessions_0_12_an_id_that_is_in_use_overwrites_nobody() {
    for (path, always) in [
        ("/insert:cart:mine", false),
        ("/login:bob", false),
        ("/renew", false),
        ("/insert:cart:mine", true),
        ("/login:bob", true),
        ("/renew", true),
    ] {
        let clashing = Clashing::default();
        let site = Site::on_store(clashing.clone(), |builder| builder).await;
        let mut browser = site.browser().await;
        if path == "/renew" {
            browser.get("/insert:cart:mine").await.expect(200);
        }
        let clashes = if always { usize::MAX } else { 1 };
        clashing.left.store(clashes, Ordering::SeqCst);
        let reply = browser.get(path).await;
        let met = clashing.met.lock().unwrap().clone();
        assert!(!met.is_empty(), "{path}");
        for (id, occupant) in &met {
            let there = clashing.inner.load(id).await.unwrap();
            assert!(there.as_ref() == Some(occupant), "{path}: its owner's record was changed");
        }
        if always {
            assert!(reply.status.is_server_error(), "{path}: {reply:?}");
            assert!(reply.set_cookies().is_empty(), "{path}: {reply:?}");
            assert!(met.len() <= 10, "{path}: {} tries", met.len());
        } else {
            assert_eq!(reply.status, 200, "{path}: {reply:?}");
            assert_ne!(reply.set_cookies(), [REMOVED], "{path}");
            let id: SessionId = browser.get("/id").await.expect(200).text().parse().unwrap();
            assert!(met.iter().all(|(taken, _)| *taken != id), "{path}");
        }
    }
}

/// A store in which every new id is in use already, as often as a test says.
#[derive(Clone, Default)]
struct Clashing {
    inner: Arc<MemoryStore>,
    left: Arc<AtomicUsize>,
    met: Arc<Mutex<Vec<(SessionId, Record)>>>,
}

impl Clashing {
    async fn occupy(&self, id: &SessionId, record: &Record) {
        let left =
            self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_ok() {
            let occupant = Record::from_bytes(77, record.to_bytes().into()).unwrap();
            let saved = self.inner.save(id, Expected::Absent, &occupant).await.unwrap();
            assert!(matches!(saved, SaveOutcome::Saved), "{saved:?}");
            self.met.lock().unwrap().push((*id, occupant));
        }
    }
}

impl Store for Clashing {
    fn load<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Option<Record>> {
        self.inner.load(id)
    }

    fn save<'a>(
        &'a self,
        id: &'a SessionId,
        expected: Expected,
        record: &'a Record,
    ) -> StoreFuture<'a, SaveOutcome> {
        Box::pin(async move {
            if expected == Expected::Absent {
                self.occupy(id, record).await;
            }
            self.inner.save(id, expected, record).await
        })
    }

    fn begin_renew<'a>(
        &'a self,
        old: &'a SessionId,
        expected: u64,
        new: &'a SessionId,
        record: &'a Record,
    ) -> StoreFuture<'a, SaveOutcome> {
        Box::pin(async move {
            self.occupy(new, record).await;
            self.inner.begin_renew(old, expected, new, record).await
        })
    }

    fn touch<'a>(
        &'a self,
        id: &'a SessionId,
        version: u64,
        activity: Touch,
    ) -> StoreFuture<'a, bool> {
        self.inner.touch(id, version, activity)
    }

    fn delete<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, bool> {
        self.inner.delete(id)
    }

    fn delete_version<'a>(
        &'a self,
        id: &'a SessionId,
        expected: u64,
    ) -> StoreFuture<'a, SaveOutcome> {
        self.inner.delete_version(id, expected)
    }
}

impl UserStore for Clashing {
    fn revocation_epoch<'a>(&'a self, user: &'a str) -> StoreFuture<'a, u64> {
        self.inner.revocation_epoch(user)
    }

    fn login<'a>(&'a self, login: LoginWrite<'a>) -> StoreFuture<'a, SaveOutcome> {
        Box::pin(async move {
            self.occupy(login.new, login.record).await;
            self.inner.login(login).await
        })
    }

    fn sessions_of<'a>(&'a self, user: &'a str) -> StoreFuture<'a, Vec<(SessionId, Record)>> {
        self.inner.sessions_of(user)
    }

    fn revoke_all<'a>(
        &'a self,
        user: &'a str,
        keep: Option<&'a SessionId>,
    ) -> StoreFuture<'a, u64> {
        self.inner.revoke_all(user, keep)
    }
}
