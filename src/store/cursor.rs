//! Position in an enumeration of all keys or rows, for the command line.

/// Position in an enumeration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cursor {
    /// The cursor of a `SCAN`.
    Scan(u64),
    /// After the row with this id.
    Row(String),
}

impl Cursor {
    /// The cursor for `SCAN` after this position, from the start without one.
    pub(crate) fn scan(after: Option<&Self>) -> u64 {
        if let Some(Self::Scan(cursor)) = after { *cursor } else { 0 }
    }

    /// The id after which rows are read; empty from the start.
    pub(crate) fn row(after: Option<&Self>) -> &str {
        if let Some(Self::Row(id)) = after { id } else { "" }
    }
}
