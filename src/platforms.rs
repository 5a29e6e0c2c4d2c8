//! An administrator takes a user's platform out of the user's sessions.

use crate::{
    backend::Backend,
    commit::{Settled, save_settled},
    error::{Error, ErrorKind},
    record::Record,
    token::SessionId,
};

impl Backend {
    /// Leaves no live session of a user with a platform; answers how many had one.
    pub(crate) async fn clear_platform_of(&self, user: &str) -> Result<u64, Error> {
        let mut cleared = 0;
        for listed in self.sessions_of(user, None).await? {
            cleared += u64::from(self.clear_platform(user, &listed.id).await?);
        }
        Ok(cleared)
    }

    /// At the version that was seen, so that nothing else of the session is lost; again, if somebody was
    /// faster. It is no activity of the user's.
    async fn clear_platform(&self, user: &str, id: &SessionId) -> Result<bool, Error> {
        let mut found = self.store.load(id).await?;
        while let Some(record) = found.filter(|record| record.user() == Some(user)) {
            if record.sealed.is_some() {
                return Err(Error::new(ErrorKind::Misconfigured, "records are sealed"));
            }
            if record.platform.is_none() || record.deadlines.is_over(self.clock.now()) {
                return Ok(false);
            }
            let writer = self.marks.draw()?;
            let version = record.version.saturating_add(1);
            let without = Record { version, writer, platform: None, ..record };
            found = match save_settled(self, id, &without).await? {
                Settled::Saved => return Ok(true),
                Settled::Conflict(current) => Some(current),
                Settled::Gone | Settled::Taken => None,
            };
        }
        Ok(false)
    }
}
