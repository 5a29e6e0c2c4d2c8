//! The steps of one take-over, as `docs/import.md` numbers them.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::timestamp::Timestamp,
    error::{Error, ErrorKind},
    request::{
        old_library::{OldKey, Stored, TakeOverRules},
        shared::Backend,
        take_over::claims::{self, StoredClaim},
    },
    session::{
        claim::{Claim, Target, bar_id, claim_id},
        device::Device,
        record::Record,
        token::{SessionId, Token},
    },
    sync::{backoff::Backoff, keyed_lock::KeyedGuard},
    telemetry::event::Event,
};

/// Pauses of a request that waits for another instance.
const WAITS: Backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(100));

/// What a request with an old cookie finds.
#[allow(clippy::large_enum_variant, reason = "lives for a moment")]
pub(super) enum Taken {
    /// The new session, as the store has it; no record if it has ended.
    Over { id: SessionId, token: Token, record: Option<Record> },
    /// The old cookie opens nothing.
    Nothing,
    /// Neither the old store nor a claim has it, or it cannot be read; with another configuration
    /// or version that may change.
    Unknown,
    /// Several old cookies open a session each.
    Ambiguous,
}

/// Takes the one old session over that the cookies open.
pub(super) async fn take_over(
    backend: Arc<Backend>,
    old: Vec<OldKey>,
    device: Option<Arc<Device>>,
) -> Result<Taken, Error> {
    let Some(rules) = &backend.rules.take_over else { return Ok(Taken::Nothing) };
    let request = Request { backend: &backend, rules, device };
    let work = async {
        if let [only] = old.as_slice() {
            return request.of(only).run().await;
        }
        let (mut opens, mut is_known) = (None, false);
        for old in &old {
            let one = request.of(old);
            match one.standing().await? {
                Standing::Opens if opens.is_some() => return Ok(Taken::Ambiguous),
                Standing::Opens => opens = Some(one),
                Standing::OpensNothing => is_known = true,
                Standing::Unknown => {}
            }
        }
        match opens {
            Some(one) => one.run().await,
            None if is_known => Ok(Taken::Nothing),
            None => Ok(unknown(&backend, rules)),
        }
    };
    // After that another request continues.
    backend.within(backend.claim_patience(), work).await
}

/// What the old sessions of a request have in common.
struct Request<'a> {
    backend: &'a Backend,
    rules: &'a TakeOverRules,
    device: Option<Arc<Device>>,
}

impl Request<'_> {
    fn of<'a>(&'a self, old: &'a OldKey) -> Steps<'a> {
        let Self { backend, rules, device } = self;
        Steps { backend, rules, old, claim_id: claim_id(&old.key), device }
    }
}

/// Whether a cookie opens a session, as far as is known without taking it over.
enum Standing {
    Opens,
    OpensNothing,
    /// Neither the old store nor a claim has it.
    Unknown,
}

pub(super) struct Steps<'a> {
    pub(super) backend: &'a Backend,
    pub(super) rules: &'a TakeOverRules,
    pub(super) old: &'a OldKey,
    pub(super) claim_id: SessionId,
    pub(super) device: &'a Option<Arc<Device>>,
}

/// The result of one attempt: `None` if another request was first.
pub(super) type Attempt = Result<Option<Taken>, Error>;

