//! A first request with the cookie of another library, and what came back.

use std::{convert::Infallible, future::Future};

use http::{Request, Response, header};
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;
use tower_redis_session::{
    CookieConfig, Error, RedisSessionLayer, SessionContext,
    import::{Format, Importer},
};

use super::{faulty_store::session_of, site::COOKIE as NEW};

/// An id of Flask-Session.
pub const OLD: &str = "5Ae2cDN-_EczRcsuPX29Kc8d1-q1uud88Miqq14r-Jk";
/// What is stored under it.
pub const ALICE: &str = r#"{"user_id": "alice", "visits": 3}"#;
/// The take-over key.
pub const KEY: [u8; 32] = [7; 32];

/// Of Flask-Session with a plain cookie and JSON.
pub fn importer() -> Importer {
    let cookie = CookieConfig::new("session").domain("example.org").path("/app");
    let builder = Importer::builder(Format::FlaskSession).cookie(cookie).key_prefix("old:");
    builder.user_at(["user_id"]).build().unwrap()
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
        removes_new: ours.iter().any(|line| is_removal(line)),
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
