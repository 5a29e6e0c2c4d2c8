//! A real PgBouncer in front of a server.

use std::fs;
use std::os::unix::fs::chown;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::super::child::{Child, User, command_of, find_program};
use super::super::free_port::free_port;
use super::{PostgresServer, owner};

/// A pooler that gives each transaction another connection. Ends when it is dropped.
#[derive(Debug)]
pub struct PgBouncer {
    _child: Child,
    folder: TempDir,
    port: u16,
}

impl PgBouncer {
    /// With these lines in its configuration, beside what it needs.
    pub async fn before(server: &PostgresServer, settings: &[&str]) -> Self {
        let owner = owner();
        let folder = tempfile::Builder::new().prefix("pgbouncer-of-a-test-").tempdir().unwrap();
        if let Some(User { user, group }) = owner {
            chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        let path = ["pgbouncer", "/usr/sbin/pgbouncer"];
        let program = path.iter().find_map(|name| find_program(name.as_ref())).unwrap_or_else(|| {
            panic!(
                "pgbouncer is not there, and this test needs it: install the Debian package pgbouncer"
            )
        });
        let port = free_port();
        let file = folder.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=postgres\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = transaction\nlogfile = {}\n{}\n",
            server.port(),
            folder.path().join("log").display(),
            settings.join("\n")
        );
        fs::write(&file, text).unwrap();
        let mut command = command_of(&program, owner);
        command.arg(&file).current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = Child::spawn(command).expect("starting pgbouncer");
        let bouncer = Self { _child: child, folder, port };
        for _ in 0..1_000 {
            if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return bouncer;
            }
            sleep(Duration::from_millis(5)).await;
        }
        panic!("pgbouncer does not start:\n{}", bouncer.log());
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}
