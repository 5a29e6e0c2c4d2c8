//! Execution of a plan in the store: create, save, renew, touch, delete.

use std::sync::Arc;

use crate::{
    error::{Error, ErrorKind},
    request::{
        RequestSession,
        commit::confirm::{
            Renewed, Settled, delete_settled, known, login_settled, renew_settled, save_settled,
        },
        state::{CookieChange, Held},
    },
    session::{
        changes::plan::Plan,
        record::Record,
        token::{SessionId, Token},
    },
    store::{Expected, LoginWrite, SaveOutcome},
    telemetry::{
        cause::{By, Cause},
        event::{Event, EventDevice},
    },
};

/// Number of fresh ids that a create tries; a slow store may need a second one.
const CREATE_TRIES: usize = 3;

impl RequestSession {
    /// `epoch` is the user's epoch from before the credentials were checked.
    pub(super) async fn carry_out(
        &self,
        plan: Plan,
        held: Option<&Held>,
        epoch: Option<u64>,
    ) -> Result<Settled, Error> {
        match (plan, held) {
            (Plan::Create(record), _) => self.create(record, epoch).await,
            (Plan::Update(record), Some(held)) => self.write(held, record).await,
            // A second sign-in from before the first: both may continue, since it is unknown whose
            // cookie the client keeps.
            (Plan::Renew(record), Some(Held { heir: Some(_), .. })) => {
                self.create(record, epoch).await
            }
            (Plan::Renew(record), Some(held)) => self.renew_as(held, record, epoch).await,
            (Plan::Destroy, Some(held)) => self.end_emptied(held).await,
            (Plan::Touch(activity), Some(held)) => {
                self.touch_later(held, activity);
                Ok(Settled::Saved)
            }
            _ => Ok(Settled::Saved),
        }
    }

    async fn create(&self, record: Record, epoch: Option<u64>) -> Result<Settled, Error> {
        self.refuse_while_streaming()?;
        let (store, limit) = (&self.backend.store, self.backend.rules.sessions_per_user);
        let mut cause = None;
        for _ in 0..CREATE_TRIES {
            let token = self.backend.placed(Token::generate()?, record.user(), None);
            let id = self.backend.rules.tokens.id(&token);
            let stored = self.backend.closed(&token, &id, &record)?;
            let login = LoginWrite { epoch, limit, ..LoginWrite::new(&id, &stored) };
            let created = match record.user() {
                Some(_) => login_settled(&self.backend, login).await?,
                None => match store.save(&id, Expected::Absent, &stored).await? {
                    // It may have been stored or still be. No client knows that id, and it expires
                    // by itself.
                    SaveOutcome::Unknown(error) => {
                        cause = Some(error);
                        continue;
                    }
                    outcome => known(outcome)?,
                },
            };
            if matches!(created, Settled::Saved) {
                drop(stored);
                self.enter_new(&id, &record).await?;
                let (user, device) = audited(&record);
                self.backend.events.emit(Event::Created { id, user, device });
                let _ = self.hand_out(token, id, record);
                return Ok(Settled::Saved);
            }
            tracing::warn!("fresh session id rejected");
        }
        cause.map_or(Ok(Settled::Taken), Err)
    }

    async fn write(&self, held: &Held, record: Record) -> Result<Settled, Error> {
        let (backend, token, record) = (&self.backend, &held.token, Arc::new(record));
        let write = backend.writes.begin(held.id, &record, backend.longest_wait());
        backend.prolong(&held.record, &record).await?;
        let stored = backend.closed(token, &held.id, &record)?;
        let settled = save_settled(backend, &held.id, &stored).await?;
        match (&settled, write) {
            (Settled::Saved, Some(write)) => backend.write_joined(write, token, &record),
            (Settled::Conflict(current), Some(write)) => {
                backend.join_nothing(write, token, current);
            }
            _ => {}
        }
        if matches!(settled, Settled::Saved) {
            drop(stored);
            let (before, now) = (held.record.deadlines, record.deadlines);
            self.hold(held.id, token.clone(), record);
            self.hand_out_again_if_it_lasts(token, before, now);
        }
        Ok(settled)
    }

