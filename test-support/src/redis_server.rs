//! A real `redis-server` process for one test.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::child::Child;
use super::leak_monitor;
use super::monitor::Monitor;
use super::redis_faults::Snapshot;
use super::redis_launch::Kind;
use super::redis_program::Program;
use super::redis_rights::PASSWORD;

/// The guard of a Redis server: empty, on loopback, without persistence, gone when dropped.
#[derive(Debug)]
pub struct RedisServer {
    pub(super) program: Program,
    pub(super) kind: Kind,
    pub(super) child: Mutex<Option<Child>>,
    port: AtomicU16,
    password: Option<String>,
    pub(super) args: Vec<String>,
    pub(super) ours: Ours,
    pub(super) tampered: Mutex<bool>,
}

/// The addresses of the connections that the test itself opened.
pub type Ours = Arc<Mutex<BTreeSet<String>>>;

/// What a server finds when it starts.
#[derive(Debug, Default)]
pub(super) enum Data {
    #[default]
    Empty,
    Snapshot(Snapshot),
    /// So slow that it is loading when it answers for the first time.
    Slow(Snapshot),
}

/// What a server is started with.
#[derive(Debug, Default)]
#[must_use]
pub struct Builder {
    version: Option<String>,
    kind: Kind,
    data: Data,
    port: Option<u16>,
    password: Option<String>,
    args: Vec<String>,
}

impl Builder {
    pub(super) fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    pub(super) fn data(mut self, data: Data) -> Self {
        self.data = data;
        self
    }

    /// One setting, as on the command line: `.arg("--maxmemory", "1mb")`. A value of several words
    /// is split at its spaces.
    pub fn arg(mut self, name: &str, value: &str) -> Self {
        self.args.push(name.to_owned());
        match value {
            "" => self.args.push(String::new()),
            words => self.args.extend(words.split(' ').map(str::to_owned)),
        }
        self
    }

    /// Several words of the command line.
    pub(super) fn args(mut self, args: Vec<String>) -> Self {
        self.args.extend(args);
        self
    }

    /// One of those that `scripts/servers.sh` fetches, such as `redis-6.2`, and not the system's.
    pub fn version(mut self, name: &str) -> Self {
        self.version = Some(name.to_owned());
        self
    }

    pub fn requirepass(mut self, password: &str) -> Self {
        leak_monitor::secret(password);
        self.password = Some(password.to_owned());
        self.arg("--requirepass", password)
    }

    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    pub fn replica_of(self, primary: &RedisServer) -> Self {
        self.arg("--replicaof", &format!("127.0.0.1 {}", primary.port()))
    }

    /// Writes every command into the slow log, for [`RedisServer::find_everywhere`].
    pub fn log_every_command(self) -> Self {
        self.arg("--slowlog-log-slower-than", "0").arg("--slowlog-max-len", "100000")
    }

    pub async fn start(self) -> RedisServer {
        leak_monitor::start();
        leak_monitor::secret(PASSWORD);
        let program = match &self.version {
            Some(name) => Program::fetched(name),
            None => Program::of_the_system(),
        };
        let server = RedisServer {
            program,
            kind: self.kind,
            child: Mutex::new(None),
            port: AtomicU16::new(0),
            password: self.password,
            args: self.args,
            ours: Ours::default(),
            tampered: Mutex::default(),
        };
        // Another process may take a free port between our look and the server's bind.
        for _ in 0..20 {
            server.take_port(self.port.unwrap_or_else(|| server.kind.free_port()));
            match server.launch(&self.data).await {
                Ok(()) => return server,
                Err(log) => assert!(
                    self.port.is_none() && log.contains("in use"),
                    "redis-server does not start:\n{log}"
                ),
            }
        }
        panic!("no free port for redis-server in 20 tries");
    }
}

impl RedisServer {
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// See [`Builder::version`].
    pub async fn start_version(name: &str) -> Self {
        Self::builder().version(name).start().await
    }

    pub fn builder() -> Builder {
        Builder::default()
    }

    pub fn port(&self) -> u16 {
        self.port.load(Ordering::SeqCst)
    }

    fn take_port(&self, port: u16) {
        self.port.store(port, Ordering::SeqCst);
    }

    pub fn addr(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.port()).into()
    }

    /// Of the default user, if the test set one.
    pub(super) fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    pub fn pid(&self) -> u32 {
        self.child.lock().unwrap().as_ref().expect("redis-server was killed").pid()
    }

    /// Kills the server at once; its data is gone.
    pub fn kill(&self) {
        if self.child.lock().unwrap().is_some() {
            self.check_at_teardown();
        }
        *self.child.lock().unwrap() = None;
    }

    /// Stops the process: connections stay open, and nothing answers.
    pub fn hang(&self) {
        self.child.lock().unwrap().as_ref().expect("redis-server was killed").stop();
    }

    /// Ends what [`RedisServer::hang`] began.
    pub fn resume(&self) {
        self.child.lock().unwrap().as_ref().expect("redis-server was killed").go_on();
    }

    /// Starts the server on the same port, empty, killing the one that runs there.
    pub async fn restart(&self) {
        self.restart_with(&Data::Empty).await;
    }

    /// As [`RedisServer::restart`], on another port.
    pub async fn restart_elsewhere(&self) {
        self.kill();
        self.take_port(self.kind.free_port());
        self.restart().await;
    }

    pub(super) async fn restart_with(&self, data: &Data) {
        self.kill();
        if let Err(log) = self.launch(data).await {
            panic!("redis-server does not start again on port {}:\n{log}", self.port());
        }
    }

    /// A connection for the test's own commands, which [`Monitor`] leaves out.
    pub async fn connection(&self) -> MultiplexedConnection {
        let patient = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(10)))
            .set_response_timeout(Some(Duration::from_secs(10)));
        let mut connection = redis::Client::open(self.admin_url())
            .unwrap()
            .get_multiplexed_async_connection_with_config(&patient)
            .await
            .expect("the test's own connection to redis-server");
        let info: String =
            redis::cmd("CLIENT").arg("INFO").query_async(&mut connection).await.unwrap();
        let address = info.split(' ').find_map(|field| field.strip_prefix("addr=")).unwrap();
        self.ours.lock().unwrap().insert(address.to_owned());
        connection
    }

    /// Captures the commands that the server receives from now on.
    pub async fn monitor(&self) -> Monitor<'_> {
        let mut stream = TcpStream::connect(self.addr()).await.unwrap();
        self.ours.lock().unwrap().insert(stream.local_addr().unwrap().to_string());
        if let Some(password) = &self.password {
            stream.write_all(format!("AUTH {password}\r\n").as_bytes()).await.unwrap();
            let mut ok = [0; 5];
            stream.read_exact(&mut ok).await.unwrap();
        }
        Monitor::start(self, stream).await
    }

    pub fn ours(&self) -> BTreeSet<String> {
        self.ours.lock().unwrap().clone()
    }
}
