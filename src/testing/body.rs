//! The body of a request that a test sends.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// The body of a request of a [`TestClient`](super::TestClient): bytes in one frame.
///
/// ```
/// # use tower_redis_session::testing::TestBody;
/// let body = TestBody::from("a=b");
/// assert_eq!(body.as_bytes(), b"a=b");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestBody(Bytes);

impl TestBody {
    /// The bytes that have not been read yet.
    ///
    /// ```
    /// # use tower_redis_session::testing::TestBody;
    /// assert_eq!(TestBody::default().as_bytes(), b"");
    /// ```
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl<T: Into<Bytes>> From<T> for TestBody {
    fn from(bytes: T) -> Self {
        Self(bytes.into())
    }
}

impl Body for TestBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = std::mem::take(&mut self.0);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}
