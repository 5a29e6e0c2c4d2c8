//! One state of the world: the rows, the jar, the requests.

/// Ids that a state has room for.
pub const IDS: usize = 8;
/// No id.
pub const NONE: u8 = 255;
/// What is in a session, by bits: that of a request's number is its write.
pub const BASKET: u8 = 1 << 7;
/// Written under the old id before the exploration begins.
pub const EARLIER: u8 = 1 << 6;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Life {
    Absent,
    Alive,
    /// A tombstone of a move.
    Moved,
    Ended,
}

/// What the store has under an id. Sets of ids are bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Row {
    pub life: Life,
    pub version: u8,
    /// Signed in. That of a tombstone is what it was at the move.
    pub user: bool,
    pub data: u8,
    /// The id that this session still has to end.
    pub replaces: u8,
    /// Where a tombstone leads to.
    pub heirs: u8,
    /// A tombstone without content.
    pub bare: bool,
    /// The grace is over.
    pub late: bool,
    /// For the invariants: the ids that it was made from.
    pub line: u8,
}

impl Row {
    pub fn absent() -> Self {
        Self {
            life: Life::Absent,
            version: 0,
            user: false,
            data: 0,
            replaces: NONE,
            heirs: 0,
            bare: false,
            late: false,
            line: 0,
        }
    }

    pub fn alive(user: bool, data: u8) -> Self {
        Self { life: Life::Alive, version: 1, user, data, ..Self::absent() }
    }

    pub fn is(&self, life: Life) -> bool {
        self.life == life
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Stage {
    Unsent,
    Sent,
    /// It has found a second step that has not happened.
    Half,
    Loaded,
    /// The new session is stored beside the old one.
    Begun,
    /// The answer is on its way.
    Answered,
    Arrived,
}

/// What a request found.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Found {
    /// No session: no cookie, or one that opens nothing.
    Nothing,
    Own,
    /// A tombstone, and what was in it.
    Grace,
    /// A tombstone that reads as no session.
    Tombstone,
}

/// What an answer does to the cookie.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Cookie {
    Leave,
    Set(u8),
    Remove,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Request {
    pub stage: Stage,
    /// The cookie that it was sent with.
    pub cookie: u8,
    pub found: Found,
    pub version: u8,
    pub user: bool,
    pub data: u8,
    /// The user's epoch, as it was before the password was checked.
    pub epoch: u8,
    /// The session that it has begun, and the one that its own has still to end.
    pub new: u8,
    pub replaces: u8,
    pub tries: u8,
    pub answer: Cookie,
    // For the invariants: told of success; its write is stored; those whose answers had arrived when
    // it was sent; a session had been ended before it loaded; a login after the grace.
    pub acked: bool,
    pub saved: bool,
    pub after: u8,
    pub after_end: bool,
    pub late: bool,
}

impl Request {
    pub fn unsent() -> Self {
        Self {
            stage: Stage::Unsent,
            cookie: NONE,
            found: Found::Nothing,
            version: 0,
            user: false,
            data: 0,
            epoch: 0,
            new: NONE,
            replaces: NONE,
            tries: 0,
            answer: Cookie::Leave,
            acked: false,
            saved: false,
            after: 0,
            after_end: false,
            late: false,
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    pub rows: [Row; IDS],
    /// Copies of rows before their last change, which may be believed until the lease is over.
    pub stale: [Row; IDS],
    pub jar: u8,
    pub requests: [Request; 3],
    pub epoch: u8,
    pub next: u8,
    pub faults: u8,
    // For the invariants: ids that somebody logged out, or revoked; a logout or revocation of all
    // was committed; what went wrong in a step.
    pub logged_out: u8,
    pub ended: bool,
    pub wrong: u8,
}

/// The ids in a set.
pub fn ids(set: u8) -> impl Iterator<Item = usize> {
    (0..IDS).filter(move |id| set & 1 << id != 0)
}
