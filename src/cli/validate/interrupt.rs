//! SIGINT and SIGTERM: the step in progress ends, and the command cleans up before it exits.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::task::AbortHandle;

/// Whether the command is to end early.
pub(super) struct Interrupt {
    is_set: Arc<AtomicBool>,
    task: AbortHandle,
}

/// The command was interrupted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interrupted;

impl Interrupt {
    pub(super) fn listen() -> io::Result<Self> {
        let is_set = Arc::new(AtomicBool::new(false));
        let signals = Signals::new()?;
        let set = Arc::clone(&is_set);
        let task = tokio::spawn(async move {
            signals.first().await;
            set.store(true, Ordering::Relaxed);
        });
        Ok(Self { is_set, task: task.abort_handle() })
    }

    pub(super) fn check(&self) -> Result<(), Interrupted> {
        if self.is_set.load(Ordering::Relaxed) { Err(Interrupted) } else { Ok(()) }
    }

    /// A pause; not before it has ended.
    pub(super) async fn pause(&self, pause: Duration) -> Result<(), Interrupted> {
        tokio::time::sleep(pause).await;
        self.check()
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: signal(SignalKind::terminate())? })
    }

    async fn first(mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn first(self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
