//! The database of a [`TwoInstances`](super::TwoInstances): PostgreSQL, or a SQLite file that both
//! instances share.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use test_support::{Database, bounded, eventually};

/// Where the sessions are.
#[derive(Debug, Clone)]
pub enum AnyDatabase {
    Postgres(Database),
    Sqlite(SqliteFile),
}

/// A file in a folder of its own.
#[derive(Debug, Clone)]
pub struct SqliteFile {
    path: PathBuf,
    /// Goes with the last of us.
    _folder: Option<Arc<TempDir>>,
}

/// Somebody else's transaction, with a lock that nobody gets past; it ends when this is released.
#[derive(Debug)]
#[must_use]
pub enum Lock {
    Postgres(tokio::task::JoinHandle<()>, Database),
    Sqlite(Child, ChildStdin),
}

impl AnyDatabase {
    pub fn url(&self) -> String {
        match self {
            Self::Postgres(database) => database.url(),
            Self::Sqlite(file) => file.url(),
        }
    }

    /// The address by way of a proxy on `port`, where there is something to be proxied.
    pub fn url_through(&self, port: u16) -> String {
        match self {
            Self::Postgres(database) => database.url_through(port),
            Self::Sqlite(file) => file.url(),
        }
    }

    /// What the database's own shell prints: one line a row, `|` between columns.
    pub async fn sql(&self, text: &str) -> String {
        match self {
            Self::Postgres(database) => database.sql(text).await,
            Self::Sqlite(file) => file.sql(text).await,
        }
    }

    /// Locks the table of the sessions, or the whole file, against readers and writers.
    pub async fn lock(&self) -> Lock {
        match self {
            Self::Postgres(database) => {
                let (ours, held) = (database.clone(), database.clone());
                let text = "BEGIN; LOCK TABLE trs_sessions IN ACCESS EXCLUSIVE MODE; \
                            SELECT pg_sleep(120);";
                let task = tokio::spawn(async move {
                    // Ended by the release.
                    let _ = ours.try_sql(text).await;
                });
                eventually("the table is locked", async || {
                    let locks = "SELECT count(*) FROM pg_locks WHERE granted AND mode = \
                                 'AccessExclusiveLock' AND relation = 'trs_sessions'::regclass";
                    held.sql(locks).await == "1"
                })
                .await;
                Lock::Postgres(task, held)
            }
            Self::Sqlite(file) => {
                let mut child = file.shell().stdin(Stdio::piped()).spawn().unwrap();
                let mut input = child.stdin.take().unwrap();
                // In WAL mode readers go on beside this, as they would with any other writer.
                let text = "BEGIN EXCLUSIVE;\nSELECT 'locked';\n";
                input.write_all(text.as_bytes()).await.unwrap();
                let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
                let line = bounded("a lock on the file", lines.next_line()).await.unwrap();
                assert_eq!(line.as_deref(), Some("locked"));
                Lock::Sqlite(child, input)
            }
        }
    }
}

impl Lock {
    pub async fn release(self) {
        match self {
            Self::Postgres(task, database) => {
                let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                           WHERE query LIKE '%pg_sleep(120)%' AND pid <> pg_backend_pid() \
                           AND datname = current_database()";
                database.sql(end).await;
                bounded("the end of a lock", task).await.unwrap();
            }
            Self::Sqlite(mut child, mut input) => {
                input.write_all(b"ROLLBACK;\n.quit\n").await.unwrap();
                drop(input);
                bounded("the end of a lock", child.wait()).await.unwrap();
            }
        }
    }
}

impl SqliteFile {
    pub fn fresh() -> Self {
        let folder = tempfile::Builder::new().prefix("sqlite-of-a-test-").tempdir().unwrap();
        Self { path: folder.path().join("sessions.db"), _folder: Some(Arc::new(folder)) }
    }

    pub fn in_folder(folder: &Path) -> Self {
        Self { path: folder.join("sessions.db"), _folder: None }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn url(&self) -> String {
        format!("sqlite:{}", self.path.display())
    }

    async fn sql(&self, text: &str) -> String {
        let output = self.shell().arg(text).output();
        let output = bounded("sqlite3", output).await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    fn shell(&self) -> Command {
        let mut command = Command::new("sqlite3");
        command.args(["-batch", "-bail", "-cmd", ".timeout 10000"]).arg(&self.path);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }
}
