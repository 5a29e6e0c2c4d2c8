//! The users of an application: accounts, platforms, settings.
//!
//! | file | holds |
//! |---|---|
//! | `contract` | `Directory`: the trait that the application implements |
//! | `info` | `UserInfo` and `PlatformInfo` |
//! | `credentials` | a platform's credentials, redacted in `Debug` |
//! | `active` | which platform is the active one |
//! | `session` | a session's user, platform and standing |
//! | `cached` | `CachedDirectory`: a cache in Redis in front of a directory |

mod active;
#[cfg(feature = "redis")]
pub(crate) mod cached;
mod contract;
mod credentials;
mod info;
mod session;

pub use crate::directory::active::active_platform;
#[cfg(feature = "redis")]
pub use crate::directory::cached::{
    CachedDirectory, builder::CachedDirectoryBuilder, invalidation::DirectoryPart,
};
pub use crate::directory::contract::Directory;
pub use crate::directory::credentials::Credentials;
pub use crate::directory::info::{PlatformInfo, UserInfo};
pub use crate::directory::session::UserValidation;