impl Steps<'_> {
    /// Steps 1 and 8.
    async fn run(&self) -> Result<Taken, Error> {
        let mut waits = WAITS;
        let mut turn: Option<KeyedGuard<'_, SessionId>> = None;
        loop {
            let found = self.claim().await?;
            match &found {
                Some(StoredClaim { claim: Claim::Closed, .. }) => return Ok(Taken::Nothing),
                Some(StoredClaim { claim: Claim::Done(target), at, .. }) => {
                    drop(turn);
                    return if self.is_in_grace(*at) {
                        self.join(*target).await
                    } else {
                        Ok(Taken::Nothing)
                    };
                }
                Some(in_progress) if !self.is_abandoned(in_progress) => {
                    turn = None;
                    waits.pause().await;
                    continue;
                }
                _ => {}
            }
            // In this process one request at a time: read again once it is our turn.
            if turn.is_none() {
                turn = Some(self.backend.write_locks.acquire(self.claim_id).await);
                continue;
            }
            let version = found.map_or(0, |found| found.version);
            if let Some(taken) = self.attempt(version).await? {
                return Ok(taken);
            }
        }
    }

    async fn standing(&self) -> Result<Standing, Error> {
        let found = self.claim().await?;
        let opens = match &found {
            Some(StoredClaim { claim: Claim::Closed, .. }) => false,
            Some(StoredClaim { claim: Claim::Done(_), at, .. }) => self.is_in_grace(*at),
            _ => match self.rules.library.load(self.old).await? {
                Stored::Nothing if found.is_none() => return Ok(Standing::Unknown),
                Stored::Nothing => false,
                Stored::Session(content) => !content.is_over(self.backend.clock.now()),
                Stored::Unreadable(_) => true,
            },
        };
        Ok(if opens { Standing::Opens } else { Standing::OpensNothing })
    }

    async fn claim(&self) -> Result<Option<StoredClaim>, Error> {
        claims::load(self.backend, &self.claim_id).await
    }

    /// Whether the old cookie still opens the session that was taken over.
    fn is_in_grace(&self, at: Timestamp) -> bool {
        self.backend.clock.now().saturating_since(at) < self.rules.grace
    }

    /// A wrong clock costs a wait or a repetition here, never a second session.
    fn is_abandoned(&self, claim: &StoredClaim) -> bool {
        let age = self.backend.clock.now().saturating_since(claim.at);
        age >= self.backend.claim_patience()
    }

    /// Steps 2 to 6, over the claim of `version`.
    async fn attempt(&self, version: u64) -> Attempt {
        let content = match self.rules.library.load(self.old).await? {
            Stored::Session(content) => content,
            Stored::Nothing => {
                // It was deleted by the request that has taken it over, or has expired.
                let now = self.claim().await?.map_or(0, |claim| claim.version);
                return Ok((now == version).then(|| match now {
                    // Fails closed: with a wrong prefix, database or table none is found.
                    0 => unknown(self.backend, self.rules),
                    _ => Taken::Nothing,
                }));
            }
            Stored::Unreadable(cause) => return Ok(Some(self.failed(cause))),
        };
        if content.is_over(self.backend.clock.now()) {
            return Ok(Some(Taken::Nothing));
        }
        let Some(epoch) = self.admitted(content.user.as_deref()).await? else {
            return Ok(Some(Taken::Nothing));
        };
        match self.record(content) {
            Ok(Some(record)) => self.create(version, record, epoch).await,
            Ok(None) => Ok(Some(Taken::Nothing)),
            Err(error) if error.kind() == ErrorKind::TooLarge => {
                Ok(Some(self.failed(error.to_string())))
            }
            Err(error) => Err(error),
        }
    }

    /// Step 3: the user's epoch, then the bar. The outer `None` is a user whose old sessions have
    /// been revoked.
    async fn admitted(&self, user: Option<&str>) -> Result<Option<Option<u64>>, Error> {
        let store = &self.backend.store;
        let Some(user) = user.filter(|_| store.lists_sessions()) else { return Ok(Some(None)) };
        let epoch = store.revocation_epoch(user).await?;
        let barred = claims::load(self.backend, &bar_id(user)).await?.is_some();
        Ok((!barred).then_some(Some(epoch)))
    }

    /// Step 7: the session that another request has created.
    async fn join(&self, target: Target) -> Result<Taken, Error> {
        for key in &self.rules.keys {
            let token = key.token(&target.nonce, &self.old.key)?.tagged(target.id.tag());
            let id = self.backend.rules.tokens.id(&token);
            if id == target.id {
                let record = self.backend.store.load(&id).await?;
                return Ok(Taken::Over { id, token, record });
            }
        }
        // Fails closed: an instance with another key has taken it over, and can send its token.
        Err(Error::unavailable("the session was taken over under a key that is not configured"))
    }

    fn failed(&self, cause: String) -> Taken {
        let format = self.rules.library.format();
        self.backend.events.emit(Event::ImportFailed { format, cause });
        Taken::Unknown
    }
}

fn unknown(backend: &Backend, rules: &TakeOverRules) -> Taken {
    backend.events.emit(Event::ImportUnknown { format: rules.library.format() });
    Taken::Unknown
}

impl Backend {
    /// How long a take-over may be in progress; another request continues it afterwards.
    fn claim_patience(&self) -> Duration {
        self.rules.budget.saturating_add(self.acknowledgement).saturating_mul(2)
    }
}
