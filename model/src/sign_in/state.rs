//! One state of a sign-in and what happens beside it.

use super::SignIn;

/// The anonymous session.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Old {
    Alive {
        version: u8,
        content: u8,
    },
    /// Killed for the session of this number, counted from 1; 0 for nobody.
    Tombstone(u8),
    None,
}

/// A session of the user.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord, Default)]
pub struct New {
    pub alive: bool,
    pub content: u8,
    /// The version of the old session that it still has to end.
    pub replaces: Option<u8>,
    pub user: bool,
    pub listed: bool,
    pub version: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Command {
    /// Creates the new id (user's slot): epoch compared, listed, marked with what it replaces.
    Create {
        new: u8,
        content: u8,
        version: u8,
        epoch: u8,
        marked: bool,
    },
    /// Kills the old one at a version (old one's slot), for the new id.
    KillOld {
        new: u8,
        version: u8,
    },
    /// Forgets the mark.
    Unmark {
        new: u8,
        version: u8,
    },
    /// Takes over what was written under the old id since.
    TakeOver {
        new: u8,
        new_version: u8,
        content: u8,
        version: u8,
    },
    KillNew {
        new: u8,
    },
    Save {
        version: u8,
        content: u8,
    },
    Logout,
    Revoke,
}

/// Who waits for a command's answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Waiter {
    Login,
    Save,
    Logout,
    /// The request with the new cookie.
    NewId,
    Revoke,
    Nobody,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Sent {
    pub command: Command,
    pub waiter: Waiter,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Login {
    NotBegun,
    Creating,
    Killing,
    Undoing,
    Over,
}

/// A request beside the sign-in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Request {
    NotBegun,
    Waiting,
    Over,
}

/// The request that uses the new id and finishes the sign-in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum NewId {
    Idle,
    KillingOld,
    TakingOver,
    KillingNew,
}

/// What a kill of the old session found.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Killed {
    /// Nothing, or another's tombstone.
    Gone,
    /// It was killed, now or before, for this session.
    Ours,
    /// Another version.
    Newer,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    pub old: Old,
    pub new: [New; 2],
    pub epoch: u8,
    pub wire: Vec<Sent>,
    pub login: Login,
    /// What the sign-in loaded, and which new id it makes.
    pub loaded_version: u8,
    pub loaded_content: u8,
    pub loaded_epoch: u8,
    pub makes: u8,
    pub tries: u8,
    pub new_id: NewId,
    pub new_id_version: u8,
    pub save: Request,
    pub found: Killed,
    pub logout: Request,
    pub revoke: Request,
    // What the client was told: the new cookie by its number, counted from 1.
    pub cookie_old: bool,
    pub cookie_new: u8,
    pub acked: bool,
    pub saved: bool,
    pub logged_out: bool,
    pub revoked: bool,
    /// The sign-in read the epoch before the revocation ran.
    pub stale: bool,
    pub timeouts: u8,
    pub crashes: u8,
    pub expired: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Label {
    Load,
    Execute(Sent),
    Timeout(Sent),
    Crash,
    UseNew,
    SaveLoad,
    Logout,
    Revoke,
    TombstoneExpires,
}

impl State {
    pub(super) fn initial(m: &SignIn) -> Self {
        let request = |wanted: bool| if wanted { Request::NotBegun } else { Request::Over };
        Self {
            old: Old::Alive { version: 1, content: 0 },
            new: [New::default(); 2],
            epoch: 0,
            wire: Vec::new(),
            login: Login::NotBegun,
            loaded_version: 0,
            loaded_content: 0,
            loaded_epoch: 0,
            makes: 0,
            tries: 0,
            new_id: NewId::Idle,
            new_id_version: 0,
            save: request(m.save),
            found: Killed::Gone,
            logout: request(m.logout),
            revoke: request(m.revoke),
            cookie_old: true,
            cookie_new: 0,
            acked: false,
            saved: false,
            logged_out: false,
            revoked: false,
            stale: false,
            timeouts: 0,
            crashes: 0,
            expired: false,
        }
    }

    pub(super) fn send(&mut self, command: Command, waiter: Waiter) {
        let sent = Sent { command, waiter };
        if waiter == Waiter::Nobody && self.wire.contains(&sent) {
            return;
        }
        self.wire.push(sent);
        self.wire.sort_unstable();
    }
}
