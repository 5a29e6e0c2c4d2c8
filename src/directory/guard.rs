//! Guard condition: a signed-in user whom the directory still has as active.

use std::{fmt, sync::Arc};

use crate::{
    context::SessionContext,
    directory::{Directory, UserValidation},
    error::{Error, ErrorKind},
    guard::{Condition, Denied, DeniedKind},
};

/// A condition for [`RequireLayer`](crate::guard::RequireLayer): a user is signed in and
/// [`validate_user`](SessionContext::validate_user) finds them valid. The session of any other user
/// ends. Reads from store and directory on every request, so use it on routes where that is worth
/// the cost.
///
/// ```
/// use std::sync::Arc;
/// use tower_redis_session::{directory::ValidUser, guard::RequireLayer, testing::Accounts};
///
/// let guard = RequireLayer::new(ValidUser::new(Arc::new(Accounts)));
/// ```
pub struct ValidUser<D>(Arc<D>);

impl<D: Directory + 'static> ValidUser<D> {
    /// A condition that reads from `directory`.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use tower_redis_session::{directory::ValidUser, testing::Accounts};
    /// let condition = ValidUser::new(Arc::new(Accounts));
    /// ```
    #[must_use]
    pub const fn new(directory: Arc<D>) -> Self {
        Self(directory)
    }
}

impl<D: Directory + 'static> Condition for ValidUser<D> {
    async fn check(&self, session: SessionContext) -> Result<(), Denied> {
        let ended = |why| Err(Denied::from(Error::new(ErrorKind::Revoked, why)));
        match session.validate_user(&*self.0).await? {
            UserValidation::User(_) => Ok(()),
            UserValidation::Anonymous => Err(Denied::new(DeniedKind::Unauthenticated)),
            UserValidation::Ended => ended("the user is no longer active"),
            UserValidation::StampChanged => ended("the stamp of the user has changed"),
        }
    }
}

impl<D> Clone for ValidUser<D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<D> fmt::Debug for ValidUser<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ValidUser(..)")
    }
}
