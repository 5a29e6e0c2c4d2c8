//! Storing an imported session as the request's session.

use serde_json::value::RawValue;

use crate::{context::SessionContext, error::Error, import::imported::Imported};

impl Imported {
    /// Makes this the session of the request: signs the user in, if there is one, with the stamp,
    /// adds every value unchanged, and stores the session at once. Whether it has expired is the
    /// caller's to check, as is that the old session is used once: delete its bytes where they are
    /// read.
    ///
    /// ```
    /// # use tower_redis_session::import::decode_line;
    /// # tower_redis_session::testing::handle(|session| async move {
    /// # let line = decode_line(r#"{ "key": "k", "user": "42", "values": { "total": 4.50 } }"#);
    /// let imported = line.as_ref().unwrap().session(); // of `Importer::decode`, or of a line
    /// imported.apply(&session).await?;
    /// assert_eq!(session.user_id().await?.as_deref(), Some("42"));
    /// assert_eq!(session.get::<f64>("total").await?, Some(4.5));
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`login`](SessionContext::login), [`set_stamp`](SessionContext::set_stamp),
    /// [`insert`](SessionContext::insert) and [`save`](SessionContext::save).
    pub async fn apply(&self, session: &SessionContext) -> Result<(), Error> {
        if let Some(user) = self.user() {
            session.login(user).await?;
            if let Some(stamp) = self.stamp() {
                session.set_stamp(stamp).await?;
            }
        }
        for (name, json) in &self.values {
            // Not decoded to a number and back, which would round it.
            let value: &RawValue = serde_json::from_str(json).map_err(Error::value)?;
            session.insert(&**name, value).await?;
        }
        session.save().await
    }
}
