//! Synchronous access: the presented id, and what is already loaded.

use crate::{
    context::{SessionContext, timing::SessionSnapshot},
    session::token::SessionId,
};

/// # Without loading
///
/// For code that cannot wait: the key of a rate limiter, the span of a request, a tonic
/// interceptor. These methods perform no I/O and do not count as access to the session: no
/// activity, no `Vary`. A response whose content depends on them has to set `Vary` itself.
///
/// | method | returns |
/// |---|---|
/// | [`presented_id`](Self::presented_id) | the id that the client presents, at any time |
/// | [`loaded_user_id`](Self::loaded_user_id), [`loaded_snapshot`](Self::loaded_snapshot) | what a guard or a handler has loaded before |
///
/// A span maker for tower-http's `TraceLayer::make_span_with`, inside of the session layer:
///
/// ```
/// use http::Request;
/// use tower_redis_session::SessionContext;
///
/// fn make_span<B>(request: &Request<B>) -> tracing::Span {
///     let session = request.extensions().get::<SessionContext>();
///     let id = session.and_then(SessionContext::presented_id);
///     tracing::info_span!("request", session.id = id.map(tracing::field::display))
/// }
/// # let _ = make_span(&Request::new(()));
/// ```
impl SessionContext {
    /// The public id of the session that the client presents, from the token in its cookie or
    /// header; `None` without a well-formed token. With several tokens, that of the first.
    ///
    /// Not verified: such a session may not exist. A client can make up any number of ids, so a
    /// rate limiter must also count by address.
    ///
    /// ```
    /// # use tower_redis_session::{Error, SessionContext};
    /// # let cookie = "__Host-session=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    /// # let handler = |request: http::Request<()>| async move {
    /// # let session = request.extensions().get::<SessionContext>().unwrap();
    /// let bucket = match session.presented_id() {
    ///     Some(id) => format!("session {id}"),
    ///     None => "without a session".to_owned(),
    /// };
    /// # assert!(bucket.starts_with("session "));
    /// # assert_eq!(session.id().await?, None);
    /// # Ok(http::Response::new(String::new()))
    /// # };
    /// # let (response, _) = tower_redis_session::testing::run(Some(cookie), handler);
    /// # assert!(response.status().is_success());
    /// ```
    #[must_use]
    pub fn presented_id(&self) -> Option<SessionId> {
        self.session.presented().first().map(|(id, _)| *id)
    }

    /// The user, if the session is loaded; buffered changes included. `None` if no user is signed
    /// in or the session is not loaded; [`user_id`](Self::user_id) distinguishes the two.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// assert_eq!(session.loaded_user_id(), None);
    /// session.login("alice").await?;
    /// assert_eq!(session.loaded_user_id().as_deref(), Some("alice"));
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn loaded_user_id(&self) -> Option<String> {
        if !self.session.is_accessed() {
            return None;
        }
        let state = self.session.state();
        state.changes.user(state.base().ok()?)
    }

    /// The session as [`snapshot`](Self::snapshot) returns it, if it is loaded and there is one.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// session.login("alice").await?;
    /// session.save().await?;
    /// assert_eq!(session.loaded_snapshot(), Some(session.snapshot().await?));
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn loaded_snapshot(&self) -> Option<SessionSnapshot> {
        if !self.session.is_accessed() {
            return None;
        }
        SessionSnapshot::of(&self.session.state())
    }
}
