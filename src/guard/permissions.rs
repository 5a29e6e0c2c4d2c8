//! Permissions of a user, looked up once per request.

use std::{collections::BTreeSet, fmt, future::Future, sync::Arc};

use crate::{
    context::SessionContext,
    error::Error,
    guard::{
        condition::{Condition, Selective},
        denied::{Denied, DeniedKind},
    },
};

/// The application's source of permissions: a function of the user's id, called at most once per
/// request, shared by nested guards and handlers ([`of`](Self::of)). Clones are the same source;
/// create it once and share it.
///
/// Permissions are not kept in the session: they would remain after an administrator revokes them.
///
/// ```
/// use tower_redis_session::guard::{Permissions, RequireLayer};
///
/// let permissions = Permissions::new(|user: String| async move {
///     Ok(if user == "alice" { vec!["captions.edit".to_owned()] } else { vec![] })
/// });
/// let edit = RequireLayer::permission("captions.edit", &permissions);
/// let either = RequireLayer::any_of(["captions.edit", "captions.review"], &permissions);
/// let both = RequireLayer::all_of(["captions.edit", "users.edit"], &permissions);
/// ```
pub struct Permissions<F>(Arc<F>);

/// The condition of [`RequireLayer::permission`](crate::guard::RequireLayer::permission), `any_of`
/// and `all_of`.
pub struct HasPermissions<F> {
    names: Arc<[Box<str>]>,
    all: bool,
    permissions: Permissions<F>,
}

/// The reply of a source in this request. Holds the source, so that no other one gets its address.
struct Asked<F> {
    source: Arc<F>,
    user: String,
    permissions: Arc<BTreeSet<String>>,
}

impl<F, Fut> Permissions<F>
where
    F: Fn(String) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Vec<String>, Error>> + Send + 'static,
{
    /// A source that calls `lookup`. Its duration is not bounded here. An error denies the request,
    /// `Unavailable` with 503.
    ///
    /// ```
    /// # use tower_redis_session::guard::Permissions;
    /// let none = Permissions::new(|_user: String| async move { Ok(vec![]) });
    /// ```
    #[must_use]
    pub fn new(lookup: F) -> Self {
        Self(Arc::new(lookup))
    }

    /// Permissions of the session's user; empty if no user is signed in.
    ///
    /// # Errors
    ///
    /// Those of [`SessionContext::user_id`] and of the source.
    ///
    /// ```
    /// # use tower_redis_session::guard::Permissions;
    /// # tower_redis_session::testing::handle(|session| async move {
    /// let permissions = Permissions::new(|user: String| async move { Ok(vec![user]) });
    /// assert!(permissions.of(&session).await?.is_empty());
    /// session.login("alice").await?;
    /// assert!(permissions.of(&session).await?.contains("alice"));
    /// # Ok(()) });
    /// ```
    pub async fn of(&self, session: &SessionContext) -> Result<Arc<BTreeSet<String>>, Error> {
        let Some(user) = session.user_id().await? else { return Ok(Arc::default()) };
        let is_it = |asked: &Asked<F>| Arc::ptr_eq(&asked.source, &self.0) && asked.user == user;
        if let Some(asked) = session.remembered(is_it) {
            return Ok(Arc::clone(&asked.permissions));
        }
        let permissions = Arc::new((self.0)(user.clone()).await?.into_iter().collect());
        let asked = Asked { source: Arc::clone(&self.0), user, permissions };
        Ok(Arc::clone(&session.remember(asked).permissions))
    }
}

impl<F> HasPermissions<F> {
    pub(super) fn new<N: Into<Box<str>>>(
        names: impl IntoIterator<Item = N>,
        all: bool,
        permissions: &Permissions<F>,
    ) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        Self { names, all, permissions: permissions.clone() }
    }
}

impl<F, Fut> Condition for HasPermissions<F>
where
    F: Fn(String) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Vec<String>, Error>> + Send + 'static,
{
    async fn check(&self, session: SessionContext) -> Result<(), Denied> {
        let _ = session.signed_in().await?;
        // Fails closed: if the lookup fails, the user has no permissions.
        let own = self.permissions.of(&session).await?;
        let mut names = self.names.iter().map(|name| own.contains(&**name));
        let holds = if self.all { names.all(|has| has) } else { names.any(|has| has) };
        // Fails closed: `all` of an empty list would be true.
        let holds = holds && !self.names.is_empty();
        if holds { Ok(()) } else { Err(Denied::new(DeniedKind::Forbidden)) }
    }
}

impl<F> Selective for HasPermissions<F> where Self: Condition {}

impl<F> Clone for Permissions<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<F> Clone for HasPermissions<F> {
    fn clone(&self) -> Self {
        let (names, permissions) = (Arc::clone(&self.names), self.permissions.clone());
        Self { names, all: self.all, permissions }
    }
}

impl<F> fmt::Debug for Permissions<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permissions(..)")
    }
}

impl<F> fmt::Debug for HasPermissions<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HasPermissions")
            .field("names", &self.names)
            .field("all", &self.all)
            .finish_non_exhaustive()
    }
}
