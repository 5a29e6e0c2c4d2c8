//! A connection to one sentinel.

use std::{fmt, time::Duration};

use redis::{
    AsyncConnectionConfig, Cmd, ProtocolVersion, RedisConnectionInfo, Value,
    aio::{MultiplexedConnection, PubSub, PubSubStream},
};
use tokio::task::AbortHandle;

use crate::{
    error::Error,
    store::redis::client::{
        endpoint::Endpoint,
        sentinel::{
            choice::Report,
            reply::{refused, report},
        },
    },
};

/// The channel on which a sentinel announces that it has another primary.
const SWITCHES: &str = "+switch-master";

/// Address of a sentinel, and how connections to it authenticate.
#[derive(Clone)]
pub(in crate::store::redis) struct Sentinel {
    pub(in crate::store::redis) endpoint: Endpoint,
    pub(in crate::store::redis) username: Option<String>,
    pub(in crate::store::redis) password: Option<String>,
}

/// An open connection.
pub(super) struct Line {
    connection: MultiplexedConnection,
    io: AbortHandle,
}

impl Sentinel {
    /// Opens a connection whose replies have to arrive within `limit`.
    pub(super) async fn open(&self, limit: Duration) -> Result<Line, Error> {
        let stream = self.endpoint.connect().await?;
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(limit));
        let opened = MultiplexedConnection::new_with_config(&nobody(), stream, config).await;
        let (connection, io) = opened.map_err(refused)?;
        let line = Line { connection, io: tokio::spawn(io).abort_handle() };
        // Not by the library, which hides the reply.
        if self.username.is_some() || self.password.is_some() {
            let mut auth = redis::cmd("AUTH");
            let password = self.password.as_deref().unwrap_or_default();
            let _ = auth.arg(self.username.as_ref()).arg(password);
            let _ = line.send(&auth).await?;
        }
        Ok(line)
    }

    /// The announcements from now on that this sentinel has another primary.
    pub(super) async fn announcements(&self) -> Result<PubSubStream, Error> {
        let mut user = nobody();
        if let Some(username) = &self.username {
            user = user.set_username(username);
        }
        if self.username.is_some() || self.password.is_some() {
            user = user.set_password(self.password.as_deref().unwrap_or_default());
        }
        let stream = self.endpoint.connect().await?;
        let mut subscriber = PubSub::new(&user, stream).await.map_err(refused)?;
        subscriber.subscribe(SWITCHES).await.map_err(refused)?;
        Ok(subscriber.into_on_message())
    }
}

impl Line {
    /// The primary of that name.
    pub(super) async fn ask(&self, name: &str) -> Result<Report, Error> {
        let question = |subcommand: &str| {
            let mut command = redis::cmd("SENTINEL");
            let _ = command.arg(subcommand).arg(name);
            command
        };
        let (master, address) = (question("MASTER"), question("GET-MASTER-ADDR-BY-NAME"));
        // Both at once, and not in a pipeline, of which the library hides why it failed.
        let (master, address) = tokio::join!(self.send(&master), self.send(&address));
        report(master?, address?)
    }

    async fn send(&self, command: &Cmd) -> Result<Value, Error> {
        let reply = self.connection.clone().send_packed_command(command).await;
        reply.and_then(Value::extract_error).map_err(refused)
    }
}

/// Without commands of the library's own: fewer that a user has to be allowed.
fn nobody() -> RedisConnectionInfo {
    RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP2).set_skip_set_lib_name()
}

impl Drop for Line {
    fn drop(&mut self) {
        self.io.abort();
    }
}

impl fmt::Debug for Sentinel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sentinel").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
