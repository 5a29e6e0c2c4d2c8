//! The guard as a layer: a condition, and the answer to what does not meet it.

use std::{fmt, future::Future, time::Duration};

use tower_layer::Layer;

use crate::{
    context::SessionContext,
    error::Error,
    guard::{
        answer::DenyWith,
        condition::{Condition, Fresh, Platform, Predicate, Role, Session, User},
        permissions::{HasPermissions, Permissions},
        service::RequireService,
    },
};

/// Rejects requests whose session does not meet a condition.
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
        Self::new(Session)
    }
}

impl RequireLayer<User> {
    /// Somebody is signed in.
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
    /// Somebody is signed in and has chosen a platform.
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
        Self::new(Fresh(within))
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
        Self::new(Role::new(role.into(), lookup))
    }
}

impl<F> RequireLayer<HasPermissions<F>> {
    /// Somebody is signed in who has this permission.
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

    /// Somebody is signed in who has at least one of these permissions. Of no names nobody has one.
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

    /// Somebody is signed in who has all of these permissions. With no names nobody is let on.
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
    /// Somebody is signed in, and `holds` says so. An error is answered as that of the session's
    /// own.
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
    /// Any condition. Denies by [`DenyWith::negotiate`] with `/login`.
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
    /// Sets the response to a request that is denied: a [`DenyWith`] (JSON, a redirect, whichever
    /// the client accepts), or a function of the reason and of the head of the request, whose
    /// response may have any body. Defaults to [`DenyWith::negotiate`] with `/login`.
    ///
    /// ```
    /// # use http::{Response, request::Parts};
    /// # use tower_redis_session::guard::{Denied, DenyWith, RequireLayer};
    /// let guard = RequireLayer::session().on_denied(DenyWith::redirect("/start"));
    ///
    /// let guard = RequireLayer::user().on_denied(|denied: &Denied, _: &Parts| {
    ///     let mut response = Response::new("not you".to_owned());
    ///     *response.status_mut() = denied.status();
    ///     response
    /// });
    /// ```
    #[must_use]
    pub fn on_denied<D>(self, deny: D) -> RequireLayer<C, D> {
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
