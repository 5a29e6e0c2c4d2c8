//! The application's own user, loaded once a request.

use std::{future::Future, sync::Arc};

use crate::{context::SessionContext, error::Error};

/// A user in the application's own type. Holds the id, since a request can sign in another one.
struct Loaded<U> {
    id: String,
    user: Arc<U>,
}

/// # The application's user
impl SessionContext {
    /// The signed-in user in the application's own type, loaded by `load` from the user id and kept
    /// until the end of the request: guards, extractors and the handler share one `U`, and only the
    /// first of them calls `load`. `None` if no user is signed in (without a call), and if `load`
    /// returns `None`.
    ///
    /// The session does not store it: the next request sees a change in the database. Concurrent
    /// tasks of one request may each load it, and the first `load` of a type decides for all: use
    /// one function for one type. The wait for `load` is not bounded.
    ///
    /// # Errors
    ///
    /// Those of [`user_id`](Self::user_id) and of `load`; nothing is kept then. Let `load` fail
    /// with [`Error::unavailable`] where its source does not answer: the response is 503.
    ///
    /// ```
    /// struct User { name: &'static str }
    ///
    /// # tower_redis_session::testing::handle(|session| async move {
    /// let load = async |_id: String| Ok(Some(User { name: "Alice" }));
    /// assert!(session.load_user(load).await?.is_none());
    /// session.login("alice").await?;
    /// assert_eq!(session.load_user(load).await?.unwrap().name, "Alice");
    /// # Ok(()) });
    /// ```
    pub async fn load_user<U, F, Fut>(&self, load: F) -> Result<Option<Arc<U>>, Error>
    where
        U: Send + Sync + 'static,
        F: FnOnce(String) -> Fut,
        Fut: Future<Output = Result<Option<U>, Error>>,
    {
        let Some(id) = self.user_id().await? else { return Ok(None) };
        if let Some(loaded) = self.remembered(|loaded: &Loaded<U>| loaded.id == id) {
            return Ok(Some(Arc::clone(&loaded.user)));
        }
        let Some(user) = load(id.clone()).await? else { return Ok(None) };
        let user = Arc::new(user);
        let _ = self.remember(Loaded { id, user: Arc::clone(&user) });
        Ok(Some(user))
    }
}
