//! `Expiry` of tower-sessions as `SessionExpiry`.

use std::time::Duration;

use time::OffsetDateTime;
use tower_redis_session::{Error, ErrorKind, SessionContext, SessionExpiry};

/// What tower-sessions uses without an `Expiry`.
const TWO_WEEKS: Duration = Duration::from_secs(14 * 86_400);
/// The bounds of `SessionExpiry`.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(3_650 * 86_400);

/// `Expiry` of any version.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lifetime {
    /// `OnInactivity`.
    Idle(time::Duration),
    /// `AtDateTime`.
    Until(OffsetDateTime),
    /// `OnSessionEnd`, or none: the cookie ends with the browser, the record after two weeks.
    Browser,
}

impl Lifetime {
    /// Gives the session of `context` this lifetime. `starts`: its absolute timeout starts with
    /// this response, since it is new or signs in.
    pub(crate) async fn apply(self, context: &SessionContext, starts: bool) -> Result<(), Error> {
        match self {
            Self::Idle(idle) => {
                let idle = bounded(idle);
                let expiry = SessionExpiry::new(idle).remembered();
                match context.set_expiry(expiry).await {
                    // Longer than the layer's absolute timeout, which tower-sessions has not.
                    Err(error) if error.kind() == ErrorKind::Invalid => {
                        context.set_expiry(expiry.absolute(idle)).await
                    }
                    applied => applied,
                }
            }
            Self::Until(end) => {
                let now = OffsetDateTime::now_utc();
                let created = if starts { None } else { context.created_at().await? };
                let start = created.map_or(now, |time| {
                    OffsetDateTime::UNIX_EPOCH + Duration::from_millis(time.as_millis())
                });
                // The absolute timeout counts from the start.
                let total = bounded(end - start);
                let expiry = SessionExpiry::new(total).absolute(total);
                context.set_expiry(expiry.remembered()).await
            }
            Self::Browser => {
                context.set_expiry(SessionExpiry::new(TWO_WEEKS).absolute(TWO_WEEKS)).await
            }
        }
    }
}

fn bounded(duration: time::Duration) -> Duration {
    Duration::try_from(duration).unwrap_or(SHORTEST).clamp(SHORTEST, LONGEST)
}
