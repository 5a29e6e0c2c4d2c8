//! Users and platforms as they are shown.

use serde::{Deserialize, Serialize};

/// A user. Serializes under the names of its fields, and holds no secret.
///
/// ```
/// use tower_redis_session::directory::UserInfo;
///
/// let alice = UserInfo {
///     id: "7".into(),
///     username: "alice".into(),
///     email: Some("alice@example.org".into()),
///     role: "member".into(),
///     active: true,
/// };
/// let json = serde_json::to_value(&alice).unwrap();
/// assert_eq!(json["username"], "alice");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
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

/// An account of a user on a server of their choice. Serializes under the names of its fields, and
/// holds no secret: what opens it are [`Credentials`](crate::directory::Credentials).
///
/// ```
/// use tower_redis_session::directory::PlatformInfo;
///
/// let photos = PlatformInfo {
///     id: "12".into(),
///     name: "Photographs".into(),
///     kind: "pixelfed".into(),
///     instance_url: "https://photos.example.net".into(),
///     username: "alice.l".into(),
///     active: true,
///     default: false,
/// };
/// let json = serde_json::to_value(&photos).unwrap();
/// assert_eq!(json["instance_url"], "https://photos.example.net");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
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
