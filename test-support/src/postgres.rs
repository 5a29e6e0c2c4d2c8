//! A real PostgreSQL server: one for all tests of a test binary, or one of a test's own.

mod database;
mod pgbouncer;
mod programs;
mod reaper;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::sleep;

pub use self::database::Database;
pub use self::pgbouncer::PgBouncer;
use self::programs::{owner, program};
use self::reaper::Reaper;
use super::authority::{Authority, Identity};
use super::child::{Child, User, command_of};
use super::free_port::free_port;

/// The guard of a server: on loopback, its data in a folder of its own. Server and folder are gone
/// when it is dropped, and when the test process ends, however that comes.
#[derive(Debug)]
pub struct PostgresServer {
    // Before the child: it has to see whose children there are.
    reaper: Mutex<Reaper>,
    child: Mutex<Option<Child>>,
    folder: PathBuf,
    port: u16,
    password: Option<String>,
    settings: Vec<(String, String)>,
}

/// What a server is started with.
#[derive(Debug, Default)]
#[must_use]
pub struct PostgresBuilder {
    password: Option<String>,
    settings: Vec<(String, String)>,
    /// Settings whose value is a file with this text.
    files: Vec<(&'static str, String)>,
}

impl PostgresBuilder {
    /// Without one, every client on loopback is believed. The exchange is SCRAM.
    pub fn password(mut self, password: &str) -> Self {
        super::leak_monitor::secret(password);
        self.password = Some(password.to_owned());
        self
    }

    /// A setting of `postgresql.conf`; it wins over those that every server here has.
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Speaks TLS, also plain text. Over TLS a client needs a certificate of `clients`.
    pub fn tls(mut self, identity: &Identity, clients: &Authority) -> Self {
        let rules = "local all all trust\n\
            hostnossl all all 127.0.0.1/32 trust\n\
            hostssl all all 127.0.0.1/32 trust clientcert=verify-ca\n";
        self.files.extend([
            ("ssl_cert_file", identity.certificate.clone()),
            ("ssl_key_file", identity.key.clone()),
            ("ssl_ca_file", clients.pem()),
            ("hba_file", rules.to_owned()),
        ]);
        self.setting("ssl", "on")
    }

    /// Asks the disk as a server in production does; off otherwise, since a test's server never
    /// outlives its kernel. A restart after a crash then takes seconds on a busy disk.
    pub fn fsync(self) -> Self {
        self.setting("fsync", "on").setting("full_page_writes", "on")
    }

    pub async fn start(mut self) -> PostgresServer {
        let owner = owner();
        let folder = tempfile::Builder::new().prefix("postgres-of-a-test-").tempdir().unwrap();
        let folder = folder.keep();
        if let Some(User { user, group }) = owner {
            chown(&folder, Some(user), Some(group)).unwrap();
        }
        for (name, text) in &self.files {
            let file = folder.join(name);
            self.settings.push(((*name).to_owned(), file.display().to_string()));
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
            if let Some(User { user, group }) = owner {
                chown(&file, Some(user), Some(group)).unwrap();
            }
        }
        let mut server = PostgresServer {
            reaper: Mutex::new(Reaper::start(&folder, owner)),
            child: Mutex::new(None),
            folder,
            port: 0,
            password: self.password,
            settings: self.settings,
        };
        server.initialise();
        // Another process may take a free port between our look and the server's bind.
        for _ in 0..20 {
            server.port = free_port();
            match server.launch().await {
                Ok(()) => return server,
                Err(log) => assert!(log.contains("in use"), "postgres does not start:\n{log}"),
            }
        }
        panic!("no free port for postgres in 20 tries");
    }
}

impl PostgresServer {
    /// The server that all tests of this binary share: for those that do it no harm.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<PostgresServer> = OnceCell::const_new();
        SHARED.get_or_init(Self::own).await
    }

    /// A server for a test that kills, stops or restarts it.
    pub async fn own() -> Self {
        Self::builder().start().await
    }

