//! Sends over the pool's connections, with a retry where that is safe and useful.

use std::{
    future::{Future as _, poll_fn},
    pin::pin,
    task::Poll,
};

use redis::{Cmd, Value};

use crate::{
    error::Error,
    store::{
        availability::Request,
        redis::client::{
            connection::{Answer, Connection},
            failure::Failure,
            pool::Connections,
            script::Call,
        },
    },
};

impl Connections {
    /// Sends a command that is safe to run twice; retries over another connection if one broke, was
    /// silent while idle, or led to a server that did not run it.
    pub(in crate::store::redis) async fn read(&self, command: &Cmd) -> Result<Value, Error> {
        let request = self.request();
        let result = self.read_now(command).await.map_err(|failure| failure.error);
        request.ended(result.as_ref().err());
        result
    }

    /// A command is about to be sent.
    pub(in crate::store::redis) fn request(&self) -> Request<'_> {
        self.0.availability.as_ref().map_or_else(Request::unwatched, |of| of.request())
    }

    async fn read_now(&self, command: &Cmd) -> Result<Value, Failure> {
        let mut connection = self.get().await?;
        let result = if connection.health.is_silent() {
            // Boxed: rare, and the usual read stays small.
            Box::pin(self.send_doubting(connection, command)).await
        } else {
            connection.send(command).await
        };
        match result {
            Err(failure) if failure.lost || failure.again => Box::pin(self.resend(command)).await,
            result => result,
        }
    }

    /// Calls a script; retries over a new connection if the server proves that it did not run.
    pub(in crate::store::redis) async fn write(&self, call: &Call) -> Result<Answer, Error> {
        self.write_over(self.get().await?, call).await
    }

    /// The same over a connection that the caller has used.
    pub(in crate::store::redis) async fn write_over(
        &self,
        mut connection: Connection,
        call: &Call,
    ) -> Result<Answer, Error> {
        let request = self.request();
        let result = match connection.call(call).await {
            Err(failure) if failure.again => self.call_again(call).await,
            result => result,
        };
        match &result {
            Ok(_) => request.accepted(),
            Err(failure) if failure.reply => request.rejected(&failure.error),
            Err(failure) => request.ended(Some(&failure.error)),
        }
        match result {
            Ok(value) => Ok(Ok(value)),
            Err(failure) if failure.unknown => Ok(Err(failure.error)),
            Err(failure) => Err(failure.error),
        }
    }

    /// Calls a script that is safe to run twice.
    pub(in crate::store::redis) async fn repeatable(&self, call: &Call) -> Result<Value, Error> {
        match self.write(call).await? {
            Ok(value) => Ok(value),
            Err(_) => self.write(call).await?,
        }
    }

    async fn call_again(&self, call: &Call) -> Result<Value, Failure> {
        self.get().await?.call(call).await
    }

    async fn resend(&self, command: &Cmd) -> Result<Value, Failure> {
        self.get().await?.send(command).await
    }

    /// A firewall may have forgotten an idle connection, and drop what is sent. Half of the command
    /// timeout is enough to find out.
    async fn send_doubting(
        &self,
        mut connection: Connection,
        command: &Cmd,
    ) -> Result<Value, Failure> {
        let health = std::sync::Arc::clone(&connection.health);
        let mut first = pin!(connection.send(command));
        let mut second = pin!(async {
            tokio::time::sleep(self.command_timeout() / 2).await;
            health.set_all_broken();
            self.resend(command).await
        });
        let mut failed = false;
        poll_fn(|context| {
            if !failed {
                match first.as_mut().poll(context) {
                    // Any other error is a reply of the server.
                    Poll::Ready(Err(failure)) if failure.unknown && !failure.lost => failed = true,
                    Poll::Ready(result) => return Poll::Ready(result),
                    Poll::Pending => {}
                }
            }
            second.as_mut().poll(context)
        })
        .await
    }
}
