//! Conditions of guards.

use std::{fmt, future::Future, time::Duration};

use crate::{
    context::SessionContext,
    error::Error,
    guard::denied::{Denied, DeniedKind},
};

/// A condition on the session of a request.
pub trait Condition: Clone + Send + Sync + 'static {
    /// Returns `Ok` if `session` meets the condition, otherwise why it does not.
    fn check(&self, session: SessionContext) -> impl Future<Output = Result<(), Denied>> + Send;
}

/// A condition that only some of the users who are signed in meet: what the endpoints of
/// administrators require of their [guard](crate::admin_api::AdminApi::new).
///
/// The conditions of roles, permissions and functions are selective; implement it for one of your
/// own.
///
/// ```
/// use tower_redis_session::{SessionContext, guard::{Condition, Denied, DeniedKind, Selective}};
///
/// #[derive(Clone)]
/// struct Administrator;
///
/// impl Condition for Administrator {
///     async fn check(&self, session: SessionContext) -> Result<(), Denied> {
///         match session.user_id().await?.as_deref() {
///             Some("root") => Ok(()),
///             Some(_) => Err(Denied::new(DeniedKind::Forbidden)),
///             None => Err(Denied::new(DeniedKind::Unauthenticated)),
///         }
///     }
/// }
///
/// impl Selective for Administrator {}
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` selects no users",
    label = "every user who is signed in would be an administrator",
    note = "use `RequireLayer::role`, `permission` or `require_fn`, or implement `Selective`"
)]
pub trait Selective: Condition {}

/// Requires a session.
#[derive(Clone, Copy, Debug)]
pub struct Session;

/// Requires a signed-in user.
#[derive(Clone, Copy, Debug)]
pub struct User;

/// Requires a signed-in user and an active platform.
#[derive(Clone, Copy, Debug)]
pub struct Platform;

/// Requires a user who authenticated at most this long ago.
#[derive(Clone, Copy, Debug)]
pub struct Fresh(pub Duration);

/// Requires a user with a role.
#[derive(Clone)]
pub struct Role<F> {
    role: Box<str>,
    lookup: F,
}

/// A condition of the application.
#[derive(Clone)]
pub struct Predicate<F>(pub(super) F);

impl Condition for Session {
    async fn check(&self, session: SessionContext) -> Result<(), Denied> {
        session.snapshot().await.map(|_| ()).map_err(Denied::from)
    }
}

impl Condition for User {
    async fn check(&self, session: SessionContext) -> Result<(), Denied> {
        signed_in(&session).await.map(|_| ())
    }
}

impl Condition for Platform {
    async fn check(&self, session: SessionContext) -> Result<(), Denied> {
        let _ = signed_in(&session).await?;
        match session.platform_id().await.map_err(Denied::from)? {
            Some(_) => Ok(()),
            None => Err(Denied::new(DeniedKind::NoPlatform)),
        }
    }
}

impl Condition for Fresh {
    async fn check(&self, session: SessionContext) -> Result<(), Denied> {
        let _ = signed_in(&session).await?;
        let fresh = session.is_fresh(self.0).await.map_err(Denied::from)?;
        if fresh { Ok(()) } else { Err(Denied::new(DeniedKind::Stale)) }
    }
}

impl<F> Role<F> {
    pub(super) const fn new(role: Box<str>, lookup: F) -> Self {
        Self { role, lookup }
    }
}

impl<F, Fut> Condition for Role<F>
where
    F: Fn(String) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<Option<String>, Error>> + Send + 'static,
{
    async fn check(&self, session: SessionContext) -> Result<(), Denied> {
        let user = signed_in(&session).await?;
        // Fails closed: if the lookup fails, the user has no role.
        let found = (self.lookup)(user).await.map_err(Denied::from)?;
        let has = found.is_some_and(|found| *found == *self.role);
        if has { Ok(()) } else { Err(Denied::new(DeniedKind::Forbidden)) }
    }
}

impl<F, Fut> Condition for Predicate<F>
where
    F: Fn(SessionContext) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<bool, Error>> + Send + 'static,
{
    async fn check(&self, session: SessionContext) -> Result<(), Denied> {
        let _ = signed_in(&session).await?;
        let holds = (self.0)(session).await.map_err(Denied::from)?;
        if holds { Ok(()) } else { Err(Denied::new(DeniedKind::Forbidden)) }
    }
}

impl<F> Selective for Role<F> where Self: Condition {}

impl<F> Selective for Predicate<F> where Self: Condition {}

async fn signed_in(session: &SessionContext) -> Result<String, Denied> {
    session.signed_in().await.map_err(Denied::from)
}

impl<F> fmt::Debug for Role<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Role").field("role", &self.role).finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for Predicate<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Predicate(..)")
    }
}
