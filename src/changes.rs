//! What a request did to its session, as data, and the plan that it makes of a record. Pure: no
//! clock, no store; the same changes can be applied again to a fresher record.

use std::time::Duration;

use bytes::Bytes;

use crate::{
    error::{Error, ErrorKind},
    expiry::{Deadlines, SessionExpiry, touch_throttle},
    record::{Activity, Mark, Record},
    timestamp::Timestamp,
    values::{Edits, Values},
};

/// The rules that a plan follows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) expiry: SessionExpiry,
    pub(crate) touch_interval: Duration,
    pub(crate) max_record_size: usize,
}

/// What one request did, in the order-free form in which it can be rebased.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    /// All values that were there go before `edits` come.
    cleared: bool,
    edits: Edits,
    login: Option<Login>,
    platform: Option<Option<Box<str>>>,
    renew: bool,
    expiry: Option<SessionExpiry>,
}

#[derive(Clone, Debug)]
struct Login {
    user: Box<str>,
}

/// What has to happen in the store.
#[derive(Debug, PartialEq)]
pub(crate) enum Plan {
    /// The store has it already.
    Nothing,
    /// Only the time of the last activity is worth writing down.
    Touch(Activity),
    /// A session begins.
    Create(Record),
    /// The record gets a new version in its place.
    Update(Record),
    /// The record moves to a new id.
    Renew(Record),
    /// Nothing is left in the session: it ends.
    Destroy,
}

impl Changes {
    /// Puts `json` under `name`.
    pub(crate) fn insert(&mut self, name: &str, json: Bytes) {
        self.edits.insert(name.into(), Some(json));
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.edits.insert(name.into(), None);
    }

    pub(crate) fn clear(&mut self) {
        self.cleared = true;
        self.edits.clear();
    }

    /// Forgets the values that were buffered so far.
    pub(crate) fn forget_values(&mut self) {
        self.edits.clear();
    }

    pub(crate) fn login(&mut self, user: &str, platform: Option<&str>) {
        self.login = Some(Login { user: user.into() });
        self.platform = Some(platform.map(Into::into));
    }

    pub(crate) fn set_platform(&mut self, platform: Option<&str>) {
        self.platform = Some(platform.map(Into::into));
    }

    pub(crate) fn renew(&mut self) {
        self.renew = true;
    }

    pub(crate) fn set_expiry(&mut self, expiry: SessionExpiry) {
        self.expiry = Some(expiry);
    }

    /// Only what was done to `name`: an `update` of it saves no other name.
    pub(crate) fn take_name(&mut self, name: &str) -> Self {
        let mut taken = Self::default();
        if let Some((name, edit)) = self.edits.remove_entry(name) {
            taken.edits.insert(name, edit);
        }
        taken
    }

    /// Puts what `earlier` did below what was done since; for a save that did not happen.
    pub(crate) fn restore_below(&mut self, mut earlier: Self) {
        if self.cleared {
            earlier.edits.clear();
        }
        earlier.edits.append(&mut self.edits);
        self.edits = earlier.edits;
        self.cleared |= earlier.cleared;
        self.renew |= earlier.renew;
        self.login = self.login.take().or(earlier.login);
        self.platform = self.platform.take().or(earlier.platform);
        self.expiry = self.expiry.take().or(earlier.expiry);
    }

    pub(crate) fn is_empty(&self) -> bool {
        !(self.cleared
            || self.renew
            || self.login.is_some()
            || self.platform.is_some()
            || self.expiry.is_some())
            && self.edits.is_empty()
    }

    /// Whether the session moves to a new id.
    pub(crate) fn moves(&self) -> bool {
        self.renew || self.login.is_some()
    }

    /// Whether no single name can be saved before all of this is.
    pub(crate) fn is_wholesale(&self) -> bool {
        self.cleared || self.moves()
    }

    /// Whether these changes may begin a session by themselves, without what was there.
    pub(crate) fn signs_in(&self) -> bool {
        self.login.is_some()
    }

    /// The JSON that a handler sees under `name`.
    pub(crate) fn get(&self, base: Option<&Record>, name: &str) -> Option<Bytes> {
        match self.edits.get(name) {
            Some(edit) => edit.clone(),
            None => self.kept(base)?.values.get(name),
        }
    }

    pub(crate) fn names(&self, base: Option<&Record>) -> Vec<String> {
        let values = self.values(base);
        values.iter().map(|(name, _)| name.to_owned()).collect()
    }

    pub(crate) fn user(&self, base: Option<&Record>) -> Option<String> {
        match &self.login {
            Some(login) => Some(login.user.to_string()),
            None => base?.user.as_deref().map(str::to_owned),
        }
    }

    pub(crate) fn platform(&self, base: Option<&Record>) -> Option<String> {
        match &self.platform {
            Some(platform) => platform.as_deref().map(str::to_owned),
            None => base?.platform.as_deref().map(str::to_owned),
        }
    }

