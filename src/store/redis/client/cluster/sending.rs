//! One try of a command: over a connection to a node.

use std::{future::Future, time::Duration};

use redis::{Cmd, Value};

use crate::{
    error::{Error, ErrorKind},
    store::{
        availability::Request,
        redis::client::{
            cluster::{
                decision::{Came, Follow},
                node_error::NodeError,
            },
            confirmed::Ends,
            connection::{Connection, With},
            failure::Failure,
            pool::Connections,
            replicas::Behind,
            script::Call,
        },
    },
};

/// The integer with which a script over several keys reports that their slot is moving, and that it
/// changed nothing.
const MOVING: i64 = -4;
/// That with which a script reports that it was called too late by the server's clock.
pub(in crate::store::redis) const TOO_LATE: i64 = -1;

/// A command that can be sent again, where that is safe.
pub(in crate::store::redis) trait Sending {
    fn follow(&self) -> Follow;

    /// Sends it over one of the connections; `asking` at the node to which its slot is moving.
    fn over(
        &self,
        connections: &Connections,
        asking: bool,
    ) -> impl Future<Output = Result<Value, Failure>> + Send;

    /// Whether it may run twice, after that failure.
    fn repeats(&self, failure: &Failure) -> bool;

    /// Reports to the availability of the node how it ended.
    fn ended(&self, request: Request<'_>, result: &Result<Value, Failure>);
}

/// A command of one key that changes nothing.
pub(in crate::store::redis) struct Read<'a> {
    pub(in crate::store::redis) command: &'a Cmd,
    /// How long a reply over a connection that was silent is awaited.
    pub(in crate::store::redis) doubt: Duration,
    /// For what it finds to be confirmed as an end of sessions is.
    pub(in crate::store::redis) ends: Option<&'a Ends>,
}

/// A call of a script, built for each connection: it may have a time of that server's clock.
pub(in crate::store::redis) struct Write<'a, B> {
    pub(in crate::store::redis) follow: Follow,
    pub(in crate::store::redis) build: B,
    pub(in crate::store::redis) repeatable: bool,
    /// Of a script that ends sessions.
    pub(in crate::store::redis) ends: Option<&'a Ends>,
}

impl Sending for Read<'_> {
    fn follow(&self) -> Follow {
        Follow::One
    }

    async fn over(&self, connections: &Connections, asking: bool) -> Result<Value, Failure> {
        if let Some(ends) = self.ends {
            let (mut connection, behind) = Box::pin(ends.connection(connections)).await?;
            return connection.send_with(self.command, With { asking, behind }).await;
        }
        let mut connection = connections.get().await?;
        if asking || !connection.health.is_silent() {
            let with = With { asking, ..With::default() };
            return connection.send_with(self.command, with).await;
        }
        // A firewall may have forgotten an idle connection, or its server hangs. Boxed: rare.
        let health = std::sync::Arc::clone(&connection.health);
        let sent = Box::pin(tokio::time::timeout(self.doubt, connection.send(self.command)));
        sent.await.unwrap_or_else(|_| {
            health.set_all_broken();
            Err(Failure::silent())
        })
    }

    fn repeats(&self, failure: &Failure) -> bool {
        // After a timeout no time is left.
        failure.lost || self.ends.is_some_and(|ends| ends.repeats(failure))
    }

    fn ended(&self, request: Request<'_>, result: &Result<Value, Failure>) {
        match result {
            // The repetition decides.
            Err(failure) if failure.unknown && self.repeats(failure) => drop(request),
            Err(failure) if !is_about_a_slot(failure) => request.ended(Some(&failure.error)),
            _ => request.ended(None),
        }
    }
}

impl<B: Fn(&Connection) -> Result<Call, Error> + Sync> Sending for Write<'_, B> {
    fn follow(&self) -> Follow {
        self.follow
    }

    async fn over(&self, connections: &Connections, asking: bool) -> Result<Value, Failure> {
        let (mut connection, behind) = match self.ends {
            // Boxed: rare, and the usual call stays small.
            Some(ends) => Box::pin(ends.connection(connections)).await?,
            None => (connections.get().await?, Behind::Nothing),
        };
        let call = (self.build)(&connection)?;
        let mut result = connection.call_with(&call, With { asking, behind }).await;
        if let (Some(ends), Err(failure)) = (self.ends, &mut result) {
            match failure.unconfirmed.take().map(|value| *value) {
                // Nothing has changed that replicas could confirm.
                Some(value @ Value::Int(MOVING | TOO_LATE)) => result = Ok(value),
                value => {
                    failure.unconfirmed = value.map(Box::new);
                    ends.failed(failure);
                }
            }
        }
        match result {
            Ok(Value::Int(TOO_LATE)) => {
                // The measured server clock is off: the next connection measures it again.
                connection.distrust_clocks();
                Ok(Value::Int(TOO_LATE))
            }
            Ok(Value::Int(MOVING)) if self.follow == Follow::Many => Err(Failure::moving()),
            result => result,
        }
    }

    fn repeats(&self, failure: &Failure) -> bool {
        self.repeatable || self.ends.is_some_and(|ends| ends.repeats(failure))
    }

    fn ended(&self, request: Request<'_>, result: &Result<Value, Failure>) {
        match result {
            Ok(_) => request.accepted(),
            Err(failure) if failure.unconfirmed.is_some() => request.accepted(),
            Err(failure) if is_about_a_slot(failure) => request.ended(None),
            Err(failure) if failure.reply && failure.node_error.is_none() => {
                request.rejected(&failure.error);
            }
            Err(failure) => request.ended(Some(&failure.error)),
        }
    }
}

/// Whether the node is fine, and the slot elsewhere or moving.
fn is_about_a_slot(failure: &Failure) -> bool {
    !matches!(failure.node_error.as_deref(), None | Some(NodeError::Down))
}

/// What a failed try came to.
pub(super) fn came(failure: &Failure, repeatable: bool) -> Came {
    match failure.node_error.as_deref() {
        Some(NodeError::Moved(..)) => Came::Moved,
        Some(NodeError::Ask(..)) => Came::Ask,
        Some(NodeError::Moving) => Came::Moving,
        Some(NodeError::Down) => Came::Down,
        None if failure.unknown => Came::Lost { repeatable },
        // A wrong password stays wrong.
        None if failure.reply || failure.error.kind() == ErrorKind::Misconfigured => Came::Failed,
        None => Came::Unsent,
    }
}
