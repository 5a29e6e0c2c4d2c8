//! The users of an application: accounts, platforms, settings, credentials.
//!
//! Implement [`Directory`] over the application's user data, and a session can return [its
//! user](crate::SessionContext::user_info) and [the active
//! platform](crate::SessionContext::platform_info), and [end when the user is deactivated or
//! deleted](crate::SessionContext::validate_user). `CachedDirectory` (feature `redis`) caches the
//! data in Redis.
//!
//! ```
//! use tower_redis_session::{directory::UserValidation, testing::Accounts};
//!
//! # tower_redis_session::testing::handle(|session| async move {
//! session.login("alice").await?;
//! let user = session.user_info(&Accounts).await?;
//! assert_eq!(user.map(|user| user.username).as_deref(), Some("alice"));
//! # Ok(())
//! # });
//! ```

// | file | holds |
// |---|---|
// | `contract` | `Directory`: the trait that the application implements |
// | `info` | `UserInfo` and `PlatformInfo` |
// | `credentials` | a platform's credentials, redacted in `Debug` |
// | `active` | which platform is the active one |
// | `session` | the user and platform of a session, and their validation |
// | `guard` | guard condition: the directory still has the user as active |
// | `cached` | `CachedDirectory`: a cache in Redis in front of a directory |

mod active;
#[cfg(feature = "redis")]
pub(crate) mod cached;
mod contract;
mod credentials;
mod guard;
mod info;
mod session;

pub use crate::directory::active::active_platform;
#[cfg(feature = "redis")]
pub use crate::directory::cached::{
    CachedDirectory, builder::CachedDirectoryBuilder, invalidation::DirectoryPart,
};
pub use crate::directory::contract::Directory;
pub use crate::directory::credentials::Credentials;
pub use crate::directory::guard::ValidUser;
pub use crate::directory::info::{PlatformInfo, UserInfo};
pub use crate::directory::session::UserValidation;
