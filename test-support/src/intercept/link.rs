//! One connection through an [`Interceptor`](super::Interceptor).

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use super::super::held_requests::{Action, Caught, Cut};
use super::{Gate, Part, Place, Request, Shared, Wire};

/// One connection of a client, and ours to the server.
pub(super) struct Link<W> {
    client: Option<TcpStream>,
    server: TcpStream,
    era: u64,
    shared: Arc<Shared>,
    wire: W,
    /// What the client sent and was not forwarded, and what the server did.
    requests: Vec<u8>,
    replies: Vec<u8>,
    for_client: Vec<u8>,
    /// What the client waits for, in order.
    expected: VecDeque<Expected>,
    stalled: Option<(Caught, Request)>,
    kept_reply: Option<(Caught, Part)>,
}

enum Expected {
    MadeUp(Vec<u8>),
    Reply,
    /// The reply to what was held.
    Settles {
        _caught: Caught,
    },
    Held(Caught),
    Cut(Cut),
}

impl<W: Wire> Link<W> {
    pub(super) async fn run(client: TcpStream, shared: Arc<Shared>) {
        let era = shared.era();
        let mut gate = shared.gate.subscribe();
        // Closed at accept by the first two; the third may end.
        let opened = gate.wait_for(|gate| *gate != Gate::BlackHole).await.map(|gate| *gate);
        match opened {
            Ok(Gate::Pass) => {}
            Ok(Gate::Reset) => return drop(client.set_zero_linger()),
            _ => return,
        }
        let upstream = shared.upstream();
        let Ok(server) = TcpStream::connect(upstream).await else { return };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let mut link = Self {
            client: Some(client),
            server,
            era,
            shared,
            wire: W::default(),
            requests: Vec::new(),
            replies: Vec::new(),
            for_client: Vec::new(),
            expected: VecDeque::new(),
            stalled: None,
            kept_reply: None,
        };
        let _ = link.forward(&mut gate).await;
        let Self { client, mut server, expected, stalled, kept_reply, .. } = link;
        drop((expected, stalled, kept_reply));
        // A black hole does not tell that there is nobody.
        let _ = gate.wait_for(|gate| *gate != Gate::BlackHole).await;
        drop(client);
        // A close with unread replies would reset the server's side and could lose a request that
        // it has received and not read yet.
        let _ = server.shutdown().await;
        let drained = async { tokio::io::copy(&mut server, &mut tokio::io::sink()).await };
        let _ = timeout(Duration::from_secs(1), drained).await;
    }

    async fn forward(&mut self, gate: &mut watch::Receiver<Gate>) -> io::Result<()> {
        let (mut from_client, mut from_server) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
        loop {
            let now = *gate.borrow_and_update();
            if self.turn(now).await?.is_break() {
                return Ok(());
            }
            let step = tokio::select! {
                biased;
                changed = gate.changed() => {
                    changed.map_or(ControlFlow::Break(()), ControlFlow::Continue)
                }
                is_released = decision(&self.stalled) => self.decide_request(is_released).await?,
                is_released = decision(&self.kept_reply) => self.decide_reply(is_released),
                read = self.server.read(&mut from_server), if self.kept_reply.is_none() => {
                    let read = read.unwrap_or(0);
                    self.replies.extend_from_slice(&from_server[..read]);
                    if read == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                }
                read = read(&mut self.client, &mut from_client), if now != Gate::BlackHole => {
                    let read = read.unwrap_or(0);
                    self.requests.extend_from_slice(&from_client[..read]);
                    if read == 0 {
                        self.client = None;
                    }
                    ControlFlow::Continue(())
                }
            };
            if step.is_break() {
                return Ok(());
            }
        }
    }

    /// Does all that can be done without waiting for anybody; breaks where the connection ends.
    async fn turn(&mut self, gate: Gate) -> io::Result<ControlFlow<()>> {
        // Told to end, and to pass again before this task has seen it.
        let is_late = self.shared.era() != self.era && gate != Gate::Reset;
        self.part_with_client(if is_late { Gate::Refuse } else { gate });
        let passes = gate != Gate::BlackHole;
        if passes {
            self.pass_requests().await?;
        }
        let outcome = self.take_replies();
        if passes {
            self.tell().await;
        }
        let waits = self.stalled.is_some() || self.kept_reply.is_some();
        let is_over = self.client.is_none() && !waits && self.expected.is_empty();
        Ok(if is_over { ControlFlow::Break(()) } else { outcome })
    }

