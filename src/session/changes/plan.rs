//! The plan: what changes do to a record. Pure, over a given now.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::timestamp::Timestamp,
    error::{Error, ErrorKind},
    session::{
        changes::Changes,
        device::Device,
        expiry::{Deadlines, SessionExpiry, touch_throttle},
        record::{Record, Touch},
        values::Tally,
        write_id::WriteId,
    },
};

/// The rules that a plan follows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) expiry: SessionExpiry,
    pub(crate) touch_interval: Duration,
    pub(crate) max_record_size: usize,
    pub(crate) max_values: usize,
}

/// The author of a write: its write id and device.
#[derive(Clone, Debug, Default)]
pub(crate) struct Writer {
    pub(crate) mark: WriteId,
    pub(crate) device: Option<Arc<Device>>,
}

/// What has to be done in the store.
#[derive(Debug, PartialEq)]
pub(crate) enum Plan {
    /// The store is up to date.
    Nothing,
    /// Only the time of the last activity has to be stored.
    Touch(Touch),
    /// A new session.
    Create(Record),
    /// A new version of the record.
    Update(Record),
    /// The record moves to a new id.
    Renew(Record),
    /// The session is empty: it ends.
    Destroy,
}

impl Changes {
    /// Whether a record with `json` under `name` would stay within its bounds. Takes time in the
    /// size of the value, however many are buffered.
    pub(crate) fn check_insert(
        &mut self,
        base: Option<&Record>,
        name: &str,
        json: &[u8],
        policy: &Policy,
    ) -> Result<(), Error> {
        let values = self.kept(base);
        let tally = match self.tally.take().filter(|tally| tally.is_over(&values)) {
            Some(tally) => tally,
            None => Tally::of(&values, &self.edits),
        };
        let earlier = self.edits.get(name).map(Option::as_deref);
        let (len, count) = tally.after(earlier, name, Some(json)).size();
        let weight = Record::weight_with(self.user_text(base), self.platform_text(base), len);
        self.tally = Some(tally);
        check(weight, count, base, policy)
    }

    /// The plan for `base` (which is alive at `now`), written by `writer`.
    pub(crate) fn plan(
        &self,
        base: Option<&Record>,
        now: Timestamp,
        policy: &Policy,
        writer: &Writer,
    ) -> Result<Plan, Error> {
        let Some(base) = base else {
            return self.plan_create(now, policy, writer);
        };
        let record = self.applied(base, now, policy, writer);
        if record.is_vacant() && !self.taken {
            return Ok(Plan::Destroy);
        }
        let moves = self.moves();
        if !moves && record.says_the_same_as(base) {
            return Ok(due_touch(base, now, policy).map_or(Plan::Nothing, Plan::Touch));
        }
        check_external_id(&record)?;
        check(record.weight(), record.values.count(), Some(base), policy)?;
        Ok(if moves { Plan::Renew(record) } else { Plan::Update(record) })
    }

    fn plan_create(&self, now: Timestamp, policy: &Policy, writer: &Writer) -> Result<Plan, Error> {
        let expiry = self.expiry_under(policy).unwrap_or(policy.expiry);
        let record = Record {
            version: 1,
            writer: writer.mark,
            created: now,
            last_activity: now,
            deadlines: Deadlines::start(expiry, now, policy.touch_interval),
            authenticated: self.authenticated(None, now),
            user: self.user_text(None).map(Into::into),
            device: self.device(None, writer),
            platform: self.platform_text(None).map(Into::into),
            values: self.values(None),
            sealed: None,
            moved: None,
        };
        if record.is_vacant() {
            return Ok(Plan::Nothing);
        }
        check_external_id(&record)?;
        check(record.weight(), record.values.count(), None, policy)?;
        Ok(Plan::Create(record))
    }

