//! Authentication: user name and password of a connection, again before they expire.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{Cmd, Value, aio::MultiplexedConnection};
use tokio::time::Instant;

use crate::{
    error::{Causes, Error},
    store::{
        credentials::{CredentialSource, Obtained},
        redis::client::{
            address::Login, connection::Connection, failure::Failure, health::ConnectionHealth,
        },
    },
    sync::backoff::Backoff,
};

/// Bounds of the pause after a failed repetition.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// The pauses when little or no time is left: a function that fails permanently is called less
/// often.
const LATE: Backoff = Backoff::new(PAUSE_MIN, PAUSE_MAX);

/// How connections authenticate.
pub(in crate::store::redis) struct Authentication {
    login: Login,
    source: Option<CredentialSource>,
    /// Whether the last repetition failed: reported once for all connections.
    is_failing: Arc<AtomicBool>,
}

impl Authentication {
    pub(in crate::store::redis) fn new(login: Login, source: Option<CredentialSource>) -> Self {
        Self { login, source, is_failing: Arc::default() }
    }

    /// The database number.
    pub(in crate::store::redis) fn database(&self) -> i64 {
        self.login.database.unwrap_or(0)
    }

    /// Whether the function for credentials is being called.
    pub(in crate::store::redis) fn is_awaited(&self) -> bool {
        self.source.as_ref().is_some_and(CredentialSource::is_called)
    }

    /// Authenticates a new connection, and selects its database.
    pub(in crate::store::redis) async fn sign_in(
        &self,
        connection: &mut Connection,
    ) -> Result<(), Error> {
        let Login { username, password, database } = &self.login;
        if let Some(source) = &self.source {
            let given = source.obtain("redis").await?;
            let command = auth(given.username.as_ref().or(username.as_ref()), &given.password);
            let _ = connection.ask("AUTH", &command).await?;
            self.repeat(source, &given, connection);
        } else if username.is_some() || password.is_some() {
            let command = auth(username.as_ref(), password.as_deref().unwrap_or_default());
            let _ = connection.ask("AUTH", &command).await?;
        }
        if let Some(database @ 1..) = database {
            let _ = connection.ask("SELECT", redis::cmd("SELECT").arg(*database)).await?;
        }
        Ok(())
    }

    /// Starts the task that authenticates the connection again before its credentials expire.
    fn repeat(&self, source: &CredentialSource, given: &Obtained, connection: &Connection) {
        let Some(expires) = given.expires else { return };
        let repetition = Repetition {
            source: source.clone(),
            username: self.login.username.clone(),
            connection: connection.inner.clone(),
            health: Arc::clone(&connection.health),
            is_failing: Arc::clone(&self.is_failing),
        };
        connection.driver.authenticates(tokio::spawn(repetition.run(expires)).abort_handle());
    }
}

/// Without a user name Redis takes its default user.
fn auth(username: Option<&String>, password: &str) -> Cmd {
    let mut command = redis::cmd("AUTH");
    let _ = command.arg(username).arg(password);
    command
}

/// The task of one connection. It holds no `Connection`, which would then never be closed.
struct Repetition {
    source: CredentialSource,
    username: Option<String>,
    connection: MultiplexedConnection,
    health: Arc<ConnectionHealth>,
    is_failing: Arc<AtomicBool>,
}

impl Repetition {
    async fn run(mut self, mut expires: Instant) {
        let (mut pause, mut late) = (until_due(left(expires)), LATE);
        loop {
            tokio::time::sleep(pause).await;
            if self.health.is_broken() {
                return;
            }
            match self.authenticate().await {
                Ok(given) => {
                    if self.is_failing.swap(false, Ordering::Relaxed) {
                        tracing::info!("redis credentials renewed: connections remain open");
                    }
                    let Some(next) = given.expires else { return };
                    expires = next;
                    (pause, late) = (until_due(left(expires)), LATE);
                }
                // The connection is lost: no fault of the credentials.
                Err(None) => return,
                Err(Some(error)) => {
                    if !self.is_failing.swap(true, Ordering::Relaxed) {
                        let error = Causes(&error);
                        tracing::warn!(%error, "redis credentials not renewed: open connections keep the old ones");
                    }
                    let part = left(expires) / 8;
                    pause = if part > PAUSE_MIN { part.min(PAUSE_MAX) } else { late.take() };
                }
            }
        }
    }

    /// An error leaves the connection as it is: the server keeps the user that it has.
    async fn authenticate(&mut self) -> Result<Obtained, Option<Error>> {
        let given = self.source.obtain("redis").await?;
        let command = auth(given.username.as_ref().or(self.username.as_ref()), &given.password);
        let reply = self.connection.send_packed_command(&command).await;
        match reply.and_then(Value::extract_error).map_err(Failure::of) {
            Ok(_) => Ok(given),
            Err(failure) if failure.lost => Err(None),
            Err(failure) => Err(Some(failure.error)),
        }
    }
}

fn left(expires: Instant) -> Duration {
    expires.saturating_duration_since(Instant::now())
}

/// Early enough for several attempts: managed services recommend three minutes of fifteen.
fn until_due(left: Duration) -> Duration {
    (left / 4 * 3).max(Duration::from_millis(100))
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Authentication");
        debug.field("database", &self.login.database).finish_non_exhaustive()
    }
}
