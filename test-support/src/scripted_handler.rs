//! The handler of a [`Site`](super::Site), and the steps that its path can have.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use serde_json::Value;
use tower_redis_session::{
    Error, ErrorKind, SessionContext, SessionExpiry, context::LoginAttempt, csrf::CsrfError,
};

use super::leak_monitor;
use super::site::Inside;

pub type Body = UnsyncBoxBody<Bytes, Infallible>;

pub async fn handle<B>(
    request: Request<B>,
    inside: Arc<Inside>,
) -> Result<Response<Body>, Infallible> {
    let session = request.extensions().get::<SessionContext>().expect("the layer's handle").clone();
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let mut steps = path.split(',').filter(|step| !step.is_empty()).map(str::to_owned);
    let (response, said) = (Response::new(()), Vec::new());
    let mut script = Script { session, inside, response, said, attempt: None };
    while let Some(step) = steps.next() {
        if step == "stream" {
            let head = script.response.headers().clone();
            let status = script.response.status();
            let mut response = Response::new(streamed(script, steps.collect()));
            *response.headers_mut() = head;
            *response.status_mut() = status;
            return Ok(response);
        }
        if let Err(error) = script.step(&step).await {
            let text = format!("{:?}", error.kind());
            return Ok(error.response::<()>().map(|()| full(text)));
        }
    }
    let text = script.said.join(",");
    Ok(script.response.map(|()| full(text)))
}

/// A body that takes the rest of the path, a chunk a step.
fn streamed(script: Script, steps: Vec<String>) -> Body {
    let chunks =
        stream::unfold((script, steps.into_iter()), |(mut script, mut steps)| async move {
            let step = steps.next()?;
            if let Err(error) = script.step(&step).await {
                script.said.push(format!("!{:?}", error.kind()));
            }
            let chunk = Frame::data(Bytes::from(script.said.drain(..).collect::<String>() + ","));
            Some((Ok::<_, Infallible>(chunk), (script, steps)))
        });
    StreamBody::new(chunks).boxed_unsync()
}

fn full(text: String) -> Body {
    http_body_util::Full::from(text).boxed_unsync()
}

/// One request on its way through its path.
struct Script {
    session: SessionContext,
    inside: Arc<Inside>,
    response: Response<()>,
    said: Vec<String>,
    attempt: Option<LoginAttempt>,
}

impl Script {
    async fn step(&mut self, step: &str) -> Result<(), Error> {
        // A tilde: the handler goes on after an error.
        let (step, goes_on) = step.strip_prefix('~').map_or((step, false), |step| (step, true));
        let done = self.act(step).await;
        if let Err(error) = &done {
            leak_monitor::said("an error", &leak_monitor::printed(error));
        }
        match done {
            Err(error) if goes_on => self.say(format!("!{:?}", error.kind())),
            Err(error) => return Err(error),
            Ok(()) => {}
        }
        Ok(())
    }

    fn say(&mut self, what: impl Into<String>) {
        self.said.push(what.into());
    }

    fn show<T: std::fmt::Display>(&mut self, what: Option<T>) {
        self.said.push(what.map_or("-".to_owned(), |what| what.to_string()));
    }

