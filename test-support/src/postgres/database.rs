//! A database, and what `psql` says about it.

use std::process::Stdio;

use tokio::io::AsyncWriteExt;

use super::super::bounded;
use super::programs::program;

/// An empty database of one test.
#[derive(Debug, Clone)]
pub struct Database {
    pub(super) name: String,
    pub(super) port: u16,
    pub(super) password: Option<String>,
}

impl Database {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn url(&self) -> String {
        self.url_through(self.port)
    }

    /// The same database by way of something else that listens on `port`, such as a proxy.
    pub fn through(&self, port: u16) -> Self {
        Self { port, ..self.clone() }
    }

    /// The address of [`Database::through`].
    pub fn url_through(&self, port: u16) -> String {
        let password = self.password.as_ref().map(|password| format!(":{password}"));
        let password = password.unwrap_or_default();
        format!("postgres://postgres{password}@127.0.0.1:{port}/{}", self.name)
    }

    /// What `psql` prints for `text`: one line a row, `|` between columns.
    #[track_caller]
    pub fn sql(&self, text: &str) -> impl Future<Output = String> {
        let place = std::panic::Location::caller();
        async move {
            match self.try_sql(text).await {
                Ok(rows) => rows,
                Err(error) => panic!("{error}in: {text} ({place})"),
            }
        }
    }

    /// As [`Database::sql`], where the server may refuse, or not be there; the error is its text.
    pub async fn try_sql(&self, text: &str) -> Result<String, String> {
        let mut command = tokio::process::Command::new(program("psql"));
        command
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-"])
            .arg(self.url())
            .env("PGCONNECT_TIMEOUT", "10")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().expect("starting psql");
        let mut input = child.stdin.take().expect("piped above");
        let output = bounded("psql", async {
            // A psql that could not connect has gone without reading.
            let _ = input.write_all(text.as_bytes()).await;
            drop(input);
            child.wait_with_output().await.unwrap()
        });
        let output = output.await;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }
}
