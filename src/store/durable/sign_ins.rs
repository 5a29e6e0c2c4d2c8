//! Failed attempts to sign in: counted in the database.

use crate::{
    error::Error,
    store::{
        attempts::{AttemptOutcome, AttemptWrite},
        durable::{engine::Engine, load::is_away},
    },
};

impl Engine {
    pub(super) async fn attempt(&self, write: &AttemptWrite) -> Result<AttemptOutcome, Error> {
        let asked = self.now();
        self.database().purge_when_due(self.parameters.stretch);
        let outcome = self.database().attempt(write).await;
        self.database_said(asked, outcome.as_ref().err().filter(|error| is_away(error)));
        outcome
    }
}
