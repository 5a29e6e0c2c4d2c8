//! Format of a cache entry: pure.
//!
//! `TRD`, a version byte, a letter for the kind, the payload.

use std::fmt;

/// Maximum size of an entry, in bytes. A larger one is not cached.
const ENTRY_MAX: usize = 64 * 1024;
const MAGIC: &[u8; 3] = b"TRD";
const VERSION: u8 = 1;

/// The part of a user's data in an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    User,
    Platforms,
    Settings,
    Credentials,
}

/// Why bytes are not an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Malformed,
    Version(u8),
    /// An entry of another kind, moved to this key.
    Kind,
    TooLarge,
}

impl Kind {
    /// The letter in the key and in the envelope.
    pub(super) const fn letter(self) -> char {
        match self {
            Self::User => 'u',
            Self::Platforms => 'p',
            Self::Settings => 's',
            Self::Credentials => 'c',
        }
    }
}

/// `None` for a payload that is too large.
pub(super) fn wrap(kind: Kind, payload: &[u8]) -> Option<Vec<u8>> {
    let entry = [MAGIC, &[VERSION, letter(kind)][..], payload].concat();
    (entry.len() <= ENTRY_MAX).then_some(entry)
}

pub(super) fn unwrap(kind: Kind, entry: &[u8]) -> Result<&[u8], Fault> {
    if entry.len() > ENTRY_MAX {
        return Err(Fault::TooLarge);
    }
    let rest = entry.strip_prefix(MAGIC).ok_or(Fault::Malformed)?;
    match rest.split_first_chunk() {
        Some(([VERSION, found], payload)) if *found == letter(kind) => Ok(payload),
        Some(([VERSION, _], _)) => Err(Fault::Kind),
        Some(([version, _], _)) => Err(Fault::Version(*version)),
        None => Err(Fault::Malformed),
    }
}

const fn letter(kind: Kind) -> u8 {
    kind.letter() as u8
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("not a directory entry"),
            Self::Version(version) => write!(f, "an entry of version {version}"),
            Self::Kind => f.write_str("an entry of another kind"),
            Self::TooLarge => f.write_str("larger than an entry may be"),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::directory::cached::envelope::*;

    const ALL: [Kind; 4] = [Kind::User, Kind::Platforms, Kind::Settings, Kind::Credentials];

    #[test]
    fn what_was_wrapped_comes_out_and_only_as_what_it_is() {
        for kind in ALL {
            let entry = wrap(kind, b"payload").unwrap();
            for asked in ALL {
                let expected = if asked == kind { Ok(&b"payload"[..]) } else { Err(Fault::Kind) };
                assert_eq!(unwrap(asked, &entry), expected, "{kind:?} as {asked:?}");
            }
        }
        assert_eq!(unwrap(Kind::User, &wrap(Kind::User, b"").unwrap()), Ok(&b""[..]));
    }

    #[test]
    fn anything_else_is_no_entry() {
        let entry = wrap(Kind::User, b"").unwrap();
        for length in 0..entry.len() {
            assert_eq!(unwrap(Kind::User, &entry[..length]), Err(Fault::Malformed), "{length}");
        }
        for (name, entry, fault) in [
            ("other letters", &b"XRD\x01u"[..], Fault::Malformed),
            ("a later version", b"TRD\x02u{}", Fault::Version(2)),
            ("no version", b"TRD\x00u{}", Fault::Version(0)),
            ("an unknown kind", b"TRD\x01x{}", Fault::Kind),
        ] {
            assert_eq!(unwrap(Kind::User, entry), Err(fault), "{name}");
        }
    }

    #[test]
    fn the_size_is_bounded_both_ways() {
        let most = vec![b' '; ENTRY_MAX - 5];
        let mut entry = wrap(Kind::Settings, &most).unwrap();
        assert_eq!(unwrap(Kind::Settings, &entry), Ok(&most[..]));
        entry.push(b' ');
        assert_eq!(unwrap(Kind::Settings, &entry), Err(Fault::TooLarge));
        assert!(wrap(Kind::Settings, &entry[4..]).is_none());
    }
}