    /// What becomes of `base` (which is alive at `now`), written by `mark`.
    pub(crate) fn plan(
        &self,
        base: Option<&Record>,
        now: Timestamp,
        policy: &Policy,
        mark: Mark,
    ) -> Result<Plan, Error> {
        let Some(base) = base else {
            return self.plan_create(now, policy, mark);
        };
        let record = self.applied(base, now, policy, mark);
        if record.is_vacant() {
            return Ok(Plan::Destroy);
        }
        let moves = self.moves();
        if !moves && record.says_the_same_as(base) {
            return Ok(due_touch(base, now, policy).map_or(Plan::Nothing, Plan::Touch));
        }
        // A record that was stored under a larger bound may shrink, and be signed in to.
        check_size(&record, policy.max_record_size.max(base.encoded_len()))?;
        Ok(if moves { Plan::Renew(record) } else { Plan::Update(record) })
    }

    fn plan_create(&self, now: Timestamp, policy: &Policy, mark: Mark) -> Result<Plan, Error> {
        let expiry = self.expiry_under(policy).unwrap_or(policy.expiry);
        let record = Record {
            version: 1,
            writer: mark,
            created: now,
            last_activity: now,
            deadlines: Deadlines::start(expiry, now, policy.touch_interval),
            user: self.user(None).map(Into::into),
            platform: self.platform(None).map(Into::into),
            values: self.values(None),
        };
        if record.is_vacant() {
            return Ok(Plan::Nothing);
        }
        check_size(&record, policy.max_record_size)?;
        Ok(Plan::Create(record))
    }

    fn applied(&self, base: &Record, now: Timestamp, policy: &Policy, mark: Mark) -> Record {
        let interval = policy.touch_interval;
        let (created, deadlines) = match (&self.login, self.expiry_under(policy)) {
            // Only a login starts the absolute time afresh. It keeps the session's own policy.
            (Some(_), expiry) => {
                let expiry = expiry.unwrap_or_else(|| self.expiry_at_login(base, policy));
                (now, Deadlines::start(expiry, now, interval))
            }
            (None, Some(expiry)) => {
                (base.created, base.deadlines.change(expiry, base.created, now, interval))
            }
            (None, None) => (base.created, base.deadlines.active(now, interval)),
        };
        Record {
            version: if self.moves() { 1 } else { base.version.saturating_add(1) },
            writer: mark,
            created,
            last_activity: now.max(base.last_activity),
            deadlines,
            user: self.user(Some(base)).map(Into::into),
            platform: self.platform(Some(base)).map(Into::into),
            values: self.values(Some(base)),
        }
    }

    /// The policy of a session that somebody signs in to: its own if it was set, with the absolute
    /// time as long as it was.
    fn expiry_at_login(&self, base: &Record, policy: &Policy) -> SessionExpiry {
        if self.kept(Some(base)).is_none() {
            return policy.expiry;
        }
        let own = SessionExpiry::new(base.deadlines.idle);
        match base.deadlines.absolute_deadline {
            Some(end) => own.absolute(end.saturating_since(base.created)),
            None => own.or_absolute_of(policy.expiry),
        }
    }

    /// The policy that was set, if one was. To leave the absolute end open is not to take it away.
    fn expiry_under(&self, policy: &Policy) -> Option<SessionExpiry> {
        self.expiry.map(|expiry| expiry.or_absolute_of(policy.expiry))
    }

    fn values(&self, base: Option<&Record>) -> Values {
        let none = Values::default();
        self.kept(base).map_or(&none, |base| &base.values).edited(&self.edits)
    }

    /// The record whose values these changes build on. None after `clear`, and none when somebody
    /// signs in over the session of somebody else: one user's values never pass to another.
    fn kept<'a>(&self, base: Option<&'a Record>) -> Option<&'a Record> {
        let base = base.filter(|_| !self.cleared)?;
        let stranger = match (&self.login, &base.user) {
            (Some(login), Some(user)) => login.user != *user,
            _ => false,
        };
        (!stranger).then_some(base)
    }
}

/// The activity at `now`, if the last one is old enough for it to be written down.
pub(crate) fn due_touch(base: &Record, now: Timestamp, policy: &Policy) -> Option<Activity> {
    let throttle = touch_throttle(base.deadlines.idle, policy.touch_interval);
    if now.saturating_since(base.last_activity) < throttle {
        return None;
    }
    let deadlines = base.deadlines.active(now, policy.touch_interval);
    let idle_deadline = deadlines.idle_deadline;
    Some(Activity { last_activity: now, idle_deadline, end: deadlines.end() })
}

fn check_size(record: &Record, bound: usize) -> Result<(), Error> {
    let size = record.encoded_len();
    if size <= bound {
        return Ok(());
    }
    let text = format!("the session would take {size} bytes, more than the {bound} allowed");
    Err(Error::new(ErrorKind::TooLarge, text))
}

#[cfg(test)]
#[path = "changes/tests.rs"]
mod tests;
