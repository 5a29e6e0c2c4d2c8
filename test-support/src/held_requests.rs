//! What an [`Interceptor`](super::Interceptor) does to one request, and the test's hold on it.

use std::sync::{Arc, Mutex, Weak};

use tokio::sync::watch;

use super::bounded;

/// A request, or the reply to one, that stays at the proxy; dropping this is
/// [`Held::drop_it`].
#[derive(Debug)]
#[must_use]
pub struct Held {
    stage: watch::Sender<Stage>,
}

/// Every request of a kind, each with its connection; dropping this is dropping each.
#[derive(Debug)]
#[must_use]
pub struct HeldAll {
    caught: Arc<Mutex<Vec<Held>>>,
    count: watch::Sender<u64>,
    /// The rule lives as long.
    _wanted: Arc<()>,
}

/// Replies that never arrive, together with their connections.
#[derive(Debug, Clone, Default)]
pub struct Cut {
    count: watch::Sender<u64>,
}

impl Held {
    /// Waits until it is here.
    pub async fn reached(&self) {
        self.wait_for("a request at the proxy", Stage::Reached).await;
    }

    pub fn is_reached(&self) -> bool {
        *self.stage.borrow() >= Stage::Reached
    }

    /// Sends it on, whether or not its sender is still there. Returns when the server has answered
    /// it, or when the reply that was held has gone to the client. Where the server closed the
    /// connection meanwhile, as it does when it restarts, there is nothing left to send.
    pub async fn release(self) {
        assert!(self.is_reached(), "nothing is held: await reached() first");
        // Unless its connection is gone by the server's doing.
        self.stage.send_if_modified(|stage| {
            let is_held = *stage == Stage::Reached;
            if is_held {
                *stage = Stage::Released;
            }
            is_held
        });
        self.wait_for("the answer to what was held", Stage::Settled).await;
    }

    /// It is lost: a connection that waited behind it closes.
    pub fn drop_it(self) {}

    async fn wait_for(&self, what: &str, stage: Stage) {
        let mut now = self.stage.subscribe();
        let _ = bounded(what, now.wait_for(|now| *now >= stage)).await.unwrap();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.stage.send_if_modified(|stage| {
            let is_undecided = *stage <= Stage::Reached;
            if is_undecided {
                *stage = Stage::Dropped;
            }
            is_undecided
        });
    }
}

impl HeldAll {
    /// Waits until so many are here.
    pub async fn reached(&self, wanted: u64) {
        let mut count = self.count.subscribe();
        let there = count.wait_for(|count| *count >= wanted);
        let _ = bounded("requests at the proxy", there).await.unwrap();
    }

    pub fn count(&self) -> u64 {
        *self.count.borrow()
    }

    /// Lets all that come from now on pass, and sends what is here in the order of its arrival,
    /// each when that before it has been answered.
    pub async fn release(self) {
        let Self { caught, _wanted: wanted, .. } = self;
        drop(wanted);
        let caught = std::mem::take(&mut *caught.lock().unwrap());
        for held in caught {
            held.release().await;
        }
    }

    /// All are lost, and their connections close; what comes from now on passes.
    pub fn drop_them(self) {}
}

impl Cut {
    /// Waits until a reply was cut: its command has been executed.
    pub async fn reached(&self) {
        let mut count = self.count.subscribe();
        let _ = bounded("a cut reply", count.wait_for(|count| *count > 0)).await.unwrap();
    }

    pub fn count(&self) -> u64 {
        *self.count.borrow()
    }

    pub(super) fn happened(&self) {
        self.count.send_modify(|count| *count += 1);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Awaited,
    Reached,
    Released,
    Dropped,
    Settled,
}

/// The proxy's side of a [`Held`]; dropping it is the end of the matter.
#[derive(Debug)]
pub(super) struct Caught {
    stage: watch::Sender<Stage>,
}

impl Caught {
    /// Both sides of one.
    pub(super) fn new() -> (Self, Held) {
        let stage = watch::Sender::new(Stage::Awaited);
        (Self { stage: stage.clone() }, Held { stage })
    }

    /// Whether it was released and not dropped.
    pub(super) async fn is_released(&self) -> bool {
        let mut now = self.stage.subscribe();
        let decided = now.wait_for(|now| *now > Stage::Reached).await;
        decided.is_ok_and(|stage| *stage == Stage::Released)
    }

    fn is_wanted(&self) -> bool {
        *self.stage.borrow() != Stage::Dropped
    }
}

impl Drop for Caught {
    fn drop(&mut self) {
        self.stage.send_replace(Stage::Settled);
    }
}

/// The rule's side of a [`HeldAll`].
#[derive(Debug)]
pub(super) struct CatchAll {
    caught: Weak<Mutex<Vec<Held>>>,
    count: watch::Sender<u64>,
    wanted: Weak<()>,
}

impl CatchAll {
    /// Both sides of one.
    pub(super) fn new() -> (Self, HeldAll) {
        let (caught, count, wanted) = (Arc::default(), watch::Sender::new(0), Arc::new(()));
        let all = Self {
            caught: Arc::downgrade(&caught),
            count: count.clone(),
            wanted: Arc::downgrade(&wanted),
        };
        (all, HeldAll { caught, count, _wanted: wanted })
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.strong_count() > 0
    }

    /// One more.
    pub(super) fn catch(&self) -> Option<Action> {
        let (caught, held) = Caught::new();
        let action = Action::Hold(caught).reached();
        self.caught.upgrade()?.lock().unwrap().push(held);
        self.count.send_modify(|count| *count += 1);
        Some(action)
    }
}

/// What happens to a request that matches.
#[derive(Debug)]
pub(super) enum Action {
    Hold(Caught),
    /// With what the client is told at once.
    SideTrack(Caught, Vec<u8>),
    HoldReply(Caught),
    CutReply(Cut),
}

impl Action {
    /// It has begun.
    pub(super) fn reached(self) -> Self {
        if let Self::Hold(caught) | Self::SideTrack(caught, _) | Self::HoldReply(caught) = &self {
            caught.stage.send_if_modified(|stage| {
                let is_first = *stage == Stage::Awaited;
                if is_first {
                    *stage = Stage::Reached;
                }
                is_first
            });
        }
        self
    }

    pub(super) fn is_wanted(&self) -> bool {
        match self {
            Self::Hold(caught) | Self::SideTrack(caught, _) | Self::HoldReply(caught) => {
                caught.is_wanted()
            }
            Self::CutReply(_) => true,
        }
    }
}
