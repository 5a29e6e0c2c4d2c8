//! The Redis of the guided demonstration: a `redis-server` of the application's own that can be
//! killed, hung and restarted.

use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    sync::Mutex,
    time::{sleep, timeout},
};

const START_PATIENCE: Duration = Duration::from_secs(5);

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

    pub(crate) async fn state(&self) -> &'static str {
        self.redis.lock().await.state()
    }

    /// SIGKILL: no time to say good-bye.
    pub(crate) async fn kill(&self) -> io::Result<()> {
        let mut redis = self.redis.lock().await;
        if let Redis::Running(child) | Redis::Hung(child) = &mut *redis {
            child.kill().await?;
        }
        *redis = Redis::Stopped;
        Ok(())
    }

    /// SIGSTOP: connections stay open, and nothing is answered.
    pub(crate) async fn hang(&self) -> io::Result<()> {
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
    pub(crate) async fn resume(&self) -> io::Result<()> {
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
    pub(crate) async fn restart(&self) -> io::Result<()> {
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
