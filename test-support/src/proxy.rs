//! A TCP proxy on loopback that misbehaves on demand: what signals to the server cannot show.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::bounded;

/// What the proxy does from now on, to the connections that are open as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Forwards both ways.
    Pass,
    /// Closes every connection at accept, and those that are open.
    Refuse,
    /// Accepts, forwards nothing either way, and says nothing.
    BlackHole,
    /// What is open now goes silent for ever, as after the crash of a router; new connections pass.
    HalfOpen,
    /// Forwards, each reply so much later.
    Delay(Duration),
    /// Forwards requests, and closes where their reply would have come: the command landed, and
    /// its sender cannot know.
    CutReplies,
    /// Keeps requests, also when their sender leaves, until [`FaultProxy::release`].
    HoldRequests,
    /// Closes the connection in the place of every so-manieth reply (one read from upstream
    /// counts as one).
    DropEveryNthReply(u64),
    /// Resets every connection, new and open.
    Reset,
}

/// A listener in front of `upstream`.
#[derive(Debug)]
pub struct FaultProxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    listener: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    mode: watch::Sender<Mode>,
    /// How many bytes of requests are held now.
    held: watch::Sender<u64>,
    connections: AtomicU64,
    request_bytes: AtomicU64,
    reply_bytes: AtomicU64,
    replies: AtomicU64,
}

impl FaultProxy {
    pub async fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            upstream,
            mode: watch::Sender::new(Mode::Pass),
            held: watch::Sender::new(0),
            connections: AtomicU64::new(0),
            request_bytes: AtomicU64::new(0),
            reply_bytes: AtomicU64::new(0),
            replies: AtomicU64::new(0),
        });
        let accepting = Arc::clone(&shared);
        let listener = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                accepting.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(Link::run(client, Arc::clone(&accepting)));
            }
        });
        Self { addr, shared, listener }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    pub fn set(&self, mode: Mode) {
        self.shared.mode.send_replace(mode);
    }

    /// Waits until requests are held.
    pub async fn holds_something(&self) {
        let mut held = self.shared.held.subscribe();
        let _ = bounded("a request at the proxy", held.wait_for(|held| *held > 0)).await.unwrap();
    }

    /// Delivers what is held, and returns when the server has answered it.
    pub async fn release(&self) {
        self.set(Mode::Pass);
        let mut held = self.shared.held.subscribe();
        let _ = bounded("the answer to held requests", held.wait_for(|held| *held == 0)).await;
    }

    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    pub fn request_bytes(&self) -> u64 {
        self.shared.request_bytes.load(Ordering::SeqCst)
    }

    pub fn reply_bytes(&self) -> u64 {
        self.shared.reply_bytes.load(Ordering::SeqCst)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.listener.abort();
        self.set(Mode::Refuse);
    }
}

/// One connection of a client, and ours to the server.
struct Link {
    client: TcpStream,
    server: TcpStream,
    shared: Arc<Shared>,
    held: Vec<u8>,
    /// Bytes of requests that the server got and has not answered, of those that were held.
    unanswered: u64,
    /// Replies that wait for their time.
    late: VecDeque<(Instant, Vec<u8>)>,
    client_left: bool,
    /// Opened after its like went silent.
    is_fresh: bool,
    is_dead: bool,
}

impl Link {
    async fn run(client: TcpStream, shared: Arc<Shared>) {
        let mut mode = shared.mode.subscribe();
        if *mode.borrow() == Mode::Refuse {
            return;
        }
        if *mode.borrow() == Mode::Reset {
            let _ = client.set_zero_linger();
            return;
        }
        let Ok(server) = TcpStream::connect(shared.upstream).await else { return };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let mut link = Self {
            client,
            server,
            shared,
            held: Vec::new(),
            unanswered: 0,
            late: VecDeque::new(),
            client_left: false,
            is_fresh: *mode.borrow() == Mode::HalfOpen,
            is_dead: false,
        };
        let _ = link.forward(&mut mode).await;
        let Self { client, mut server, shared, held, unanswered, .. } = link;
        drop(client);
        shared.settled(unanswered + held.len() as u64);
        // A close with unread replies would reset the server's side and could lose a request that
        // it has received and not read yet.
        let _ = server.shutdown().await;
        let mut nowhere = tokio::io::sink();
        let drained = tokio::io::copy(&mut server, &mut nowhere);
        let _ = timeout(Duration::from_secs(1), drained).await;
    }

    async fn forward(&mut self, mode: &mut watch::Receiver<Mode>) -> io::Result<()> {
        let mut requests = vec![0; 64 * 1024];
        let mut replies = vec![0; 64 * 1024];
        loop {
            let now = *mode.borrow_and_update();
            match now {
                Mode::Refuse => return Ok(()),
                Mode::Reset => return self.client.set_zero_linger(),
                Mode::HoldRequests | Mode::BlackHole => {}
                _ => self.deliver_what_is_held().await?,
            }
            let waits = !self.held.is_empty() || self.unanswered > 0 || !self.late.is_empty();
            if self.client_left && !waits {
                return Ok(());
            }
            self.is_dead |= now == Mode::HalfOpen && !self.is_fresh;
            let silent = now == Mode::BlackHole || self.is_dead;
            let next = self.late.front().map(|(at, _)| *at);
            tokio::select! {
                biased;
                changed = mode.changed() => if changed.is_err() { return Ok(()) },
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() && !silent => {
                    if let Some((_, reply)) = self.late.pop_front() {
                        self.client.write_all(&reply).await?;
                    }
                }
                read = self.server.read(&mut replies), if !silent => match read? {
                    0 => return Ok(()),
                    length => if self.answer(now, &replies[..length]).await?.is_break() {
                        return Ok(());
                    },
                },
                read = self.client.read(&mut requests), if !silent && !self.client_left => {
                    let length = read.unwrap_or(0);
                    self.client_left |= length == 0;
                    self.shared.request_bytes.fetch_add(length as u64, Ordering::SeqCst);
                    if now == Mode::HoldRequests {
                        self.held.extend_from_slice(&requests[..length]);
                        self.shared.held.send_modify(|held| *held += length as u64);
                    } else {
                        self.server.write_all(&requests[..length]).await?;
                    }
                }
            }
        }
    }

    async fn deliver_what_is_held(&mut self) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        self.unanswered += held.len() as u64;
        self.server.write_all(&held).await
    }

    async fn answer(&mut self, mode: Mode, reply: &[u8]) -> io::Result<ControlFlow<()>> {
        // A reply answers all that was held: nothing else is on this connection meanwhile.
        self.shared.settled(std::mem::take(&mut self.unanswered));
        let count = self.shared.replies.fetch_add(1, Ordering::SeqCst) + 1;
        self.shared.reply_bytes.fetch_add(reply.len() as u64, Ordering::SeqCst);
        match mode {
            Mode::CutReplies => return Ok(ControlFlow::Break(())),
            Mode::DropEveryNthReply(nth) if count.is_multiple_of(nth) => {
                return Ok(ControlFlow::Break(()));
            }
            Mode::Delay(by) => self.late.push_back((Instant::now() + by, reply.to_vec())),
            _ if self.client_left => {}
            _ => self.client.write_all(reply).await?,
        }
        Ok(ControlFlow::Continue(()))
    }
}

impl Shared {
    /// So much of what was held has been answered, or never will be.
    fn settled(&self, bytes: u64) {
        self.held.send_modify(|held| *held -= bytes);
    }
}
