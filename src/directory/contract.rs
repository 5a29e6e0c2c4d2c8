//! Contract of a directory: users, their platforms, their settings.

use std::future::Future;

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    directory::{
        credentials::Credentials,
        info::{PlatformInfo, UserInfo},
    },
    error::Error,
};

/// The users of an application, their platforms and their settings. Implemented by the application
/// over its own data.
///
/// With a directory a session can return [its user](crate::SessionContext::user_info) and [the
/// active platform](crate::SessionContext::platform_info). `CachedDirectory`, itself a directory,
/// puts a cache in Redis in front of it.
///
/// Calls are not bounded in time by this crate: implementations should set their own timeouts.
///
/// # Errors
///
/// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if the source is unreachable. It is
/// never treated as "no such user".
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
    /// A user's settings. A cache stores them as JSON, so they must survive a round trip through
    /// it.
    type Settings: Serialize + DeserializeOwned + Send;

    /// The user with this id, or `None`. A user who may no longer sign in is returned with
    /// [`active`](UserInfo::active) false.
    fn user(&self, user_id: &str) -> impl Future<Output = Result<Option<UserInfo>, Error>> + Send;

    /// The user's current stamp: a session with another stamp
    /// ([`set_stamp`](crate::SessionContext::set_stamp)) ends when it is
    /// [validated](crate::SessionContext::validate_user), and so it does with `None`. Called only
    /// for a session that has a stamp, and not cached. Defaults to `None`.
    fn stamp(&self, _: &str) -> impl Future<Output = Result<Option<String>, Error>> + Send {
        std::future::ready(Ok(None))
    }

    /// All platforms of a user, in the order in which they are shown.
    fn platforms(
        &self,
        user_id: &str,
    ) -> impl Future<Output = Result<Vec<PlatformInfo>, Error>> + Send;

    /// The settings of a user, or `None` if there are none: defaults are up to the application.
    fn settings(
        &self,
        user_id: &str,
    ) -> impl Future<Output = Result<Option<Self::Settings>, Error>> + Send;

    /// Credentials for one of the user's platforms, or `None` if there are none or no such
    /// platform.
    fn credentials(
        &self,
        user_id: &str,
        platform_id: &str,
    ) -> impl Future<Output = Result<Option<Credentials>, Error>> + Send;
}
