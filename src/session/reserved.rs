//! Names of the crate's own values. An application neither sees nor writes them.

/// The stamp that the session was signed in with.
pub(crate) const STAMP: &str = "\0stamp";

/// The user that the session's own user acts as.
pub(crate) const ACTING_AS: &str = "\0acting-as";
/// The application's values from before that, all in one.
pub(crate) const SET_ASIDE: &str = "\0set-aside";
/// The platform from before that.
pub(crate) const PLATFORM_SET_ASIDE: &str = "\0set-aside-platform";

/// Whether a name is the crate's: it begins with a NUL, so that reserved values stand first.
pub(crate) fn is_reserved(name: impl AsRef<[u8]>) -> bool {
    name.as_ref().first() == Some(&0)
}
