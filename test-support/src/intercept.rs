//! A proxy on loopback that understands what passes: it keeps one request of many, and delivers it
//! later, also after its sender was killed. [`FaultProxy`](super::FaultProxy) knows only bytes.

mod link;

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::link::Link;
use super::held_requests::{Action, CatchAll, Caught, Cut, Held, HeldAll};
use super::matching::{Deed, Matching, Rules};

/// What the proxy does from now on, to the connections that are open as well. Requests that are
/// held stay held in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Forwards both ways, but for what is held.
    Pass,
    /// Closes every connection at accept, and those that are open.
    Refuse,
    /// Resets every connection, new and open.
    Reset,
    /// Accepts, forwards nothing either way, and says nothing.
    BlackHole,
}

/// A listener in front of a server that speaks `W`.
#[derive(Debug)]
pub struct Interceptor<W> {
    addr: SocketAddr,
    shared: Arc<Shared>,
    listener: JoinHandle<()>,
    wire: PhantomData<fn() -> W>,
}

/// How a protocol is cut into requests and replies, for one connection.
pub trait Wire: Default + Send + 'static {
    /// Takes the next whole request from the front of `bytes`.
    fn request(&mut self, bytes: &mut Vec<u8>) -> Option<Request>;

    /// Takes the next whole part of a reply.
    fn reply(&mut self, bytes: &mut Vec<u8>) -> Option<Part>;
}

/// What a client sends before it waits.
#[derive(Debug, Default)]
pub struct Request {
    pub bytes: Vec<u8>,
    /// For the counts.
    pub name: String,
    /// For [`Matching`].
    pub texts: Vec<Vec<u8>>,
    /// What is said at once, and the server is not asked.
    pub made_up: Option<Vec<u8>>,
    pub has_reply: bool,
}

/// A piece of what a server sends.
#[derive(Debug)]
pub struct Part {
    pub bytes: Vec<u8>,
    pub place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In no reply.
    Aside,
    Within,
    /// Ends the reply to a request.
    Last,
}

impl<W: Wire> Interceptor<W> {
    pub async fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            upstream: Mutex::new(upstream),
            gate: watch::Sender::new(Gate::Pass),
            rules: Mutex::default(),
            counts: Mutex::default(),
            trips: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            replies: AtomicU64::new(0),
            cut_every: AtomicU64::new(0),
            era: AtomicU64::new(0),
        });
        let accepting = Arc::clone(&shared);
        let listener = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                accepting.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(Link::<W>::run(client, Arc::clone(&accepting)));
            }
        });
        Self { addr, shared, listener, wire: PhantomData }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// Connections that are open when it is to refuse or to reset end, also if it passes again
    /// before they have seen that.
    pub fn set(&self, gate: Gate) {
        if matches!(gate, Gate::Refuse | Gate::Reset) {
            self.shared.era.fetch_add(1, Ordering::SeqCst);
        }
        self.shared.gate.send_replace(gate);
    }

    /// The server of new connections; [`Gate::Refuse`] and [`Gate::Pass`] move the open ones.
    pub fn redirect(&self, upstream: SocketAddr) {
        *self.shared.upstream.lock().unwrap() = upstream;
    }

    /// Keeps a request; its connection stands still behind it.
    pub fn hold(&self, matching: Matching) -> Held {
        self.catch(matching, Action::Hold)
    }

    /// As [`Interceptor::hold`], each request until the release: retries by other connections too.
    pub fn hold_all(&self, matching: Matching) -> HeldAll {
        let (all, held) = CatchAll::new();
        self.shared.rules().add(matching, Deed::HoldEach(all));
        held
    }

    /// Lets a request pass, and keeps its reply; its connection stands still behind it.
    pub fn hold_reply(&self, matching: Matching) -> Held {
        self.catch(matching, Action::HoldReply)
    }

    /// Lets a request pass, waits until it was executed, and closes the connection in the place of
    /// the reply.
    pub fn cut_reply(&self, matching: Matching) -> Cut {
        let cut = Cut::default();
        self.shared.rules().add(matching, Deed::Once(Action::CutReply(cut.clone())));
        cut
    }

    /// As [`Interceptor::cut_reply`], each time until [`Interceptor::forget_rules`].
    pub fn cut_replies(&self, matching: Matching) -> Cut {
        let cut = Cut::default();
        self.shared.rules().add(matching, Deed::CutEach(cut.clone()));
        cut
    }

    /// Closes the connection in the place of every so-manieth reply; 0 for none.
    pub fn cut_every_reply(&self, nth: u64) {
        self.shared.cut_every.store(nth, Ordering::SeqCst);
    }

    /// What was not reached yet passes.
    pub fn forget_rules(&self) {
        *self.shared.rules() = Rules::default();
    }

    /// How often each request came, by its name.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.shared.counts.lock().unwrap().clone()
    }

    /// How often a client began to wait: what is sent together is one trip.
    pub fn trips(&self) -> u64 {
        self.shared.trips.load(Ordering::SeqCst)
    }

    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Forgets the counts, trips and connections.
    pub fn reset_counts(&self) {
        self.shared.counts.lock().unwrap().clear();
        self.shared.trips.store(0, Ordering::SeqCst);
        self.shared.connections.store(0, Ordering::SeqCst);
    }

    pub(super) fn catch(&self, matching: Matching, action: impl FnOnce(Caught) -> Action) -> Held {
        let (caught, held) = Caught::new();
        self.shared.rules().add(matching, Deed::Once(action(caught)));
        held
    }
}

impl<W> Drop for Interceptor<W> {
    fn drop(&mut self) {
        self.listener.abort();
        self.shared.gate.send_replace(Gate::Refuse);
    }
}

#[derive(Debug)]
struct Shared {
    upstream: Mutex<SocketAddr>,
    gate: watch::Sender<Gate>,
    rules: Mutex<Rules>,
    counts: Mutex<BTreeMap<String, u64>>,
    trips: AtomicU64,
    connections: AtomicU64,
    replies: AtomicU64,
    cut_every: AtomicU64,
    /// How often the open connections were told to end.
    era: AtomicU64,
}

impl Shared {
    fn era(&self) -> u64 {
        self.era.load(Ordering::SeqCst)
    }

    fn upstream(&self) -> SocketAddr {
        *self.upstream.lock().unwrap()
    }

    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap()
    }

    /// Counts the request, and says what is to be done with it.
    fn note(&self, request: &Request, is_first: bool) -> Option<Action> {
        *self.counts.lock().unwrap().entry(request.name.clone()).or_default() += 1;
        self.trips.fetch_add(u64::from(is_first && request.has_reply), Ordering::SeqCst);
        let action = self.rules().pick(&request.name, &request.texts);
        let nth = self.cut_every.load(Ordering::SeqCst);
        if !request.has_reply || action.is_some() || nth == 0 {
            return action;
        }
        let count = self.replies.fetch_add(1, Ordering::SeqCst) + 1;
        count.is_multiple_of(nth).then(|| Action::CutReply(Cut::default()))
    }
}
