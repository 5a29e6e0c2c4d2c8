//! What an application knows of its users: who they are, their platforms, their settings.

use std::future::Future;

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    directory::{
        credentials::Credentials,
        info::{PlatformInfo, UserInfo},
    },
    error::Error,
};

/// The users of an application, their platforms and their settings: implemented by the application
/// over whatever keeps them.
///
/// Who has one can ask a session [who its user is](crate::SessionContext::user_info), [which
/// platform is active](crate::SessionContext::platform_info), and put a cache in Redis in front of
/// it: `CachedDirectory`, which is a directory as well.
///
/// Nothing here bounds a wait: give whatever you ask a limit of its own.
///
/// # Errors
///
/// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) where the source does not answer. It
/// is never taken for "no such user".
///
/// ```
/// use tower_redis_session::{Error, directory::{Credentials, Directory, PlatformInfo, UserInfo}};
///
/// struct Accounts;
///
/// impl Directory for Accounts {
///     type Settings = u32;
///
///     async fn user(&self, user_id: &str) -> Result<Option<UserInfo>, Error> {
///         Ok((user_id == "7").then(|| UserInfo::new("7", "alice")))
///     }
///
///     async fn platforms(&self, _: &str) -> Result<Vec<PlatformInfo>, Error> {
///         Ok(Vec::new())
///     }
///
///     async fn settings(&self, _: &str) -> Result<Option<u32>, Error> {
///         Ok(None)
///     }
///
///     async fn credentials(&self, _: &str, _: &str) -> Result<Option<Credentials>, Error> {
///         Ok(None)
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// assert_eq!(Accounts.user("7").await?.unwrap().username, "alice");
/// # Ok(())
/// # }
/// ```
pub trait Directory: Send + Sync {
    /// What a user may set. A cache keeps it as JSON, so it has to survive that.
    type Settings: Serialize + DeserializeOwned + Send;

    /// The user of that id, `None` if there is none. One who may not sign in any more is there and
    /// not [active](UserInfo::active).
    fn user(&self, user_id: &str) -> impl Future<Output = Result<Option<UserInfo>, Error>> + Send;

    /// The user's current stamp: a session that was given another one
    /// ([`set_stamp`](crate::SessionContext::set_stamp)) ends when it is
    /// [validated](crate::SessionContext::validate_user), and so it does with `None`. Only asked
    /// for a session that has a stamp, and not cached. Defaults to `None`.
    fn stamp(&self, _: &str) -> impl Future<Output = Result<Option<String>, Error>> + Send {
        std::future::ready(Ok(None))
    }

    /// All platforms of a user, in the order in which they are offered.
    fn platforms(
        &self,
        user_id: &str,
    ) -> impl Future<Output = Result<Vec<PlatformInfo>, Error>> + Send;

    /// What a user has set, `None` if nothing: the defaults are the application's.
    fn settings(
        &self,
        user_id: &str,
    ) -> impl Future<Output = Result<Option<Self::Settings>, Error>> + Send;

    /// Credentials for one of the user's platforms, `None` if there are none, or no such platform.
    fn credentials(
        &self,
        user_id: &str,
        platform_id: &str,
    ) -> impl Future<Output = Result<Option<Credentials>, Error>> + Send;
}