    async fn decide_request(&mut self, is_released: bool) -> io::Result<ControlFlow<()>> {
        match self.stalled.take() {
            Some((caught, request)) if is_released => {
                self.send(request, Expected::Settles { _caught: caught }).await?;
                Ok(ControlFlow::Continue(()))
            }
            _ => Ok(ControlFlow::Break(())),
        }
    }

    fn decide_reply(&mut self, is_released: bool) -> ControlFlow<()> {
        let Some((caught, part)) = self.kept_reply.take() else { return ControlFlow::Break(()) };
        self.expected.push_front(Expected::Settles { _caught: caught });
        self.arrived(part);
        if is_released { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn part_with_client(&mut self, gate: Gate) {
        if matches!(gate, Gate::Refuse | Gate::Reset) {
            if let (Gate::Reset, Some(client)) = (gate, &self.client) {
                let _ = client.set_zero_linger();
            }
            self.client = None;
            self.requests.clear();
        }
    }

    async fn pass_requests(&mut self) -> io::Result<()> {
        while self.stalled.is_none() {
            let Some(mut request) = self.wire.request(&mut self.requests) else { break };
            if let Some(made_up) = request.made_up.take() {
                self.expected.push_back(Expected::MadeUp(made_up));
                continue;
            }
            match self.shared.note(&request, self.expected.is_empty()) {
                None => self.send(request, Expected::Reply).await?,
                Some(Action::Hold(caught)) => self.stalled = Some((caught, request)),
                Some(Action::HoldReply(caught)) => {
                    self.send(request, Expected::Held(caught)).await?;
                }
                Some(Action::CutReply(cut)) => self.send(request, Expected::Cut(cut)).await?,
                Some(Action::SideTrack(caught, made_up)) => {
                    self.expected.push_back(Expected::MadeUp(made_up));
                    tokio::spawn(deliver::<W>(self.shared.upstream(), caught, request.bytes));
                }
            }
        }
        Ok(())
    }

    async fn send(&mut self, request: Request, expected: Expected) -> io::Result<()> {
        if request.has_reply {
            self.expected.push_back(expected);
        }
        self.server.write_all(&request.bytes).await
    }

    /// Breaks where the connection ends.
    fn take_replies(&mut self) -> ControlFlow<()> {
        while self.kept_reply.is_none() {
            if let Some(Expected::MadeUp(reply)) = self.expected.front_mut() {
                self.for_client.append(reply);
                self.expected.pop_front();
                continue;
            }
            let Some(part) = self.wire.reply(&mut self.replies) else { break };
            if part.place == Place::Aside {
                self.arrived(part);
                continue;
            }
            match self.expected.pop_front() {
                Some(Expected::Cut(cut)) if part.place == Place::Last => {
                    cut.happened();
                    return ControlFlow::Break(());
                }
                Some(Expected::Cut(cut)) => self.expected.push_front(Expected::Cut(cut)),
                Some(Expected::Held(caught)) => self.kept_reply = Some((caught, part)),
                Some(other) => {
                    self.expected.push_front(other);
                    self.arrived(part);
                }
                None => self.arrived(part),
            }
        }
        ControlFlow::Continue(())
    }

    fn arrived(&mut self, mut part: Part) {
        self.for_client.append(&mut part.bytes);
        if part.place == Place::Last {
            self.expected.pop_front();
        }
    }

    /// A client that has gone is told nothing.
    async fn tell(&mut self) {
        let told = std::mem::take(&mut self.for_client);
        if let Some(client) = &mut self.client
            && client.write_all(&told).await.is_err()
        {
            self.client = None;
        }
    }
}

async fn decision<T>(held: &Option<(Caught, T)>) -> bool {
    match held {
        Some((caught, _)) => caught.is_released().await,
        None => std::future::pending().await,
    }
}

async fn read(client: &mut Option<TcpStream>, into: &mut [u8]) -> io::Result<usize> {
    match client {
        Some(client) => client.read(into).await,
        None => std::future::pending().await,
    }
}

/// Sends what was held by a connection of its own, and waits for the reply.
async fn deliver<W: Wire>(upstream: SocketAddr, caught: Caught, request: Vec<u8>) {
    if !caught.is_released().await {
        return;
    }
    let Ok(mut server) = TcpStream::connect(upstream).await else { return };
    if server.write_all(&request).await.is_err() {
        return;
    }
    let (mut wire, mut reply) = (W::default(), Vec::new());
    while wire.reply(&mut reply).is_none() {
        if server.read_buf(&mut reply).await.unwrap_or(0) == 0 {
            return;
        }
    }
}
