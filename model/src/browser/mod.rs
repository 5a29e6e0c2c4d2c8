//! A browser whose requests overlap: a jar that is fed with answers in every order of arrival,
//! and sessions that move to other ids meanwhile. Sections 3.2, 3.6 and 3.7 of `docs/protocol.md`.
//!
//! Every request is sent with the cookie that the jar has at that moment, so sequences and overlaps
//! are both explored. The store is one row an id. A change that is not pushed leaves a copy of the
//! row before it, which any later load may believe until the lease is over; `durable` shows that
//! the copies are no worse than that.

mod check;
mod label;
mod load;
pub mod state;
mod steps;
mod transactions;

use self::state::{Request, Row, Stage, State};
pub use self::{
    check::PROMISES,
    label::{Label, Step},
};
use crate::explore::Model;

/// What a request does with the session that its cookie opens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Read,
    /// A write or an `update`: repeated on what it finds after a conflict.
    Write,
    Renew,
    Login,
    Logout,
    /// Ends all sessions of the user.
    RevokeAll,
    /// Ends all but its own.
    RevokeOthers,
}

impl Kind {
    pub const ALL: [Self; 7] = [
        Self::Read,
        Self::Write,
        Self::Renew,
        Self::Login,
        Self::Logout,
        Self::RevokeAll,
        Self::RevokeOthers,
    ];

    /// Nothing is signed in afterwards.
    pub(crate) fn ends(self) -> bool {
        matches!(self, Self::Logout | Self::RevokeAll)
    }
}

/// What the jar opens at first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// A visitor's session, with a basket.
    Visitor,
    /// A user's session, with a basket.
    User,
    /// The session of a login whose second step has not happened; the visitor's session that it
    /// replaces was written since.
    Half,
}

impl Start {
    pub const ALL: [Self; 3] = [Self::Visitor, Self::User, Self::Half];
}

/// The parts of the protocol, each of which can be taken out.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// A renewal in two steps, as with a database; else in one script, as in Redis alone.
    pub two_steps: bool,
    /// The old id becomes a tombstone that says where the session went; else it is dead.
    pub tombstone: bool,
    /// For a short time after the move the old id reads.
    pub grace: bool,
    /// What it reads is what was there at the move, not what is in the heir.
    pub old_content: bool,
    /// It reads only if the heir is alive.
    pub checks_heir: bool,
    /// To end a tombstone is to end all that it leads to.
    pub end_follows: bool,
    /// To keep a tombstone is to keep what it leads to.
    pub keep_follows: bool,
    /// Nobody revokes from a session that was ended.
    pub revoke_checks: bool,
    /// Under a tombstone nothing is begun but a login.
    pub drops_writes: bool,
    /// A request that finds its session ended or moved leaves the cookie as it is.
    pub leaves_cookie: bool,
    /// A second step that finds its own tombstone has happened.
    pub repeats_finish: bool,
    /// Whoever comes first with the new cookie takes nothing over from a tombstone.
    pub takeover_checks: bool,
    /// And ends the new session where the tombstone leads to nothing that lives.
    pub first_checks_heir: bool,
    /// A login under a tombstone compares it in its transaction.
    pub login_checks: bool,
    /// And is named in it beside the first heir.
    pub login_listed: bool,
}

/// The protocol in use.
pub fn current() -> Rules {
    Rules {
        two_steps: true,
        tombstone: true,
        grace: true,
        old_content: true,
        checks_heir: true,
        end_follows: true,
        keep_follows: true,
        revoke_checks: true,
        drops_writes: true,
        leaves_cookie: true,
        repeats_finish: true,
        takeover_checks: true,
        first_checks_heir: true,
        login_checks: true,
        login_listed: true,
    }
}

/// A configuration to explore.
#[derive(Clone, Debug)]
pub struct Browser {
    pub start: Start,
    /// At most three.
    pub requests: Vec<Kind>,
    /// Second steps that fail, replies to them that are lost, changes that are not pushed.
    pub faults: u8,
    pub rules: Rules,
}

impl Model for Browser {
    type State = State;
    type Label = Label;

    fn init(&self) -> Vec<State> {
        let mut rows = [Row::absent(); state::IDS];
        let visitor = Row::alive(false, state::BASKET);
        let mut jar = 0;
        match self.start {
            Start::Visitor => rows[0] = visitor,
            Start::User => rows[0] = Row::alive(true, state::BASKET),
            Start::Half => {
                rows[0] = Row { version: 2, data: state::BASKET | state::EARLIER, ..visitor };
                let line = 1;
                rows[1] = Row { replaces: 0, line, ..Row::alive(true, state::BASKET) };
                jar = 1;
            }
        }
        let mut requests = [Request::unsent(); 3];
        for request in requests.iter_mut().skip(self.requests.len()) {
            request.stage = Stage::Arrived;
        }
        vec![State {
            rows,
            stale: [Row::absent(); state::IDS],
            jar,
            requests,
            epoch: 0,
            next: jar + 1,
            faults: 0,
            logged_out: 0,
            ended: false,
            wrong: 0,
        }]
    }

    fn next(&self, state: &State, out: &mut Vec<(Label, State)>) {
        steps::Steps::new(self, state, out).all();
    }

    fn check(&self, state: &State, out: &mut Vec<&'static str>) {
        self.violations(state, out);
    }
}
