//! Redis alone on a cluster, where every session of a user is in the user's slot: a sign-in from an
//! anonymous session, whose slot is another one, beside a write to that session, a logout of it,
//! and a revocation of all of the user's sessions.
//!
//! A study: the crate does not support Redis Cluster. A script is one step. What is sent may be
//! executed at any later time, also after its sender gave up or died.

mod check;
mod execute;
pub mod state;
mod steps;

use self::state::{Label, State};
use crate::explore::Model;

#[derive(Clone, Copy, Debug)]
pub struct SignIn {
    pub timeouts: u8,
    pub crashes: u8,
    /// What happens beside the sign-in.
    pub save: bool,
    pub logout: bool,
    pub revoke: bool,
    /// The new id carries what it replaces.
    pub mark: bool,
    /// The kill of the old one compares its version.
    pub fenced: bool,
    /// The old one is killed first.
    pub kill_first: bool,
    /// A tombstone tells for whom the old one was killed.
    pub heir: bool,
    pub epoch: bool,
    /// A 503 after the create carries the new cookie.
    pub tell: bool,
    /// Tombstones may expire.
    pub expire: bool,
}

impl Model for SignIn {
    type State = State;
    type Label = Label;

    fn init(&self) -> Vec<State> {
        vec![State::initial(self)]
    }

    fn next(&self, s: &State, out: &mut Vec<(Label, State)>) {
        self.steps(s, out);
    }

    fn check(&self, s: &State, out: &mut Vec<&'static str>) {
        check::violations(s, out);
    }
}
