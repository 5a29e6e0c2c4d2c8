//! The guard as a layer: a condition, and the answer to what does not meet it.

use std::{fmt, future::Future, time::Duration};

use tower_layer::Layer;

use crate::{
    context::SessionContext,
    error::Error,
    guard::{
        answer::{DenyBy, DenyWith},
        condition::{Condition, Fresh, Platform, Role, Session, That, User},
        service::RequireService,
    },
};

/// Lets only requests on whose session meets a condition.
#[derive(Clone)]
pub struct RequireLayer<C, A = DenyWith> {
    condition: C,
    deny: A,
}

impl RequireLayer<Session> {
    /// There is a session, anonymous or not.
    ///
    /// ```
    /// # use tower_redis_session::guard::RequireLayer;
    /// let guard = RequireLayer::session();
    /// ```
    #[must_use]
    pub fn session() -> Self {
        Self::of(Session)
    }
}

impl RequireLayer<User> {
    /// Somebody is signed in.
    ///
    /// ```
    /// # use tower_redis_session::guard::{DenyWith, RequireLayer};
    /// let guard = RequireLayer::user().deny_with(DenyWith::json());
    /// ```
    #[must_use]
    pub fn user() -> Self {
        Self::of(User)
    }
}

impl RequireLayer<Platform> {
    /// Somebody is signed in and has chosen a platform.
    ///
    /// ```
    /// # use tower_redis_session::guard::{DenyWith, RequireLayer};
    /// let deny = DenyWith::negotiate("/login").platform_chooser("/platforms");
    /// let guard = RequireLayer::platform().deny_with(deny);
    /// ```
    #[must_use]
    pub fn platform() -> Self {
        Self::of(Platform)
    }
}

impl RequireLayer<Fresh> {
    /// Somebody has proved who they are no longer ago than `within`; see
    /// [`SessionContext::is_fresh`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_redis_session::guard::RequireLayer;
    /// let guard = RequireLayer::fresh(Duration::from_secs(5 * 60));
    /// ```
    #[must_use]
    pub fn fresh(within: Duration) -> Self {
        Self::of(Fresh(within))
    }
}

impl<F> RequireLayer<Role<F>> {
    /// Somebody with this role is signed in. `lookup` tells the role of a user, from where the
    /// application keeps it: what a session remembered would outlive the role.
    ///
    /// ```
    /// # use tower_redis_session::guard::RequireLayer;
    /// let guard = RequireLayer::role("admin", |user: String| async move {
    ///     Ok((user == "alice").then(|| "admin".to_owned()))
    /// });
    /// ```
    #[must_use]
    pub fn role<Fut>(role: impl Into<Box<str>>, lookup: F) -> Self
    where
        F: Fn(String) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<String>, Error>> + Send + 'static,
    {
        Self::of(Role::new(role.into(), lookup))
    }
}

impl<F> RequireLayer<That<F>> {
    /// Somebody is signed in, and `holds` says so. An error is answered as that of the session's
    /// own.
    ///
    /// ```
    /// # use tower_redis_session::{SessionContext, guard::RequireLayer};
    /// let guard = RequireLayer::that(|session: SessionContext| async move {
    ///     Ok(session.get::<bool>("terms accepted").await?.unwrap_or(false))
    /// });
    /// ```
    #[must_use]
    pub fn that<Fut>(holds: F) -> Self
    where
        F: Fn(SessionContext) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<bool, Error>> + Send + 'static,
    {
        Self::of(That(holds))
    }
}

impl<C: Condition> RequireLayer<C> {
    /// Any condition. Denies by [`DenyWith::negotiate`] with `/login`.
    ///
    /// ```
    /// # use tower_redis_session::guard::{RequireLayer, User};
    /// let guard = RequireLayer::of(User);
    /// ```
    #[must_use]
    pub fn of(condition: C) -> Self {
        Self { condition, deny: DenyWith::negotiate("/login") }
    }
}

impl<C, A> RequireLayer<C, A> {
    /// Answers in another way: JSON, a redirect, whichever the client takes.
    ///
    /// ```
    /// # use tower_redis_session::guard::{DenyWith, RequireLayer};
    /// let guard = RequireLayer::session().deny_with(DenyWith::redirect("/start"));
    /// ```
    #[must_use]
    pub fn deny_with(self, deny: DenyWith) -> RequireLayer<C> {
        RequireLayer { condition: self.condition, deny }
    }

    /// Answers by a function of yours: from why, and from the head of the request.
    ///
    /// ```
    /// # use http::{Response, request::Parts};
    /// # use tower_redis_session::guard::{Denied, RequireLayer};
    /// let guard = RequireLayer::user().deny_by(|denied: &Denied, _: &Parts| {
    ///     let mut response = Response::new("not you".to_owned());
    ///     *response.status_mut() = denied.status();
    ///     response
    /// });
    /// ```
    #[must_use]
    pub fn deny_by<F>(self, deny: F) -> RequireLayer<C, DenyBy<F>> {
        RequireLayer { condition: self.condition, deny: DenyBy(deny) }
    }
}

impl<S, C: Clone, A: Clone> Layer<S> for RequireLayer<C, A> {
    type Service = RequireService<S, C, A>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireService::new(inner, self.condition.clone(), self.deny.clone())
    }
}

impl<C, A> fmt::Debug for RequireLayer<C, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireLayer").finish_non_exhaustive()
    }
}
