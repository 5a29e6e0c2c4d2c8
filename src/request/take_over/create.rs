//! Steps 4 to 6: claim, session, confirmation.

use crate::{
    error::{Error, ErrorKind},
    request::{
        commit::{Settled, audited, known, login_settled},
        old_library::OldContent,
        take_over::{
            claims,
            steps::{Attempt, Steps, Taken},
        },
    },
    session::{
        changes::{
            Changes,
            plan::{Plan, Writer},
        },
        claim::{Claim, Nonce, Target},
        json,
        record::Record,
        token::SessionId,
    },
    store::{Expected, LoginWrite, SaveOutcome},
    telemetry::event::Event,
};

impl Steps<'_> {
    /// The record of the new session; `None` if it has no content.
    pub(super) fn record(&self, content: OldContent) -> Result<Option<Record>, Error> {
        let mut changes = Changes::default();
        if let Some(user) = &content.user {
            changes.login(user, None);
            if let Some(stamp) = &content.stamp {
                changes.set_stamp(json::encode(&**stamp)?);
            }
        }
        for (name, json) in content.values {
            if let Some(json) = json {
                changes.insert(&name, json);
            }
        }
        let writer = Writer { mark: self.backend.write_ids.draw()?, device: self.device.clone() };
        let (now, policy) = (self.backend.clock.now(), &self.backend.rules.policy);
        Ok(match changes.plan(None, now, policy, &writer)? {
            // When the user authenticated is unknown.
            Plan::Create(record) => Some(Record { authenticated: None, ..record }),
            _ => None,
        })
    }

    /// Steps 4 to 6.
    pub(super) async fn create(&self, version: u64, record: Record, epoch: Option<u64>) -> Attempt {
        let nonce = Nonce::generate()?;
        let Some(key) = self.rules.keys.first() else { return Ok(Some(Taken::Nothing)) };
        let token = self.backend.placed(key.token(&nonce, &self.old.key)?, record.user(), None);
        let id = self.backend.rules.tokens.id(&token);
        let target = Target { nonce, id };
        let claimed = version.saturating_add(1);
        if !self.write(Claim::Claimed(target), claimed).await? {
            return Ok(None);
        }
        let stored = self.backend.closed(&token, &id, &record)?.into_owned();
        match self.store(&id, &stored, epoch).await {
            Ok(Settled::Saved) => {}
            Err(error) if error.kind() == ErrorKind::Revoked => {
                let _ = self.write(Claim::Closed, claimed.saturating_add(1)).await;
                return Ok(Some(Taken::Nothing));
            }
            Ok(_) => return Err(Error::unavailable("no new id is accepted")),
            Err(error) => return Err(error),
        }
        // Only now may a response send the token.
        if !self.write(Claim::Done(target), claimed.saturating_add(1)).await? {
            let _ = self.backend.store.delete(&id).await?;
            return Ok(None);
        }
        self.backend.forget_old(self.rules, self.old.clone());
        self.tell(id, &record);
        Ok(Some(Taken::Over { id, token, record: Some(stored) }))
    }

    async fn write(&self, claim: Claim, version: u64) -> Result<bool, Error> {
        let life = self.rules.life(self.backend.clock.now());
        claims::write(self.backend, &self.claim_id, claim, version, life).await
    }

    /// Stores the new session. Another id would need another claim, so this one is repeated.
    async fn store(
        &self,
        id: &SessionId,
        record: &Record,
        epoch: Option<u64>,
    ) -> Result<Settled, Error> {
        let limit = self.backend.rules.sessions_per_user;
        let login = LoginWrite { epoch, limit, ..LoginWrite::new(id, record) };
        match record.user() {
            Some(_) => login_settled(self.backend, login).await,
            None => match self.backend.store.save(id, Expected::Absent, record).await? {
                // No other request knows the id.
                SaveOutcome::Unknown(_) if self.backend.store.load(id).await?.is_some() => {
                    Ok(Settled::Saved)
                }
                outcome => known(outcome),
            },
        }
    }

    fn tell(&self, id: SessionId, record: &Record) {
        let (user, device) = audited(record);
        if let (Some(_), Some(user)) = (self.backend.rules.sessions_per_user, &user) {
            self.backend.watches.hint(user);
        }
        let format = self.rules.library.format();
        self.backend.events.emit(Event::Imported { id, user, device, format });
    }
}
