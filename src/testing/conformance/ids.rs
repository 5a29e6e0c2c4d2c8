//! Ids for the sessions of the suite.

use crate::{
    session::token::{SessionId, Token},
    testing::conformance::{Subject, USER, healthy},
};

impl Subject {
    /// An id for a session of the user of [`record`](Self::record), or for one without.
    pub(super) fn fresh_id(&self) -> SessionId {
        self.fresh_id_of(USER)
    }

    pub(super) fn fresh_id_of(&self, user: &str) -> SessionId {
        let token = healthy("the system's random source", Token::generate());
        match self.0.placement() {
            Some(placement) => token.tagged(placement.tag(user)).id(),
            None => token.id(),
        }
    }
}

pub(super) fn random_id() -> SessionId {
    healthy("the system's random source", Token::generate()).id()
}
