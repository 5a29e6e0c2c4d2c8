//! Users and platforms as they are shown.

use serde::{Deserialize, Serialize};

/// A user. Serializes under the names of its fields, and holds no secret.
///
/// ```
/// use tower_redis_session::directory::UserInfo;
///
/// let mut alice = UserInfo::new("7", "alice");
/// alice.email = Some("alice@example.org".to_owned());
/// alice.role = "member".to_owned();
/// let json = serde_json::to_value(&alice).unwrap();
/// assert_eq!(json["username"], "alice");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[non_exhaustive]
pub struct UserInfo {
    /// The id under which sessions know the user.
    pub id: String,
    /// The name that the user signs in with.
    pub username: String,
    /// The address, if there is one.
    pub email: Option<String>,
    /// What the user may do, in the application's words.
    pub role: String,
    /// False for one who may not sign in any more: such a user is treated as if there was none.
    pub active: bool,
}

impl UserInfo {
    /// An active user without email and with an empty role; set the fields that differ.
    ///
    /// ```
    /// # use tower_redis_session::directory::UserInfo;
    /// let alice = UserInfo::new("7", "alice");
    /// assert!(alice.active && alice.role.is_empty());
    /// ```
    pub fn new(id: impl Into<String>, username: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            username: username.into(),
            email: None,
            role: String::new(),
            active: true,
        }
    }
}

/// An account of a user on a server of their choice. Serializes under the names of its fields, and
/// holds no secret: what opens it are [`Credentials`](crate::directory::Credentials).
///
/// ```
/// use tower_redis_session::directory::PlatformInfo;
///
/// let mut photos = PlatformInfo::new("12", "https://photos.example.net");
/// photos.name = "Photographs".to_owned();
/// photos.kind = "pixelfed".to_owned();
/// photos.username = "alice.l".to_owned();
/// let json = serde_json::to_value(&photos).unwrap();
/// assert_eq!(json["instance_url"], "https://photos.example.net");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[non_exhaustive]
pub struct PlatformInfo {
    /// The id under which sessions know the platform.
    pub id: String,
    /// What the user calls it.
    pub name: String,
    /// The software behind it, such as `mastodon` or `pixelfed`.
    pub kind: String,
    /// Where it is.
    pub instance_url: String,
    /// The name of the account there.
    pub username: String,
    /// Whether it can be used at all.
    pub active: bool,
    /// Whether it is the one for those who have chosen none.
    pub default: bool,
}

impl PlatformInfo {
    /// An active platform that is not the default, its other fields empty; set those that differ.
    ///
    /// ```
    /// # use tower_redis_session::directory::PlatformInfo;
    /// let photos = PlatformInfo::new("12", "https://photos.example.net");
    /// assert!(photos.active && !photos.default);
    /// ```
    pub fn new(id: impl Into<String>, instance_url: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            name: String::new(),
            kind: String::new(),
            instance_url: instance_url.into(),
            username: String::new(),
            active: true,
            default: false,
        }
    }
}
