//! Response body: a text, or a stream of events.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::session_api::stream::Events;

/// The body of the [session API](super)'s responses.
pub struct SessionApiBody(Kind);

enum Kind {
    Text(Option<Bytes>),
    Events(Box<Events>),
}

impl SessionApiBody {
    pub(super) fn text(text: String) -> Self {
        Self(Kind::Text(Some(text.into())))
    }

    pub(super) fn once(event: Bytes) -> Self {
        Self(Kind::Text(Some(event)))
    }

    pub(super) fn events(events: Events) -> Self {
        Self(Kind::Events(Box::new(events)))
    }
}

/// Empty, for outer layers that respond in place of the API.
impl Default for SessionApiBody {
    fn default() -> Self {
        Self(Kind::Text(None))
    }
}

/// For responses in place of the API's, such as a guard's.
impl From<String> for SessionApiBody {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl Body for SessionApiBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.get_mut().0 {
            Kind::Text(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Kind::Events(events) => {
                events.poll_next(context).map(|event| event.map(|event| Ok(Frame::data(event))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0, Kind::Text(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Text(text) => {
                let len = text.as_ref().map_or(0, Bytes::len);
                SizeHint::with_exact(u64::try_from(len).unwrap_or(u64::MAX))
            }
            Kind::Events(_) => SizeHint::default(),
        }
    }
}

impl fmt::Debug for SessionApiBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionApiBody(..)")
    }
}
