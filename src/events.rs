//! What happens in the lives of sessions, for whoever wants to know: as a stream, and in the log.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use tokio::sync::broadcast::{self, error::RecvError};

use crate::{report::Counters, status::Serving, token::SessionId};

/// Events that a slow listener may be behind.
const CAPACITY: usize = 1_024;

/// One event in the life of a session. Ids are public ones; nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A session began.
    Created(SessionId),
    /// A session moved to a new id: somebody signed in, or it was renewed.
    Renewed {
        /// The id that is dead now.
        old: SessionId,
        /// The id that it has now.
        new: SessionId,
    },
    /// A session was logged out, or was emptied.
    Destroyed(SessionId),
    /// A session was ended from another one, or by the application.
    Revoked(SessionId),
    /// All sessions of a user were ended, or all but one; so many were alive.
    RevokedAll(u64),
    /// A client came with a session whose time was over.
    Expired(SessionId),
    /// A client came with a well-formed token that opens nothing: it was logged out, has vanished after
    /// its end, or never was.
    Rejected(SessionId),
    /// A client came with several live sessions at once; none was used.
    Ambiguous,
    /// Two requests wrote at the same time; the later one builds on the other.
    Conflict(SessionId),
    /// What is stored cannot be read; it counts as no session.
    Corrupt(SessionId),
    /// A session ended while a request was under way; what that did to it is dropped.
    Overtaken(SessionId),
    /// A store is away, and the other one serves.
    FallbackIn {
        /// The one that is away.
        away: Serving,
    },
    /// A store that was away is back.
    FallbackOut {
        /// The one that is back.
        back: Serving,
    },
    /// The listener was too slow, and so many events are lost to it.
    Missed(u64),
}

/// Where a layer and its store tell of what happens. Counts it, and costs no more until somebody listens.
///
/// ```
/// use tower_redis_session::{Event, Events, Serving};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let events = Events::default();
/// events.emit(Event::FallbackIn { away: Serving::Redis }); // Nobody listens.
/// let mut heard = events.listen();
/// events.emit(Event::FallbackOut { back: Serving::Redis });
/// assert_eq!(heard.next().await, Some(Event::FallbackOut { back: Serving::Redis }));
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Events(Arc<Told>);

#[derive(Default)]
struct Told {
    listeners: OnceLock<broadcast::Sender<Event>>,
    counters: Counters,
}

impl Events {
    /// Tells everybody who listens, and the log. Waits for nobody.
    ///
    /// ```
    /// # use tower_redis_session::{Event, Events};
    /// Events::default().emit(Event::Ambiguous);
    /// ```
    pub fn emit(&self, event: Event) {
        log(&event);
        self.0.counters.count(&event);
        if let Some(sender) = self.0.listeners.get() {
            // An error tells that nobody listens just now.
            let _ = sender.send(event);
        }
    }

    /// All events from now on, to everybody who listens.
    ///
    /// ```
    /// # use tower_redis_session::{Event, Events};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let events = Events::default();
    /// let mut heard = events.listen();
    /// drop(events);
    /// assert_eq!(heard.next().await, None);
    /// # }
    /// ```
    #[must_use]
    pub fn listen(&self) -> EventStream {
        let sender = self.0.listeners.get_or_init(|| broadcast::Sender::new(CAPACITY));
        EventStream(sender.subscribe())
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
    }
}

/// Events as they happen; see [`RedisSessionLayer::events`](crate::RedisSessionLayer::events).
pub struct EventStream(broadcast::Receiver<Event>);

impl EventStream {
    /// The next event; none once the layer and its services are gone. A listener who is more than 1,024
    /// events behind is told of it by [`Event::Missed`].
    ///
    /// Cancellation safety: no event is lost to a dropped wait.
    ///
    /// ```
    /// # use tower_redis_session::{Event, Events};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let events = Events::default();
    /// let mut heard = events.listen();
    /// events.emit(Event::RevokedAll(3));
    /// assert_eq!(heard.next().await, Some(Event::RevokedAll(3)));
    /// # }
    /// ```
    pub async fn next(&mut self) -> Option<Event> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(count)) => Some(Event::Missed(count)),
            Err(RecvError::Closed) => None,
        }
    }
}

fn log(event: &Event) {
    match event {
        Event::Created(id) => tracing::info!(session.id = %id, "session created"),
        Event::Renewed { old, new } => {
            tracing::info!(session.id = %new, session.old_id = %old, "session renewed");
        }
        Event::Destroyed(id) => tracing::info!(session.id = %id, "session destroyed"),
        Event::Revoked(id) => tracing::info!(session.id = %id, "session revoked"),
        Event::RevokedAll(count) => tracing::info!(count, "all sessions of a user revoked"),
        Event::Expired(id) => tracing::debug!(session.id = %id, "session expired"),
        Event::Rejected(id) => tracing::debug!(session.id = %id, "session id rejected"),
        Event::Ambiguous => tracing::warn!("several live session cookies in one request"),
        Event::Conflict(id) => tracing::debug!(session.id = %id, "session conflict, rebasing"),
        Event::Overtaken(id) => {
            tracing::info!(session.id = %id, "session ended during the request, changes dropped");
        }
        // Told with their cause, where it is known.
        Event::Corrupt(_) | Event::FallbackIn { .. } | Event::FallbackOut { .. } => {}
        Event::Missed(_) => {}
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listeners = self.0.listeners.get().map_or(0, broadcast::Sender::receiver_count);
        f.debug_struct("Events").field("listeners", &listeners).finish()
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventStream(..)")
    }
}
