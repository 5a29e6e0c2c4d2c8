//! What a request finds under its cookie.

use super::{
    Browser,
    state::{Found, Life, NONE, Row, State, ids},
};

/// Went wrong while loading.
pub const HEIR: u8 = 1;
pub const AFTER_GRACE: u8 = 2;
pub const AFTER_END: u8 = 4;
pub const NOTHING: u8 = 8;
/// Went wrong while writing.
pub const BEGUN: u8 = 16;

/// A session as it was found: what it is, its version, its user, its data.
pub type Opened = (Found, u8, bool, u8);

const EMPTY: Opened = (Found::Nothing, 0, false, 0);

/// The row as it is, or the copy of it that is still believed.
pub fn view(s: &State, id: usize, stale: bool) -> &Row {
    if stale && !s.stale[id].is(Life::Absent) { &s.stale[id] } else { &s.rows[id] }
}

/// Something that these ids have become is alive.
pub fn lives(s: &State, set: u8, stale: bool) -> bool {
    // No tombstone leads back, so this ends.
    ids(set).any(|id| {
        let row = view(s, id, stale);
        match row.life {
            Life::Alive => true,
            Life::Moved => lives(s, row.heirs, stale),
            Life::Absent | Life::Ended => false,
        }
    })
}

impl Browser {
    /// The session of the new id is half renewed: whoever comes with it makes the second step.
    pub(super) fn half(s: &State, cookie: u8) -> bool {
        let row = |id: u8| &s.rows[id as usize];
        cookie != NONE && row(cookie).is(Life::Alive) && row(cookie).replaces != NONE
    }

    pub(super) fn load(&self, s: &State, cookie: u8, stale: bool) -> Opened {
        if cookie == NONE {
            return EMPTY;
        }
        let row = view(s, cookie as usize, stale);
        match row.life {
            Life::Absent | Life::Ended => EMPTY,
            Life::Alive => (Found::Own, row.version, row.user, row.data),
            Life::Moved if self.reads(s, row, stale) => {
                let heir = ids(row.heirs).map(|id| &s.rows[id]).find(|heir| heir.is(Life::Alive));
                let of = if self.rules.old_content { row } else { heir.unwrap_or(row) };
                (Found::Grace, row.version, of.user, of.data)
            }
            Life::Moved => (Found::Tombstone, row.version, false, 0),
        }
    }

    fn reads(&self, s: &State, row: &Row, stale: bool) -> bool {
        let heir = !self.rules.checks_heir || lives(s, row.heirs, stale);
        self.rules.grace && !row.late && !row.bare && heir
    }

    /// What is wrong with that.
    pub(super) fn judge(s: &State, cookie: u8, stale: bool, opened: Opened) -> u8 {
        if cookie == NONE || stale {
            return 0;
        }
        let row = &s.rows[cookie as usize];
        let alive = lives(s, row.heirs, false);
        let mut wrong = 0;
        if row.heirs == 0 {
            return wrong;
        }
        if opened.0 == Found::Grace {
            let other = (opened.2, opened.3) != (row.user, row.data);
            wrong |= if other { HEIR } else { 0 };
            wrong |= if row.late { AFTER_GRACE } else { 0 };
            wrong |= if alive { 0 } else { AFTER_END };
        } else if alive && !row.late && !row.bare {
            wrong |= NOTHING;
        }
        wrong
    }
}