    fn applied(&self, base: &Record, now: Timestamp, policy: &Policy, writer: &Writer) -> Record {
        let interval = policy.touch_interval;
        let (created, deadlines) = match (&self.login, self.expiry_under(policy)) {
            // Only a login restarts the absolute timeout. It keeps the session's own expiry.
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
            writer: writer.mark,
            created,
            last_activity: now.max(base.last_activity),
            deadlines,
            authenticated: self.authenticated(Some(base), now),
            user: self.user_text(Some(base)).map(Into::into),
            device: self.device(Some(base), writer),
            platform: self.platform_text(Some(base)).map(Into::into),
            values: self.values(Some(base)),
            sealed: None,
            moved: None,
        }
    }

    /// The device of a session that begins or moves: the current one, with the existing label.
    fn device(&self, base: Option<&Record>, writer: &Writer) -> Option<Arc<Device>> {
        let before = base.and_then(|base| base.device.as_ref());
        let label = match &self.label {
            Some(label) => label.as_deref(),
            None => self.own(base).and(before).and_then(|device| device.label()),
        };
        let acting_as = self.acting_as(base);
        let external_id = match &self.login {
            Some(login) => login.external_id,
            None => before.and_then(|device| device.external_id()),
        };
        let device = if base.is_none() || self.moves() { writer.device.as_ref() } else { before };
        if device.and_then(|device| device.label()) == label
            && device.and_then(|device| device.acting_as()) == acting_as
            && device.and_then(|device| device.external_id()) == external_id
        {
            return device.cloned();
        }
        Device::named(device.map(Arc::as_ref), label, acting_as, external_id)
    }

    /// The expiry that was set, if any; without an absolute timeout of its own, with the layer's.
    fn expiry_under(&self, policy: &Policy) -> Option<SessionExpiry> {
        self.expiry.map(|expiry| expiry.or_absolute_of(policy.expiry))
    }

    /// The expiry at a sign-in: the session's own if it was set, with the same absolute timeout.
    fn expiry_at_login(&self, base: &Record, policy: &Policy) -> SessionExpiry {
        if self.cleared || self.own(Some(base)).is_none() {
            return policy.expiry;
        }
        let own = SessionExpiry::new(base.deadlines.idle);
        let own = own.remembered_if(base.deadlines.remembered);
        match base.deadlines.absolute_deadline {
            Some(end) => own.absolute(end.saturating_since(base.created)),
            None => own.or_absolute_of(policy.expiry),
        }
    }
}

/// The activity at `now`, if the last stored one is old enough.
pub(crate) fn due_touch(base: &Record, now: Timestamp, policy: &Policy) -> Option<Touch> {
    let throttle = touch_throttle(base.deadlines.idle, policy.touch_interval);
    if now.saturating_since(base.last_activity) < throttle {
        return None;
    }
    let deadlines = base.deadlines.active(now, policy.touch_interval);
    let idle_deadline = deadlines.idle_deadline;
    Some(Touch { last_activity: now, idle_deadline, end: deadlines.end() })
}

/// The sign-ins of an external id are kept until the absolute end of the last of its sessions.
fn check_external_id(record: &Record) -> Result<(), Error> {
    if record.external_id().is_some() && record.deadlines.absolute_deadline.is_none() {
        let text = "a session with an external id needs an absolute timeout";
        return Err(Error::new(ErrorKind::Misconfigured, text));
    }
    Ok(())
}

/// A record stored under larger bounds may shrink, and be signed in to.
fn check(
    weight: usize,
    values: usize,
    base: Option<&Record>,
    policy: &Policy,
) -> Result<(), Error> {
    let bound = policy.max_record_size.max(base.map_or(0, Record::weight));
    if weight > bound {
        let text = format!("the session would have {weight} bytes, above the limit of {bound}");
        return Err(Error::new(ErrorKind::TooLarge, text));
    }
    let bound = policy.max_values.max(base.map_or(0, |base| base.values.count()));
    if values > bound {
        let text = format!("the session would have {values} values, above the limit of {bound}");
        return Err(Error::new(ErrorKind::TooLarge, text));
    }
    Ok(())
}
