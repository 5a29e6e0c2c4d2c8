//! The guard as a layer: a condition, and the response to requests that do not meet it.

use std::{fmt, future::Future, time::Duration};

use tower_layer::Layer;

use crate::{
    context::SessionContext,
    error::Error,
    guard::{
        condition::{Condition, Fresh, Platform, Predicate, Role, Session, User},
        denied::Denied,
        deny_with::DenyWith,
        permissions::{HasPermissions, Permissions},
        service::RequireService,
    },
    response::ErrorResponse,
};

/// Rejects requests whose session does not meet a condition.
#[derive(Clone)]
pub struct RequireLayer<C, A = DenyWith> {
    condition: C,
    deny: A,
}

impl RequireLayer<Session> {
    /// Requires a session, anonymous or not.
    ///
    /// ```
    /// # use tower_redis_session::guard::RequireLayer;
    /// let guard = RequireLayer::session();
    /// ```
    #[must_use]
    pub fn session() -> Self {
        Self::new(Session)
    }
}

impl RequireLayer<User> {
    /// Requires a signed-in user.
    ///
    /// ```
    /// # use tower_redis_session::guard::{DenyWith, RequireLayer};
    /// let guard = RequireLayer::user().on_denied(DenyWith::json());
    /// ```
    #[must_use]
    pub fn user() -> Self {
        Self::new(User)
    }
}

impl RequireLayer<Platform> {
    /// Requires a signed-in user and an active platform.
    ///
    /// ```
    /// # use tower_redis_session::guard::{DenyWith, RequireLayer};
    /// let deny = DenyWith::negotiate("/login").platform_chooser("/platforms");
    /// let guard = RequireLayer::platform().on_denied(deny);
    /// ```
    #[must_use]
    pub fn platform() -> Self {
        Self::new(Platform)
    }
}

impl RequireLayer<Fresh> {
    /// Requires a user who authenticated at most `within` ago; see [`SessionContext::is_fresh`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_redis_session::guard::RequireLayer;
    /// let guard = RequireLayer::fresh(Duration::from_secs(5 * 60));
    /// ```
    #[must_use]
    pub fn fresh(within: Duration) -> Self {
        Self::new(Fresh(within))
    }
}

impl<F> RequireLayer<Role<F>> {
    /// Requires a signed-in user with this role. `lookup` returns the role of a user from the
    /// application's own data: a role kept in the session would remain after it was revoked.
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
        Self::new(Role::new(role.into(), lookup))
    }
}

impl<F> RequireLayer<HasPermissions<F>> {
    /// Requires a signed-in user with this permission.
    ///
    /// ```
    /// # use tower_redis_session::guard::{Permissions, RequireLayer};
    /// # let permissions = Permissions::new(|_: String| async move { Ok(vec![]) });
    /// let guard = RequireLayer::permission("captions.edit", &permissions);
    /// ```
    #[must_use]
    pub fn permission(name: impl Into<Box<str>>, permissions: &Permissions<F>) -> Self {
        Self { condition: HasPermissions::new([name], true, permissions), deny: default_deny() }
    }

    /// Requires a signed-in user with at least one of these permissions. An empty list rejects
    /// every request.
    ///
    /// ```
    /// # use tower_redis_session::guard::{Permissions, RequireLayer};
    /// # let permissions = Permissions::new(|_: String| async move { Ok(vec![]) });
    /// let guard = RequireLayer::any_of(["captions.edit", "captions.review"], &permissions);
    /// ```
    #[must_use]
    pub fn any_of<N: Into<Box<str>>>(
        names: impl IntoIterator<Item = N>,
        permissions: &Permissions<F>,
    ) -> Self {
        Self { condition: HasPermissions::new(names, false, permissions), deny: default_deny() }
    }

    /// Requires a signed-in user with all of these permissions. An empty list rejects every
    /// request.
    ///
    /// ```
    /// # use tower_redis_session::guard::{Permissions, RequireLayer};
    /// # let permissions = Permissions::new(|_: String| async move { Ok(vec![]) });
    /// let guard = RequireLayer::all_of(["captions.edit", "users.edit"], &permissions);
    /// ```
    #[must_use]
    pub fn all_of<N: Into<Box<str>>>(
        names: impl IntoIterator<Item = N>,
        permissions: &Permissions<F>,
    ) -> Self {
        Self { condition: HasPermissions::new(names, true, permissions), deny: default_deny() }
    }
}

impl<F> RequireLayer<Predicate<F>> {
    /// Requires a signed-in user for whom `holds` returns true. An error of `holds` is handled as
    /// one of the session.
    ///
    /// ```
    /// # use tower_redis_session::{SessionContext, guard::RequireLayer};
    /// let guard = RequireLayer::require_fn(|session: SessionContext| async move {
    ///     Ok(session.get::<bool>("terms accepted").await?.unwrap_or(false))
    /// });
    /// ```
    #[must_use]
    pub fn require_fn<Fut>(holds: F) -> Self
    where
        F: Fn(SessionContext) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<bool, Error>> + Send + 'static,
    {
        Self::new(Predicate(holds))
    }
}

impl<C: Condition> RequireLayer<C> {
    /// A guard with any condition. Responds by [`DenyWith::negotiate`] with `/login`.
    ///
    /// ```
    /// # use tower_redis_session::guard::{RequireLayer, User};
    /// let guard = RequireLayer::new(User);
    /// ```
    #[must_use]
    pub fn new(condition: C) -> Self {
        Self { condition, deny: default_deny() }
    }
}

fn default_deny() -> DenyWith {
    DenyWith::negotiate("/login")
}

impl<C, A> RequireLayer<C, A> {
    /// Sets the response to a denied request: a [`DenyWith`] (JSON, a redirect, or whichever the
    /// client accepts), a [`PlainErrorResponse`](crate::response::PlainErrorResponse), or a
    /// function of error and request, with any body. One function can serve the session layer and
    /// CSRF too: see [`response`](crate::response). Defaults to [`DenyWith::negotiate`] with
    /// `/login`.
    ///
    /// ```
    /// # use http::request::Parts;
    /// # use tower_redis_session::{guard::{Denied, DenyWith, RequireLayer}, response::HttpError};
    /// let guard = RequireLayer::session().on_denied(DenyWith::redirect("/start"));
    ///
    /// let guard = RequireLayer::user().on_denied(|denied: &Denied, request: &Parts| {
    ///     denied.response_to(request, "not you".to_owned())
    /// });
    /// ```
    #[must_use]
    pub fn on_denied<D: ErrorResponse<Denied>>(self, deny: D) -> RequireLayer<C, D> {
        RequireLayer { condition: self.condition, deny }
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
