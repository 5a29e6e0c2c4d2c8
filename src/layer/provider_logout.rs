//! Logout by the identity provider that signed a user in.

use crate::{
    context::login_attempt::external_id,
    error::{Error, ErrorKind},
    layer::SessionAdmin,
    telemetry::cause::{By, Cause},
};

impl SessionAdmin {
    /// Ends every session whose sign-in has this [external
    /// id](crate::context::LoginAttempt::with_external_id), in the store and so for every
    /// instance: when the identity provider signs the user out, such as by a logout token of
    /// OpenID Connect Back-Channel Logout 1.0, which the application verifies. A token without
    /// `sid` is for all sessions of its user: [`revoke_all`](Self::revoke_all). Returns how many
    /// there were, not counting one that was moving to a new id; 0 for an unknown name, and where
    /// the store has [lost](crate::context::LoginAttempt::with_external_id) the record of the name.
    ///
    /// A concurrent sign-in with this name fails, as does one within 5 minutes; a concurrent
    /// renewal ends its session. One store command, three if the name is known, the list of its
    /// user's sessions, and two for each that ends; each within the budget.
    ///
    /// # Errors
    ///
    /// `Invalid` for an empty name or one above 1,024 bytes. `Unavailable`: some or all may not
    /// have ended; to repeat is safe. A Redis without memory for the mark of the name is one case:
    /// the known sessions have ended, and those in progress have not. `Misconfigured` over
    /// [`WithoutUsers`](crate::store::WithoutUsers).
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, RedisSessionLayer};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = RedisSessionLayer::builder(MemoryStore::new()).build()?;
    /// let ended = layer.admin().revoke_by_external_id("https://id.example.org|08a5019c").await?;
    /// assert_eq!(ended, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn revoke_by_external_id(&self, name: &str) -> Result<u64, Error> {
        let name = external_id(name)?;
        if !self.backend.store.lists_sessions() {
            let text = "the store keeps no index of users' sessions";
            return Err(Error::new(ErrorKind::Misconfigured, text));
        }
        let by = By { cause: Cause::Provider, ..self.by() };
        self.backend.revoke_external_surely(name, by).await
    }
}