    async fn renew_as(
        &self,
        held: &Held,
        record: Record,
        epoch: Option<u64>,
    ) -> Result<Settled, Error> {
        self.refuse_while_streaming()?;
        let (old, expected) = (held.id, held.record.version);
        let limit = self.backend.rules.sessions_per_user;
        for _ in 0..CREATE_TRIES {
            let token = self.backend.placed(Token::generate()?, record.user(), Some(&old));
            let new = self.backend.rules.tokens.id(&token);
            let stored = self.backend.closed(&token, &new, &record)?;
            let before = held.record.user();
            let replaces_user = before.is_some() && before != record.user();
            let login =
                LoginWrite { epoch, limit, replaces_user, ..LoginWrite::new(&new, &stored) };
            let renewed = renew_settled(&self.backend, (&old, expected), login).await?;
            let settled = match renewed {
                Renewed::Settled(settled) => settled,
                Renewed::Overtaken(now, error) => {
                    // The client needs the id under which its acknowledged write is.
                    let now = self.backend.open(&token, &new, now)?;
                    let _ = self.hand_out(token, new, now);
                    return Err(error);
                }
            };
            match settled {
                Settled::Taken => tracing::warn!("fresh session id rejected"),
                Settled::Saved => {
                    drop(stored);
                    // Boxed: rare, and the usual future stays small.
                    return Box::pin(self.moved(held, (token, new), record)).await;
                }
                settled => return Ok(settled),
            }
        }
        Ok(Settled::Taken)
    }

    /// The session is stored under its new id, as `record`.
    async fn moved(
        &self,
        held: &Held,
        (token, new): (Token, SessionId),
        record: Record,
    ) -> Result<Settled, Error> {
        let (old, (user, device)) = (held.id, audited(&record));
        let cause = cause_of_move(&held.record, &record);
        let signs_in = cause == Cause::SignIn;
        if signs_in {
            self.enter_moved(held, (&new, &record), true).await?;
        }
        let renewed = record.external_id().filter(|_| !signs_in).map(|_| record.clone());
        // From here on the response sends the new id in any case: the old one may end at any time.
        let before = self.hand_out(token, new, record);
        let entered = match &renewed {
            Some(record) => self.enter_moved(held, (&new, record), false).await,
            None => Ok(()),
        };
        if entered.as_ref().is_err_and(|error| error.kind() == ErrorKind::Revoked) {
            return entered.map(|()| Settled::Saved);
        }
        let finished = self.backend.store.finish_renew(&old, held.record.version, &new).await?;
        if let SaveOutcome::Conflict(_) | SaveOutcome::Gone = finished {
            // Written under the old id between the two steps, which must not be lost; or ended
            // there, and the new one with it.
            self.take_back(held, before);
            if let SaveOutcome::Conflict(_) = finished {
                // What stays has no client, and expires.
                let _ = self.backend.store.abandon_renew(&old, &new).await;
            }
            return known(finished);
        }
        self.backend.events.emit(Event::Renewed { old, new, user, device, cause });
        entered.map(|()| Settled::Saved)
    }

    /// Enters a new session under its external id, if it has one; ends it if that fails.
    async fn enter_new(&self, id: &SessionId, record: &Record) -> Result<(), Error> {
        let entered = self.backend.enter(record, true).await;
        if entered.is_err() {
            // No client has its token.
            let _ = self.backend.store.delete(id).await;
        }
        entered
    }

    /// The same for a session that moves; ends it if its external id was revoked. On another error
    /// a renewal continues under the new id, which the response sends.
    async fn enter_moved(
        &self,
        held: &Held,
        (new, record): (&SessionId, &Record),
        begins: bool,
    ) -> Result<(), Error> {
        let Err(error) = self.backend.enter(record, begins).await else { return Ok(()) };
        let store = &self.backend.store;
        if error.kind() == ErrorKind::Revoked {
            self.let_go(CookieChange::Remove);
            let mut ended = store.delete(new).await?;
            // In a store that moves it in two steps it is still there.
            ended |= store.delete(&held.id).await?;
            if ended && held.record.user().is_some() {
                self.backend.tell_of_revocation(held.id, &held.record, &By::PROVIDER);
            }
        } else if begins {
            // Fails closed: no client has its token.
            let _ = store.delete(new).await;
        }
        Err(error)
    }

    /// Ends a session that is empty, unless a concurrent write added something.
    pub(crate) async fn end_emptied(&self, held: &Held) -> Result<Settled, Error> {
        let version = held.record.version;
        let settled = delete_settled(&self.backend, &held.id, version).await?;
        match settled {
            Settled::Saved => {
                let ((user, device), cause) = (audited(&held.record), Cause::Emptied);
                let ended = Event::Destroyed { id: held.id, user, device, cause };
                self.backend.events.emit(ended);
                self.let_go(CookieChange::Remove);
            }
            // It has ended, as these changes require.
            Settled::Gone => {
                self.let_go(CookieChange::Keep);
                return Ok(Settled::Saved);
            }
            _ => {}
        }
        Ok(settled)
    }
}

/// What an event has of a record: its user and device.
pub(in crate::request) fn audited(record: &Record) -> (Option<String>, Option<EventDevice>) {
    (record.user().map(str::to_owned), EventDevice::of(record))
}

/// Only a sign-in changes the user or the time of the sign-in.
fn cause_of_move(before: &Record, now: &Record) -> Cause {
    let same = before.user() == now.user() && before.created == now.created;
    if same { Cause::Renewal } else { Cause::SignIn }
}
