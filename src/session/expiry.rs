//! Expiry of a session: pure arithmetic over a given now.

use std::time::Duration;

use crate::{clock::timestamp::Timestamp, error::ConfigError};

/// Ten years: longer is a mistake, and far from any overflow.
const TIMEOUT_MAX: Duration = Duration::from_secs(3_650 * 86_400);

/// Idle and absolute timeout of a session.
///
/// ```
/// use std::time::Duration;
/// use tower_redis_session::SessionExpiry;
///
/// let month = Duration::from_secs(30 * 86_400);
/// let remember_me = SessionExpiry::new(month).absolute(month);
/// assert_eq!(remember_me.idle_timeout(), month);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionExpiry {
    idle: Duration,
    absolute: Option<Duration>,
    remembered: bool,
}

impl SessionExpiry {
    /// A session that ends `idle` after its last activity: from 1 second to ten years. The layer's
    /// absolute timeout (24 h by default) still applies, unless [`absolute`](Self::absolute) sets
    /// another; a longer `idle` needs one.
    ///
    /// ```
    /// # use tower_redis_session::SessionExpiry;
    /// let expiry = SessionExpiry::new(std::time::Duration::from_secs(60));
    /// assert_eq!(expiry.absolute_timeout(), None);
    /// ```
    #[must_use]
    pub const fn new(idle: Duration) -> Self {
        Self { idle, absolute: None, remembered: false }
    }

    /// Ends the session `absolute` after its login as well, whatever its activity. Not below the
    /// idle timeout, at most ten years.
    ///
    /// ```
    /// # use tower_redis_session::SessionExpiry;
    /// # use std::time::Duration;
    /// let day = Duration::from_secs(86_400);
    /// let expiry = SessionExpiry::new(Duration::from_secs(60)).absolute(day);
    /// assert_eq!(expiry.absolute_timeout(), Some(day));
    /// ```
    #[must_use]
    pub const fn absolute(mut self, absolute: Duration) -> Self {
        self.absolute = Some(absolute);
        self
    }

    /// Makes the cookie persistent, with `Max-Age` up to the absolute end: for "remember me".
    /// Defaults to the layer's setting, see
    /// [`CookieConfig::persistent`](crate::CookieConfig::persistent).
    ///
    /// ```
    /// # use tower_redis_session::SessionExpiry;
    /// # use std::time::Duration;
    /// # tower_redis_session::testing::handle(|session| async move {
    /// let month = Duration::from_secs(30 * 86_400);
    /// session.login("alice").await?;
    /// session.set_expiry(SessionExpiry::new(month).absolute(month).remembered()).await?;
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub const fn remembered(self) -> Self {
        self.remembered_if(true)
    }

    /// The time without activity after which the session ends.
    ///
    /// ```
    /// # use tower_redis_session::SessionExpiry;
    /// # use std::time::Duration;
    /// let minute = Duration::from_secs(60);
    /// assert_eq!(SessionExpiry::new(minute).idle_timeout(), minute);
    /// ```
    #[must_use]
    pub const fn idle_timeout(&self) -> Duration {
        self.idle
    }

    /// The time after login at which the session ends; `None` for the layer's.
    ///
    /// ```
    /// # use tower_redis_session::SessionExpiry;
    /// let expiry = SessionExpiry::new(std::time::Duration::from_secs(60));
    /// assert!(expiry.absolute_timeout().is_none());
    /// ```
    #[must_use]
    pub const fn absolute_timeout(&self) -> Option<Duration> {
        self.absolute
    }

    /// The same, with a persistent cookie if `remembered`.
    pub(crate) const fn remembered_if(mut self, remembered: bool) -> Self {
        self.remembered = remembered;
        self
    }

    /// The same, with the absolute timeout of `other` if it has none.
    pub(crate) fn or_absolute_of(mut self, other: Self) -> Self {
        self.absolute = self.absolute.or(other.absolute);
        self
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let bounds = Duration::from_secs(1)..=TIMEOUT_MAX;
        if !bounds.contains(&self.idle) {
            return Err(ConfigError::new("idle timeout", "is not between 1 s and ten years"));
        }
        match self.absolute {
            Some(absolute) if !bounds.contains(&absolute) => {
                Err(ConfigError::new("absolute timeout", "is not between 1 s and ten years"))
            }
            Some(absolute) if absolute < self.idle => {
                Err(ConfigError::new("absolute timeout", "is shorter than the idle timeout"))
            }
            _ => Ok(()),
        }
    }
}

/// The ends of one session, as its record holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadlines {
    /// How far each activity moves `idle_deadline`.
    pub(crate) idle: Duration,
    /// The end without further activity.
    pub(crate) idle_deadline: Timestamp,
    /// The end that activity does not move.
    pub(crate) absolute_deadline: Option<Timestamp>,
    /// Whether the cookie is persistent.
    pub(crate) remembered: bool,
}

impl Deadlines {
    /// Both ends of a session that starts now.
    pub(crate) fn start(expiry: SessionExpiry, now: Timestamp, touch_interval: Duration) -> Self {
        Self::counted(expiry, now, now, touch_interval)
    }

    /// The same session after activity at `now`. The absolute end stays where it is.
    ///
    /// Activity is stored only once per touch interval, so the deadline is later by that much: a
    /// client that returns within the idle timeout is always still signed in.
    pub(crate) fn active(mut self, now: Timestamp, touch_interval: Duration) -> Self {
        let grace = touch_throttle(self.idle, touch_interval);
        let deadline = now.saturating_add(self.idle.saturating_add(grace));
        self.idle_deadline = self.idle_deadline.max(deadline);
        self
    }

    /// The same start with another policy; the absolute end counts from `created`.
    pub(crate) fn change(
        self,
        expiry: SessionExpiry,
        created: Timestamp,
        now: Timestamp,
        touch_interval: Duration,
    ) -> Self {
        Self::counted(expiry, created, now, touch_interval)
    }

    fn counted(
        expiry: SessionExpiry,
        created: Timestamp,
        now: Timestamp,
        touch_interval: Duration,
    ) -> Self {
        let SessionExpiry { idle, absolute, remembered } = expiry;
        let absolute_deadline = absolute.map(|absolute| created.saturating_add(absolute));
        Self { idle, idle_deadline: now, absolute_deadline, remembered }.active(now, touch_interval)
    }

    /// The earlier of the two ends.
    pub(crate) fn end(&self) -> Timestamp {
        self.absolute_deadline.map_or(self.idle_deadline, |end| end.min(self.idle_deadline))
    }

    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        now >= self.end()
    }
}

/// How old the last activity must be before it is written again: the configured interval, but at
/// most a twentieth of the idle timeout, so that a short session slides too.
pub(crate) fn touch_throttle(idle: Duration, touch_interval: Duration) -> Duration {
    touch_interval.min(idle / 20)
}

#[cfg(test)]
#[path = "expiry/tests.rs"]
mod tests;
