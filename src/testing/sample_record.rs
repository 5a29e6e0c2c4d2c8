//! A record to store, for examples and for tests of stores.

use std::time::Duration;

use crate::{
    SessionExpiry,
    clock::ManualClock,
    session::{expiry::Deadlines, values::Values},
    store::Record,
};

impl Record {
    /// A signed-in session of 2024-01-01, for examples and for tests of stores.
    ///
    /// ```
    /// let record = tower_redis_session::store::Record::example();
    /// assert_eq!(record.created().to_string(), "2024-01-01T00:00:00Z");
    /// ```
    #[must_use]
    pub fn example() -> Self {
        let now = ManualClock::new().clock().now();
        let expiry = SessionExpiry::new(Duration::from_secs(3600));
        Self {
            version: 1,
            writer: [7; 16],
            created: now,
            last_activity: now,
            deadlines: Deadlines::start(expiry, now, Duration::from_secs(60)),
            authenticated: Some(now),
            user: Some("alice".into()),
            device: None,
            platform: None,
            values: Values::default(),
            sealed: None,
            moved: None,
        }
    }
}
