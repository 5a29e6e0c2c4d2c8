//! Names of the crate's own values. An application neither sees nor writes them.

/// The stamp that the session was signed in with.
pub(crate) const STAMP: &str = "\0stamp";

/// Whether a name is the crate's: it begins with a NUL, so that reserved values stand first.
pub(crate) fn is_reserved(name: impl AsRef<[u8]>) -> bool {
    name.as_ref().first() == Some(&0)
}
