//! Ends of sessions in one write, and behind them what confirms them.
//!
//! `WAIT` confirms all that its connection has sent before it, and blocks the connection until
//! replicas have replied. Ends that come in the meantime are sent together, with one `WAIT`:
//! however slow the replicas are, an end waits for one other batch at most.

use std::time::{Duration, Instant};

use redis::{Cmd, FromRedisValue as _, Value};
use tokio::sync::oneshot;
use tracing::Span;

use crate::{
    error::ErrorKind,
    store::redis::client::{
        connection::{Connection, With},
        failure::{Failure, named},
        queue::{End, Turn},
        replicas::{Behind, Change, Replicas, online},
    },
    telemetry::in_span::SpanExt as _,
};

impl Connection {
    /// Sends a command with others in the same write.
    pub(in crate::store::redis) async fn send_group(
        &mut self,
        command: &Cmd,
        with: With,
    ) -> Result<Value, Failure> {
        if with.behind.waits() {
            return self.send_in_turn(command, with.asking).await;
        }
        let results = self.send_batch(&[(command, with.asking)], with.behind).await;
        results.into_iter().next().unwrap_or_else(|| Err(Failure::silent()))
    }

    /// Sends an end with those that wait as well, after those in flight.
    async fn send_in_turn(&self, command: &Cmd, asking: bool) -> Result<Value, Failure> {
        let (result, awaited) = oneshot::channel();
        let end = End { command: command.clone(), asking, result, span: Span::current() };
        if let Some(turn) = self.health.ends().push(end) {
            // Cancellation safety: a task of its own, since the batch has ends of other callers.
            // One whose caller is dropped is sent all the same.
            drop(tokio::spawn(self.clone().send_waiting(turn)));
        }
        // The batch in flight, and its own.
        let limit = self.driver.command_timeout.saturating_mul(2);
        match tokio::time::timeout(limit, awaited).await {
            Ok(Ok(result)) => result,
            // The runtime of the task has ended, or does not run. The end may have been sent.
            Ok(Err(_)) | Err(_) => {
                self.health.set_broken();
                Err(Failure::silent())
            }
        }
    }

    /// Sends what waits, batch by batch.
    async fn send_waiting(mut self, mut turn: Turn<End>) {
        while let Some(ends) = turn.next() {
            let commands: Vec<_> = ends.iter().map(|end| (&end.command, end.asking)).collect();
            let results = match self.is_broken() {
                true => vec![Err(Failure::unsent()); commands.len()],
                false => {
                    let span = ends.first().map_or_else(Span::none, |end| end.span.clone());
                    // The replicas may have changed since the first of them came.
                    let behind = self.behind_an_end();
                    self.send_batch(&commands, behind).in_span(span).await
                }
            };
            for (end, result) in ends.into_iter().zip(results) {
                // Its caller may have been dropped.
                let _ = end.result.send(result);
            }
        }
    }

    /// Sends commands, some behind `ASKING`, in one write with what is `behind` the last of them.
    /// Each has a result of its own; what too few replicas have is unconfirmed for all of them.
    async fn send_batch(
        &mut self,
        commands: &[(&Cmd, bool)],
        behind: Behind,
    ) -> Vec<Result<Value, Failure>> {
        let replicas = self.health.replicas().cloned();
        let within = replicas.as_ref().map(|replicas| replicas.within()).unwrap_or_default();
        let mut group = Vec::with_capacity(commands.len() + 3);
        for (command, asking) in commands {
            if *asking {
                // The permission is for the next command of the connection, which others use.
                group.push(redis::cmd("ASKING"));
            }
            group.push((*command).clone());
        }
        group.extend(confirmation(behind, within));
        let mut replies = match self.send_all(&group).await {
            Ok(replies) => replies.into_iter(),
            // Each of them may have run.
            Err(failure) => return vec![Err(failure); commands.len()],
        };
        let results: Vec<_> =
            commands.iter().map(|(_, asking)| own_reply(&mut replies, *asking)).collect();
        let has_run = results.iter().any(Result::is_ok);
        match replicas.filter(|_| has_run) {
            Some(replicas) if !is_confirmed(&replicas, behind, replies) => {
                let unconfirmed = |value| Err(Failure::unconfirmed(value));
                results.into_iter().map(|result| result.and_then(unconfirmed)).collect()
            }
            _ => results,
        }
    }
}

/// Takes the replies to one command.
fn own_reply(
    replies: &mut impl Iterator<Item = Result<Value, Failure>>,
    asking: bool,
) -> Result<Value, Failure> {
    let asked = if asking { replies.next() } else { None };
    match (asked, replies.next()) {
        // The permission was rejected, and so the command.
        (Some(Err(refused)), Some(Err(_))) => {
            Err(Failure { error: named(refused.error, "ASKING"), ..refused })
        }
        (_, Some(reply)) => reply,
        (_, None) => Err(Failure::silent()),
    }
}

/// The commands behind an end of sessions.
fn confirmation(behind: Behind, within: Duration) -> impl Iterator<Item = Cmd> {
    let wait = |replicas: u32| {
        let mut wait = redis::cmd("WAIT");
        let _ = wait.arg(replicas).arg(u64::try_from(within.as_millis()).unwrap_or(u64::MAX));
        wait
    };
    let (wait, reads) = match behind {
        Behind::Nothing => (None, false),
        Behind::Read => (None, true),
        Behind::Wait(replicas) => (Some(wait(replicas)), false),
        Behind::WaitAndRead(replicas) => (Some(wait(replicas)), true),
    };
    let read = reads.then(|| {
        let mut info = redis::cmd("INFO");
        let _ = info.arg("replication");
        info
    });
    wait.into_iter().chain(read)
}

/// Takes the replies to them. Whether as many replicas have what was sent as have to: none, if
/// `behind` is nothing, also for what ends no session, behind `ASKING`.
fn is_confirmed(
    replicas: &Replicas,
    behind: Behind,
    mut replies: impl Iterator<Item = Result<Value, Failure>>,
) -> bool {
    let waited = match behind {
        Behind::Wait(_) | Behind::WaitAndRead(_) => replies.next(),
        Behind::Nothing | Behind::Read => None,
    };
    let now = Instant::now();
    let mut changes = [None, None];
    if matches!(behind, Behind::Read | Behind::WaitAndRead(_)) {
        // A right that was withdrawn shows no replica any more.
        let info = replies.next().and_then(Result::ok).map(String::from_redis_value);
        let online = info.and_then(Result::ok).map_or(0, |info| online(&info));
        changes[0] = replicas.read(online, now);
    }
    let is_confirmed = match waited {
        None => behind == Behind::Nothing || !replicas.behind(now).waits(),
        Some(Err(rejected)) if rejected.error.kind() == ErrorKind::Misconfigured => {
            changes[1] = replicas.rejected(now);
            true
        }
        Some(waited) => {
            // Also a server that has become a replica: its error confirms nothing.
            let count = waited.ok().and_then(|count| u32::from_redis_value(count).ok());
            let (is_enough, change) = replicas.confirmed(count.unwrap_or(0), now);
            changes[1] = change;
            is_enough
        }
    };
    for change in changes.into_iter().flatten() {
        match change {
            Change::Required(replicas) => tracing::info!(replicas, "{change}"),
            Change::Confirmed => tracing::info!("{change}"),
            Change::Unconfirmed | Change::Rejected => tracing::warn!("{change}"),
        }
    }
    is_confirmed
}
