//! The guided demonstration: a Redis of the server's own that can be killed, hung and restarted from a
//! page, and what the session store makes of it.

use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{StatusCode, request::Parts};
use minijinja::{context, value::Serde};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    sync::Mutex,
    time::{sleep, timeout},
};

use crate::{
    app::App,
    failure::Failure,
    pages::visitor::{Visitor, notice, session},
    web::reply::{self, Answer},
};

const START_PATIENCE: Duration = Duration::from_secs(5);
const INTERVAL: Duration = Duration::from_millis(500);

/// A Redis that this server has started, and ends.
#[derive(Debug)]
pub(crate) struct Outage {
    folder: TempDir,
    redis: Mutex<Redis>,
}

#[derive(Debug)]
enum Redis {
    Running(Child),
    Hung(Child),
    Stopped,
}

impl Redis {
    fn state(&self) -> &'static str {
        match self {
            Self::Running(_) => "running",
            Self::Hung(_) => "hung",
            Self::Stopped => "stopped",
        }
    }
}

impl Outage {
    /// Starts a `redis-server` that listens on a socket in a folder of its own and keeps nothing.
    pub(crate) async fn start() -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let redis = launch(folder.path()).await?;
        Ok(Self { folder, redis: Mutex::new(Redis::Running(redis)) })
    }

    pub(crate) fn url(&self) -> String {
        format!("unix://{}", socket(self.folder.path()).display())
    }

    pub(crate) async fn shutdown(&self) {
        let _ = self.kill().await;
    }

    async fn state(&self) -> &'static str {
        self.redis.lock().await.state()
    }

    /// SIGKILL: no time to say good-bye.
    async fn kill(&self) -> io::Result<()> {
        let mut redis = self.redis.lock().await;
        if let Redis::Running(child) | Redis::Hung(child) = &mut *redis {
            child.kill().await?;
        }
        *redis = Redis::Stopped;
        Ok(())
    }

    /// SIGSTOP: connections stay open, and nothing is answered.
    async fn hang(&self) -> io::Result<()> {
        let mut redis = self.redis.lock().await;
        *redis = match std::mem::replace(&mut *redis, Redis::Stopped) {
            Redis::Running(child) => {
                signal(&child, Signal::STOP)?;
                Redis::Hung(child)
            }
            other => other,
        };
        Ok(())
    }

    /// SIGCONT.
    async fn resume(&self) -> io::Result<()> {
        let mut redis = self.redis.lock().await;
        *redis = match std::mem::replace(&mut *redis, Redis::Stopped) {
            Redis::Hung(child) => {
                signal(&child, Signal::CONT)?;
                Redis::Running(child)
            }
            other => other,
        };
        Ok(())
    }

    /// A new process, with nothing in it.
    async fn restart(&self) -> io::Result<()> {
        self.kill().await?;
        let mut redis = self.redis.lock().await;
        *redis = Redis::Running(launch(self.folder.path()).await?);
        Ok(())
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("redis.sock")
}

async fn launch(folder: &Path) -> io::Result<Child> {
    let socket = socket(folder);
    let _ = std::fs::remove_file(&socket);
    let child = Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
        .arg(&socket)
        .arg("--dir")
        .arg(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let listens = async {
        while tokio::net::UnixStream::connect(&socket).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(START_PATIENCE, listens).await?;
    Ok(child)
}

fn signal(child: &Child, signal: Signal) -> io::Result<()> {
    let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let pid = pid.ok_or_else(|| io::Error::other("the process has ended"))?;
    Ok(kill_process(pid, signal)?)
}

/// `GET /outage`
pub(crate) async fn page(app: &App, parts: &Parts) -> Result<Answer, Failure> {
    let outage = found(app)?;
    let visitor = Visitor::of(app, parts).await?;
    let shown = shown(app, outage).await;
    let values = context! { title => "Outage", shown => Serde(&shown) };
    Ok(reply::html(StatusCode::OK, app.pages.render("outage.html", &visitor, values)?))
}

/// `POST /outage/{deed}`
pub(crate) async fn act(app: &App, parts: &Parts, deed: &str) -> Result<Answer, Failure> {
    let outage = found(app)?;
    let (done, text) = match deed {
        "kill" => (outage.kill().await, "Redis was killed."),
        "hang" => (outage.hang().await, "Redis hangs: it listens, and answers nothing."),
        "resume" => (outage.resume().await, "Redis goes on where it stood."),
        "restart" => (outage.restart().await, "A new Redis was started, with nothing in it."),
        _ => return Err(Failure::NotFound("There is no page at this address.")),
    };
    done.map_err(|error| {
        tracing::error!(%error, deed, "the demonstration failed");
        Failure::Internal
    })?;
    // With Redis just gone this very write shows that the session does not need it.
    notice(parts, text).await?;
    Ok(reply::see_other("/outage"))
}

/// `GET /outage/events`
pub(crate) fn events(app: &Arc<App>, parts: &Parts) -> Result<Answer, Failure> {
    let _ = found(app)?;
    let session = session(parts)?;
    // To listen is no activity.
    session.only_looks();
    let place = app.streams.clone().try_acquire_owned().map_err(|_| Failure::Busy)?;
    let (ending, app) = (app.ending.clone().cancelled_owned(), app.clone());
    let state = (app, session, place, 0_u32);
    let events = stream::unfold(state, |(app, session, place, count)| async move {
        if count > 0 {
            sleep(INTERVAL).await;
        }
        if count % 4 == 3 && session.validate().await.is_err_and(|e| e.status() != 503) {
            return None;
        }
        let outage = app.outage.as_ref()?;
        let event = Bytes::from(format!("event: status\ndata: {}\n\n", shown(&app, outage).await));
        Some((event, (app, session, place, count + 1)))
    });
    Ok(reply::events(events.take(600).take_until(ending)))
}

/// The process and what the session store thinks of it.
async fn shown(app: &App, outage: &Outage) -> Value {
    let report = serde_json::from_str(&app.sessions.report().to_json()).unwrap_or(Value::Null);
    json!({ "process": outage.state().await, "report": report })
}

fn found(app: &App) -> Result<&Outage, Failure> {
    let without = Failure::NotFound("The server was started without --demo-outage.");
    app.outage.as_ref().ok_or(without)
}
