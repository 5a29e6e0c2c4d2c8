//! Event sink and event stream of a layer; every event is logged too.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use tokio::sync::broadcast::{self, Receiver, error::RecvError};
use tokio_util::sync::{CancellationToken, ReusableBoxFuture};

use crate::telemetry::{counters::Counters, event::Event, instruments, log::log};

/// Events buffered for a slow listener.
const CAPACITY: usize = 1_024;

/// The event sink of a layer and its store. Counts every event; broadcasts once there is a
/// listener.
///
/// ```
/// use tower_redis_session::telemetry::{Event, Events, Serving};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let events = Events::default();
/// events.emit(Event::StoreDown { store: Serving::Redis }); // No listener yet.
/// let mut heard = events.listen();
/// events.emit(Event::StoreUp { store: Serving::Redis });
/// assert_eq!(heard.next().await, Some(Event::StoreUp { store: Serving::Redis }));
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Events {
    told: Arc<Told>,
    /// What one of several layers over a store counts.
    own: Option<Arc<Counters>>,
}

#[derive(Default)]
struct Told {
    listeners: OnceLock<broadcast::Sender<Event>>,
    counters: Counters,
}

impl Events {
    /// Sends the event to all listeners and to the log. Never blocks.
    ///
    /// ```
    /// # use tower_redis_session::telemetry::{Event, Events};
    /// Events::default().emit(Event::Ambiguous);
    /// ```
    pub fn emit(&self, event: Event) {
        log(&event);
        if let Some((place, count)) = self.told.counters.count(&event) {
            instruments::event(place, count);
        }
        if let Some(own) = &self.own {
            let _ = own.count(&event);
        }
        if let Some(sender) = self.told.listeners.get() {
            // An error means that there is no listener.
            let _ = sender.send(event);
        }
    }

    /// Subscribes to all events from now on.
    ///
    /// ```
    /// # use tower_redis_session::telemetry::{Event, Events};
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
        self.listen_until(CancellationToken::new())
    }

    /// The same; the stream ends with `end` too, after the events before it.
    pub(crate) fn listen_until(&self, end: CancellationToken) -> EventStream {
        let sender = self.told.listeners.get_or_init(|| broadcast::Sender::new(CAPACITY));
        EventStream::new(Source { receiver: sender.subscribe(), end })
    }

    /// The sink of a layer: the same listeners, and counts of its own.
    pub(crate) fn of_layer(&self) -> Self {
        Self { told: Arc::clone(&self.told), own: Some(Arc::default()) }
    }

    /// The counts by name. A layer counts its own events; those of its store come from the store.
    pub(crate) fn counts(&self) -> Vec<(&'static str, u64)> {
        let all = self.told.counters.read();
        match &self.own {
            None => all.collect(),
            Some(own) => {
                let of_store = |name: &str| name.starts_with("store_");
                let own = own.read().zip(all);
                own.map(|(own, all)| if of_store(own.0) { all } else { own }).collect()
            }
        }
    }
}

/// Events as they happen; see [`SessionAdmin::events`](crate::layer::SessionAdmin::events).
///
/// A [`Stream`] that ends once the layer and its services have been dropped. A listener that is
/// more than 1,024 events behind receives [`Event::Missed`] in their place.
pub struct EventStream(ReusableBoxFuture<'static, (Result<Event, RecvError>, Source)>);

/// Where the events come from, and what ends the stream earlier than the sink.
struct Source {
    receiver: Receiver<Event>,
    end: CancellationToken,
}

impl EventStream {
    fn new(source: Source) -> Self {
        Self(ReusableBoxFuture::new(receive(source)))
    }

    /// The next event; `None` once the layer and its services have been dropped.
    ///
    /// Cancellation safety: no event is lost to a dropped wait.
    ///
    /// ```
    /// # use tower_redis_session::telemetry::{Event, Events};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let events = Events::default();
    /// let mut heard = events.listen();
    /// events.emit(Event::Ambiguous);
    /// assert_eq!(heard.next().await, Some(Event::Ambiguous));
    /// # }
    /// ```
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

/// Owns the receiver while it waits, so that a dropped wait drops no event.
async fn receive(mut source: Source) -> (Result<Event, RecvError>, Source) {
    let received = tokio::select! {
        biased;
        received = source.receiver.recv() => received,
        () = source.end.cancelled() => Err(RecvError::Closed),
    };
    (received, source)
}

impl Stream for EventStream {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let this = self.get_mut();
        let (received, source) = ready!(this.0.poll(context));
        this.0.set(receive(source));
        Poll::Ready(match received {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(count)) => Some(Event::Missed { count }),
            Err(RecvError::Closed) => None,
        })
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listeners = self.told.listeners.get().map_or(0, broadcast::Sender::receiver_count);
        f.debug_struct("Events").field("listeners", &listeners).finish()
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventStream(..)")
    }
}
