//! A first request with the cookie of another library, and what came back.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use http::{Request, Response, header};
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;
use tower_redis_session::{
    CookieConfig, Error, RedisSessionLayer, SessionContext,
    import::{Format, Importer, ImporterBuilder, OldSession, OldSessions, StoredSession},
    store::StoreFuture,
};

use super::{faulty_store::session_of, site::COOKIE as NEW};

/// An id of Flask-Session.
pub const OLD: &str = "5Ae2cDN-_EczRcsuPX29Kc8d1-q1uud88Miqq14r-Jk";
/// What is stored under it.
pub const ALICE: &str = r#"{"user_id": "alice", "visits": 3}"#;
/// The take-over key.
pub const KEY: [u8; 32] = [7; 32];

/// The old store, in memory.
#[derive(Clone, Debug, Default)]
pub struct Shelf(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    sessions: Mutex<HashMap<String, String>>,
    reads: Mutex<u32>,
    /// Reads fail.
    fails: AtomicBool,
    /// Deletions fail.
    keeps: AtomicBool,
}

impl Shelf {
    /// With alice's session.
    pub fn new() -> Self {
        let shelf = Self::default();
        shelf.put(OLD, ALICE);
        shelf
    }

    /// As an old instance writes it.
    pub fn put(&self, id: &str, value: &str) {
        let key = format!("old:{id}");
        let _ = self.0.sessions.lock().unwrap().insert(key, value.to_owned());
    }

    /// No old session is left.
    pub fn is_empty(&self) -> bool {
        self.0.sessions.lock().unwrap().is_empty()
    }

    /// How often an old session was read.
    pub fn reads(&self) -> u32 {
        *self.0.reads.lock().unwrap()
    }

    /// From now on every read fails, or none.
    pub fn fails(&self, fails: bool) {
        self.0.fails.store(fails, Ordering::SeqCst);
    }

    /// From now on every deletion fails, or none.
    pub fn keeps(&self, keeps: bool) {
        self.0.keeps.store(keeps, Ordering::SeqCst);
    }
}

impl OldSessions for Shelf {
    fn load<'a>(&'a self, old: &'a OldSession) -> StoreFuture<'a, Option<StoredSession>> {
        Box::pin(async move {
            *self.0.reads.lock().unwrap() += 1;
            if self.0.fails.load(Ordering::SeqCst) {
                return Err(Error::unavailable("as the test says"));
            }
            let found = self.0.sessions.lock().unwrap().get(old.key()).cloned();
            Ok(found.map(StoredSession::new))
        })
    }

    fn delete<'a>(&'a self, old: &'a OldSession) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            if self.0.keeps.load(Ordering::SeqCst) {
                return Err(Error::unavailable("as the test says"));
            }
            let _ = self.0.sessions.lock().unwrap().remove(old.key());
            Ok(())
        })
    }
}

/// Of Flask-Session with a plain cookie and JSON.
pub fn importer() -> Importer {
    importer_builder().build().unwrap()
}

/// The same, before it is built.
pub fn importer_builder() -> ImporterBuilder {
    let cookie = CookieConfig::new("session").domain("example.org").path("/app");
    let builder = Importer::builder(Format::FlaskSession).cookie(cookie).key_prefix("old:");
    builder.user_at(["user_id"])
}

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub text: String,
    /// The pair that sets our cookie.
    pub new: Option<String>,
    pub removes_new: bool,
    pub removes_old: bool,
}

impl Answer {
    /// No session, and the old cookie is removed.
    pub fn is_rejected(&self) -> bool {
        self.text == "-" && self.new.is_none() && self.removes_old
    }

    /// Served as alice, with a new cookie in the place of the old one.
    #[track_caller]
    pub fn taken_over(self) -> String {
        assert!(self.text == "alice" && self.removes_old, "{self:?}");
        self.new.unwrap_or_else(|| panic!("no cookie: {:?}", self.text))
    }

    /// 503, and no cookie changes.
    pub fn is_failure(&self) -> bool {
        self.status == 503 && self.new.is_none() && !self.removes_old && !self.removes_new
    }
}

pub async fn ask<F, Fut>(layer: &RedisSessionLayer, cookie: &str, work: F) -> Answer
where
    F: Fn(SessionContext) -> Fut + Clone,
    Fut: Future<Output = Result<String, Error>>,
{
    let handler = service_fn(move |request: Request<()>| {
        let asked = work(session_of(&request));
        async move {
            let response = match asked.await {
                Ok(text) => Response::new(text),
                Err(error) => error.response(),
            };
            Ok::<_, Infallible>(response)
        }
    });
    let request = Request::builder().header(header::COOKIE, cookie).body(()).unwrap();
    let response = layer.layer(handler).oneshot(request).await.unwrap();
    let lines = response.headers().get_all(header::SET_COOKIE).iter();
    let lines: Vec<_> = lines.map(|line| line.to_str().unwrap().to_owned()).collect();
    let is_removal = |line: &&String| line.contains("Max-Age=0");
    let ours: Vec<_> = lines.iter().filter(|line| line.starts_with(NEW)).collect();
    let old: Vec<_> = lines.iter().filter(|line| line.starts_with("session=;")).collect();
    assert!(ours.len() <= 1 && old.len() <= 1 && ours.len() + old.len() == lines.len());
    for removal in &old {
        for part in ["Max-Age=0", "Domain=example.org", "Path=/app"] {
            assert!(removal.contains(part), "{removal}");
        }
    }
    let set = ours.iter().find(|line| !is_removal(line));
    let status = response.status().as_u16();
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap();
    Answer {
        status,
        text: String::from_utf8(body.to_bytes().to_vec()).unwrap(),
        new: set.map(|line| line.split(';').next().unwrap().to_owned()),
        removes_new: ours.iter().any(is_removal),
        removes_old: !old.is_empty(),
    }
}

pub async fn user(s: SessionContext) -> Result<String, Error> {
    Ok(s.user_id().await?.unwrap_or("-".into()))
}

pub async fn logout(s: SessionContext) -> Result<String, Error> {
    s.logout().await.map(|()| "bye".into())
}

pub fn old() -> String {
    format!("session={OLD}")
}