    async fn act(&mut self, step: &str) -> Result<(), Error> {
        let words: Vec<_> = step.splitn(3, ':').collect();
        let session = self.session.clone();
        match words.as_slice() {
            ["get", name] => {
                let value = session.get::<Value>(name).await?;
                self.show(value.map(|value| match value {
                    Value::String(text) => text,
                    other => other.to_string(),
                }));
            }
            ["insert", name, value] => session.insert(name, *value).await?,
            ["fill", name, bytes] => {
                session.insert(name, &"x".repeat(bytes.parse().unwrap())).await?;
            }
            ["remove", name] => {
                let was_there = session.remove(name).await?;
                self.say(was_there.to_string());
            }
            ["update", name] => {
                let count = |count: Option<u64>| count.unwrap_or(0) + 1;
                let now = session.update(name, count).await?;
                self.say(now.to_string());
            }
            ["push", name, value] => {
                let push = |list: Option<Vec<String>>| {
                    let mut list = list.unwrap_or_default();
                    list.push((*value).to_owned());
                    list
                };
                let list = session.update(name, push).await?;
                self.say(list.join("+"));
            }
            ["keys"] => {
                let keys = session.keys().await?.join("+");
                self.say(keys);
            }
            ["clear"] => session.clear().await?,
            ["save"] => session.save().await?,
            ["impersonate", user] => session.impersonate(user).await?,
            ["login", user] => session.login(user).await?,
            ["login", user, platform] => {
                session.login(user).await?;
                session.set_platform(platform).await?;
            }
            ["begin_login", user] => self.attempt = Some(session.begin_login(user).await?),
            ["finish_login"] => {
                let attempt = self.attempt.take().expect("begun before");
                session.finish_login(attempt).await?;
            }
            ["logout"] => session.logout().await?,
            ["logout_everywhere"] => session.logout_everywhere().await?,
            ["destroy"] => session.destroy().await?,
            ["renew"] => session.renew().await?,
            ["csrf"] => {
                let token = session.csrf_token().await?;
                self.say(token.as_str());
            }
            ["verify_csrf", token] => match session.verify_csrf(token).await {
                Ok(()) => self.say("right"),
                Err(CsrfError::Session(error)) => return Err(error),
                Err(error) => self.say(format!("!{:?}", error.kind().unwrap())),
            },
            ["validate"] => session.validate().await?,
            ["mark_passive"] => session.mark_passive(),
            ["touch"] => {
                let touched = session.touch().await?;
                self.say(touched.to_string());
            }
            ["id"] => {
                let id = session.id().await?;
                self.show(id);
            }
            ["user"] => {
                let user = session.user_id().await?;
                self.show(user);
            }
            ["platform"] => {
                let platform = session.platform_id().await?;
                self.show(platform);
            }
            ["set_platform", platform] => session.set_platform(platform).await?,
            ["clear_platform"] => {
                let was_there = session.clear_platform().await?;
                self.say(was_there.to_string());
            }
            ["expires"] => {
                let end = session.expires_at().await?;
                self.show(end);
            }
            ["created"] => {
                let created = session.created_at().await?;
                self.show(created);
            }
            ["expiry", idle, absolute] => {
                let seconds = |text: &str| Duration::from_secs(text.parse().unwrap());
                let expiry = SessionExpiry::new(seconds(idle)).absolute(seconds(absolute));
                session.set_expiry(expiry).await?;
            }
            ["sessions"] => {
                // By label: two may have begun in the same millisecond.
                let mut sessions = session.sessions().await?;
                sessions.sort_by(|one, other| one.label.cmp(&other.label));
                for info in sessions {
                    let mark = if info.current { "*" } else { "" };
                    let label = info.label.as_deref().unwrap_or("-");
                    self.say(format!("{mark}{label}"));
                }
            }
            ["session_ids"] => {
                for info in session.sessions().await? {
                    self.say(info.id.to_string());
                }
            }
            ["devices"] => {
                for info in session.sessions().await? {
                    let (address, agent) = (info.address, info.user_agent);
                    self.say(format!(
                        "{} {}",
                        address.unwrap_or("-".into()),
                        agent.unwrap_or("-".into())
                    ));
                }
            }
            ["label", "none"] => session.set_label(None).await?,
            ["label", label] => session.set_label(Some(label)).await?,
            ["revoke", id] => {
                let revoked = session.revoke(&id.parse()?).await?;
                self.say(revoked.to_string());
            }
            ["revoke_others"] => {
                let count = session.revoke_others().await?;
                self.say(count.to_string());
            }
            ["fresh", seconds] => {
                let within = Duration::from_secs(seconds.parse().unwrap());
                let fresh = session.is_fresh(within).await?;
                self.say(fresh.to_string());
            }
            ["authenticated"] => {
                let since = session.authenticated_at().await?;
                self.show(since);
            }
            ["deep", name, depth] => {
                let depth: usize = depth.parse().unwrap();
                let json = "[".repeat(depth) + &"]".repeat(depth);
                let value: Value = serde_json::from_str(&json).unwrap();
                session.insert(name, &value).await?;
            }
            ["many", count] => {
                for number in 0..count.parse::<u32>().unwrap() {
                    session.insert(&format!("value{number}"), &number).await?;
                }
            }
            ["remember", seconds] => {
                let time = Duration::from_secs(seconds.parse().unwrap());
                session.set_expiry(SessionExpiry::new(time).absolute(time).remembered()).await?;
            }
            ["say", what] => self.say(*what),
            ["gate", name] => self.inside.gates.pass(name).await,
            ["keep"] => self.inside.kept.lock().unwrap().push(session),
            ["fail"] => return Err(Error::new(ErrorKind::Invalid, "as the path says")),
            ["panic"] => panic!("as the path says"),
            ["status", code] => {
                *self.response.status_mut() = StatusCode::from_bytes(code.as_bytes()).unwrap();
            }
            ["header", name, value] => {
                let name: http::HeaderName = name.parse().unwrap();
                let value = HeaderValue::try_from(
                    value.replace("%20", " ").replace("%2C", ",").replace("%22", "\""),
                )
                .unwrap();
                self.response.headers_mut().append(name, value);
            }
            other => panic!("no such step: {other:?}"),
        }
        Ok(())
    }
}
