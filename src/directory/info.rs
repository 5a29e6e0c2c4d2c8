//! Data of users and platforms.

use serde::{Deserialize, Serialize};

/// A user. Serializes under the names of its fields; contains no secret.
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
    /// The user id in sessions.
    pub id: String,
    /// The name that the user signs in with.
    pub username: String,
    /// Email address, if any.
    pub email: Option<String>,
    /// The user's role, as the application names it.
    pub role: String,
    /// False for a user who may no longer sign in: such a user is treated as absent.
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

/// A user's account on an external server. Serializes under the names of its fields; contains no
/// secret: its [`Credentials`](crate::directory::Credentials) are separate.
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
    /// The platform id in sessions.
    pub id: String,
    /// The user's name for it.
    pub name: String,
    /// The server's software, such as `mastodon` or `pixelfed`.
    pub kind: String,
    /// URL of the server.
    pub instance_url: String,
    /// Account name on the server.
    pub username: String,
    /// Whether it may be used.
    pub active: bool,
    /// Whether it is the default, for sessions without an active platform.
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
