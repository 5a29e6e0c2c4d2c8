//! Gathered writes: what several requests send at once leaves in one write.
//!
//! The task of a connection runs right after the first request that has sent something, and would
//! write that command alone, then the next few. It yields once before a write, so that all requests
//! that are ready add theirs: fewer system calls here, and fewer reads in the server, which has one
//! thread for all its clients.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::store::redis::client::health::ConnectionHealth;

/// The byte stream of a connection, whose task yields once before it writes, if several requests
/// use the connection.
pub(super) struct GatheredWrites<S> {
    stream: S,
    health: Arc<ConnectionHealth>,
    has_yielded: bool,
}

impl<S> GatheredWrites<S> {
    pub(super) fn new(stream: S, health: Arc<ConnectionHealth>) -> Self {
        Self { stream, health, has_yielded: false }
    }

    /// Waits for one turn of the runtime. A single request has no other to wait for.
    fn poll_others(&mut self, context: &Context<'_>) -> Poll<()> {
        if self.has_yielded || self.health.in_flight() < 2 {
            return Poll::Ready(());
        }
        self.has_yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for GatheredWrites<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for GatheredWrites<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_others(context));
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_others(context));
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Everything is written: the next command waits for others again.
        self.has_yielded = false;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, pin::pin};

    use futures_util::poll;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use crate::store::redis::client::gathered_writes::*;

    fn health() -> Arc<ConnectionHealth> {
        Arc::new(ConnectionHealth::new(&Arc::default()))
    }

    #[tokio::test]
    async fn the_only_command_is_written_at_once() {
        let (stream, mut server) = duplex(64);
        let health = health();
        let mut stream = GatheredWrites::new(stream, Arc::clone(&health));
        let _only = health.wait();
        assert!(poll!(pin!(stream.write_all(b"one"))).is_ready());
        assert_eq!(server.read_u8().await.unwrap(), b'o');
    }

    #[tokio::test]
    async fn one_of_several_waits_for_one_turn_and_each_write_anew() {
        // Too small for all: the rest is written without another turn.
        let (stream, mut server) = duplex(4);
        let health = health();
        let mut stream = GatheredWrites::new(stream, Arc::clone(&health));
        let _several = (health.wait(), health.wait());
        for _ in 0..2 {
            {
                let mut write = pin!(stream.write_all(b"commands"));
                assert!(poll!(&mut write).is_pending(), "written before the others' turn");
                assert!(poll!(&mut write).is_pending(), "there is room for half of it");
                server.read_exact(&mut [0; 4]).await.unwrap();
                assert!(poll!(&mut write).is_ready(), "waited once more");
            }
            server.read_exact(&mut [0; 4]).await.unwrap();
            poll_fn(|context| Pin::new(&mut stream).poll_flush(context)).await.unwrap();
        }
    }
}