    pub fn builder() -> PostgresBuilder {
        PostgresBuilder::default()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn addr(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// Holds the server's Unix socket, its data and its log.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The postmaster's; each connection has a process of its own below it.
    pub fn pid(&self) -> u32 {
        self.child.lock().unwrap().as_ref().expect("postgres was killed").pid()
    }

    /// What the server logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// A fresh database.
    pub async fn database(&self) -> Database {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.maintenance().sql(&format!("CREATE DATABASE {name}")).await;
        Database { name, ..self.maintenance() }
    }

    /// The database that every server has.
    pub fn maintenance(&self) -> Database {
        Database { name: "postgres".to_owned(), port: self.port, password: self.password.clone() }
    }

    /// Crashes the server: all its processes at once, connections reset, commits kept.
    pub fn kill(&self) {
        self.reaper.lock().unwrap().order("kill");
        *self.child.lock().unwrap() = None;
    }

    /// Stops every process of the server: connections stay open, new ones are taken by the kernel,
    /// and nothing answers.
    pub fn hang(&self) {
        self.reaper.lock().unwrap().order("stop");
    }

    /// Ends what [`PostgresServer::hang`] began.
    pub fn resume(&self) {
        self.reaper.lock().unwrap().order("go");
    }

    /// Starts the server again on the same port and data, killing the one that runs there.
    pub async fn restart(&self) {
        self.kill();
        // A connection of somebody else's may have the port for a moment.
        for _ in 0..20 {
            match self.launch().await {
                Ok(()) => return,
                Err(log) => {
                    assert!(log.contains("in use"), "postgres does not start again:\n{log}")
                }
            }
            sleep(Duration::from_millis(250)).await;
        }
        panic!("postgres does not get its port {} again", self.port);
    }

    fn initialise(&self) {
        let mut command = command_of(&program("initdb"), owner());
        command.args([
            "--no-sync",
            "--username",
            "postgres",
            "--encoding",
            "UTF8",
            "--locale",
            "C",
        ]);
        command.arg("--pgdata").arg(self.folder.join("data"));
        match &self.password {
            Some(password) => {
                let file = self.folder.join("password");
                fs::write(&file, password).unwrap();
                command.args(["--auth", "scram-sha-256", "--pwfile"]).arg(file);
            }
            None => {
                command.args(["--auth", "trust"]);
            }
        }
        // The user may have no right to ours.
        command.current_dir("/");
        let output = command.stdin(Stdio::null()).output().expect("starting initdb");
        let text = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "initdb fails:\n{}", String::from_utf8_lossy(&text));
    }

    /// Starts the processes and waits until they answer; the error is the server's log.
    async fn launch(&self) -> Result<(), String> {
        let data = self.folder.join("data");
        let output = fs::File::create(self.folder.join("log")).unwrap();
        // Not with a death signal: it would hit the postmaster alone, and children that stand still
        // would be nobody's.
        let mut command = command_of(&program("postgres"), owner());
        command.arg("-D").arg(&data).args(["-p", &self.port.to_string()]);
        let folder = format!("unix_socket_directories={}", self.folder.display());
        command.args(["-c", "listen_addresses=127.0.0.1", "-c", &folder]);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        for (name, value) in &self.settings {
            command.args(["-c", &format!("{name}={value}")]);
        }
        command.current_dir("/").stdin(Stdio::null());
        command.stdout(output.try_clone().unwrap()).stderr(output);
        let mut child = Child::spawn(command).expect("starting postgres");
        for _ in 0..4_000 {
            if child.exited().is_some() {
                return Err(self.log());
            }
            // Our postmaster's own word, where a connection could meet another's server.
            let status = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
            if status.lines().any(|line| line.trim_end() == "ready") {
                *self.child.lock().unwrap() = Some(child);
                return Ok(());
            }
            sleep(Duration::from_millis(5)).await;
        }
        Err(self.log())
    }
}

/// What every server here is started with: small, quick, and as safe as the tests can tell.
const SETTINGS: &[&str] = &[
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=on",
    "shared_buffers=16MB",
    "max_connections=500",
    "jit=off",
    "timezone=UTC",
];
