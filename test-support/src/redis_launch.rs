//! How the process of a [`RedisServer`] is started.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::child::Child;
use super::free_port::{free_port, free_port_with_bus};
use super::redis_rights::users;
use super::redis_server::{Data, RedisServer};

/// What a process is. Two kinds keep a file from one start to the next.
#[derive(Debug, Default)]
pub(super) enum Kind {
    #[default]
    Server,
    /// Of a cluster, with its view of the others in this folder.
    Node(TempDir),
    /// Watches servers, with its settings in this folder.
    Sentinel(TempDir),
}

impl Kind {
    pub(super) fn node() -> Self {
        // It writes and flushes its view of the others at each change.
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { folder_in(memory) } else { folder() };
        Self::Node(folder)
    }

    pub(super) fn sentinel() -> Self {
        Self::Sentinel(folder())
    }

    pub(super) fn free_port(&self) -> u16 {
        match self {
            Self::Node(_) => free_port_with_bus(),
            Self::Server | Self::Sentinel(_) => free_port(),
        }
    }
}

fn folder() -> TempDir {
    folder_in(&std::env::temp_dir())
}

fn folder_in(parent: &Path) -> TempDir {
    tempfile::Builder::new().prefix("redis-of-a-test-").tempdir_in(parent).unwrap()
}

impl RedisServer {
    /// Starts the process and waits until it answers; the error is the server's log.
    pub(super) async fn launch(&self, data: &Data) -> Result<(), String> {
        // Removed as soon as the server answers: it writes no file there, and an aborted test
        // could not remove it later.
        let for_now = folder();
        let folder = match &self.kind {
            Kind::Server => for_now.path(),
            Kind::Node(folder) | Kind::Sentinel(folder) => folder.path(),
        };
        let log = folder.join("log");
        let output = fs::File::create(&log).unwrap();
        let mut command = match &self.kind {
            Kind::Sentinel(_) => self.sentinel_command(folder),
            Kind::Server | Kind::Node(_) => self.server_command(folder, data),
        };
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        let mut child = Child::spawn(command).expect("starting redis-server");
        for _ in 0..1_000 {
            if child.exited().is_some() {
                return Err(fs::read_to_string(&log).unwrap_or_default());
            }
            if self.answers(child.pid(), data).await {
                *self.child.lock().unwrap() = Some(child);
                return Ok(());
            }
            sleep(Duration::from_millis(5)).await;
        }
        Err(fs::read_to_string(&log).unwrap_or_default())
    }

    fn server_command(&self, folder: &Path, data: &Data) -> Command {
        let mut command = Child::command(&self.program.path);
        command
            .args(["--port", &self.port().to_string()])
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(folder);
        if self.program.major >= 7 {
            command.args(["--enable-debug-command", "yes", "--enable-protected-configs", "yes"]);
        }
        if let Data::Snapshot(snapshot) | Data::Slow(snapshot) = data {
            fs::write(folder.join("dump.rdb"), &snapshot.0).unwrap();
        }
        if let Data::Slow(_) = data {
            command.args(self.program.slow_loading().settings);
        }
        let in_cluster = self.args.iter().any(|arg| arg == "--cluster-enabled");
        command.args(users(in_cluster)).args(&self.args);
        command
    }

    /// A sentinel has its settings in a file that it writes itself later.
    fn sentinel_command(&self, folder: &Path) -> Command {
        let file: PathBuf = folder.join(format!("{}.conf", self.port()));
        if !file.exists() {
            let mut text =
                format!("port {}\nbind 127.0.0.1\ndir {}", self.port(), folder.display());
            for arg in &self.args {
                match arg.strip_prefix("--") {
                    Some(name) => text.extend(["\n", name]),
                    None if arg.is_empty() => text.push_str(" \"\""),
                    None => text.extend([" ", arg]),
                }
            }
            fs::write(&file, text + "\n").unwrap();
        }
        let mut command = Child::command(&self.program.path);
        command.arg(file).arg("--sentinel");
        command
    }

    /// Whether the process `pid` itself answers on our port, and not another that was faster.
    async fn answers(&self, pid: u32, data: &Data) -> bool {
        let asked = async {
            let mut stream = TcpStream::connect(self.addr()).await.ok()?;
            if let Some(password) = self.password() {
                stream.write_all(format!("AUTH {password}\r\n").as_bytes()).await.ok()?;
            }
            stream.write_all(b"PING\r\nINFO server\r\n").await.ok()?;
            match &self.kind {
                // Knows no such command.
                Kind::Sentinel(_) => stream.shutdown().await.ok()?,
                Kind::Server | Kind::Node(_) => stream.write_all(b"QUIT\r\n").await.ok()?,
            }
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.ok()?;
            Some(String::from_utf8_lossy(&answer).into_owned())
        };
        let expected = match data {
            Data::Slow(_) => "-LOADING",
            _ => "+PONG",
        };
        match timeout(Duration::from_secs(2), asked).await {
            Ok(Some(answer)) => {
                answer.contains(expected) && answer.contains(&format!("process_id:{pid}\r\n"))
            }
            _ => false,
        }
    }
}
