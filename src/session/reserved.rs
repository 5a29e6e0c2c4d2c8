//! Names of the crate's own values. Applications can neither read nor write them.

/// The stamp of the sign-in.
pub(crate) const STAMP: &str = "\0stamp";
/// Maximum length of a stamp, in bytes.
pub(crate) const STAMP_MAX: usize = 128;

/// The impersonated user.
pub(crate) const ACTING_AS: &str = "\0acting-as";
/// The values from before the impersonation, in one.
pub(crate) const SET_ASIDE: &str = "\0set-aside";
/// The platform from before the impersonation.
pub(crate) const PLATFORM_SET_ASIDE: &str = "\0set-aside-platform";

/// When an external id was revoked.
pub(crate) const REVOKED_AT: &str = "\0revoked-at";

/// The content of a claim on a session of another library.
pub(crate) const CLAIM: &str = "\0claim";

/// Whether a name is reserved: it begins with a NUL, so that reserved values sort first.
pub(crate) fn is_reserved(name: impl AsRef<[u8]>) -> bool {
    name.as_ref().first() == Some(&0)
}
