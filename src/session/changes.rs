//! Changes of one request to its session, as data, and the plan made from them. Pure: no clock, no
//! store; the same changes can be applied again to a fresher record.

use std::borrow::Cow;

use bytes::Bytes;

use crate::{
    clock::timestamp::Timestamp,
    session::{
        expiry::SessionExpiry,
        external_id::ExternalId,
        impersonation::{Switch, acting_as},
        record::Record,
        reserved::{STAMP, is_reserved},
        values::{Edits, Tally, Values},
    },
};

pub(crate) mod plan;

/// Changes of one request, in an order-free form that can be rebased.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    /// All earlier values are removed before `edits` apply.
    cleared: bool,
    edits: Edits,
    /// A value was taken: even an empty record is saved, since a deletion does not show its author.
    taken: bool,
    /// Total size of the edits, where known: see `check_insert`.
    tally: Option<Tally>,
    login: Option<Login>,
    platform: Option<Option<Box<str>>>,
    renew: bool,
    expiry: Option<SessionExpiry>,
    label: Option<Option<Box<str>>>,
    switch: Option<Switch>,
}

#[derive(Clone, Debug)]
struct Login {
    user: Box<str>,
    /// The user's epoch before the credentials were checked.
    epoch: Option<u64>,
    /// The name that an identity provider has for it.
    external_id: Option<ExternalId>,
}

impl Changes {
    /// Stores `json` under `name`.
    pub(crate) fn insert(&mut self, name: &str, json: Bytes) {
        self.edit(name, Some(json));
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.edit(name, None);
    }

    /// Removes the value for the one writer that succeeds.
    pub(crate) fn take(&mut self, name: &str) {
        self.remove(name);
        self.taken = true;
    }

    fn edit(&mut self, name: &str, edit: Option<Bytes>) {
        let earlier = self.edits.get(name).map(Option::as_deref);
        self.tally = self.tally.take().map(|tally| tally.after(earlier, name, edit.as_deref()));
        self.edits.insert(name.into(), edit);
    }

    pub(crate) fn clear(&mut self) {
        self.cleared = true;
        self.forget_values();
    }

    /// Drops the application's buffered values.
    pub(crate) fn forget_values(&mut self) {
        self.edits.retain(|name, _| is_reserved(&**name));
        self.tally = None;
    }

    pub(crate) fn login(&mut self, user: &str, platform: Option<&str>) {
        self.login = Some(Login { user: user.into(), epoch: None, external_id: None });
        self.switch = None;
        self.forget_reserved();
        self.platform = Some(platform.map(Into::into));
    }

    /// Drops the values that belong to a sign-in.
    fn forget_reserved(&mut self) {
        self.edits.retain(|name, _| !is_reserved(&**name));
        self.tally = None;
    }

    /// The sign-in fails unless the user's epoch is still this one; `None` accepts any.
    pub(crate) fn hold_login_to(&mut self, epoch: Option<u64>, external_id: Option<ExternalId>) {
        self.login = self.login.take().map(|login| Login { epoch, external_id, ..login });
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

    /// Begins or ends an impersonation.
    pub(crate) fn switch(&mut self, switch: Switch) {
        self.switch = Some(switch);
    }

    /// Drops the switch, which failed.
    pub(crate) fn forget_switch(&mut self) {
        self.switch = None;
    }

    pub(crate) fn set_label(&mut self, label: Option<&str>) {
        self.label = Some(label.map(Into::into));
    }

    /// Takes out the edit of `name` alone: an `update` of it saves no other name.
    pub(crate) fn take_name(&mut self, name: &str) -> Self {
        let mut taken = Self::default();
        self.tally = None;
        if let Some((name, edit)) = self.edits.remove_entry(name) {
            taken.edits.insert(name, edit);
        }
        taken
    }

    /// Puts `earlier` changes below those made since, after a save that failed.
    pub(crate) fn restore_below(&mut self, mut earlier: Self) {
        let (cleared, login) = (self.cleared, self.login.is_some());
        let is_gone = |name: &str| if is_reserved(name) { login } else { cleared };
        earlier.edits.retain(|name, _| !is_gone(name));
        earlier.edits.append(&mut self.edits);
        self.edits = earlier.edits;
        self.tally = None;
        self.cleared |= earlier.cleared;
        self.renew |= earlier.renew;
        self.login = self.login.take().or(earlier.login);
        self.platform = self.platform.take().or(earlier.platform);
        self.expiry = self.expiry.take().or(earlier.expiry);
        self.label = self.label.take().or(earlier.label);
        self.switch = self.switch.take().or(earlier.switch.filter(|_| !login));
    }

    pub(crate) fn is_empty(&self) -> bool {
        !(self.cleared
            || self.renew
            || self.login.is_some()
            || self.platform.is_some()
            || self.expiry.is_some()
            || self.label.is_some()
            || self.switch.is_some())
            && self.edits.is_empty()
    }

    /// Whether the session moves to a new id.
    pub(crate) fn moves(&self) -> bool {
        self.renew || self.login.is_some() || self.switch.is_some()
    }

    /// The epoch of the user that a sign-in requires.
    pub(crate) fn epoch(&self) -> Option<u64> {
        self.login.as_ref()?.epoch
    }

    /// Drops a sign-in that failed on this epoch.
    pub(crate) fn forget_login(&mut self, epoch: u64) {
        if self.epoch() == Some(epoch) {
            self.login = None;
            self.platform = None;
            self.forget_reserved();
        }
    }

    /// Whether all of these changes must be saved before a single name can be.
    pub(crate) fn is_wholesale(&self) -> bool {
        self.cleared || self.moves()
    }

    /// Whether these changes may create a session by themselves.
    pub(crate) fn signs_in(&self) -> bool {
        self.login.is_some()
    }

    /// The JSON under `name` as a handler sees it.
    pub(crate) fn get(&self, base: Option<&Record>, name: &str) -> Option<Bytes> {
        if is_reserved(name) { None } else { self.get_any(base, name) }
    }

    /// The same for any name.
    fn get_any(&self, base: Option<&Record>, name: &str) -> Option<Bytes> {
        match self.edits.get(name) {
            Some(edit) => edit.clone(),
            None => self.kept(base).get(name),
        }
    }

    pub(crate) fn names(&self, base: Option<&Record>) -> Vec<String> {
        let values = self.values(base);
        let names = values.iter().map(|(name, _)| name);
        names.filter(|name| !is_reserved(name)).map(str::to_owned).collect()
    }

    /// Sets the JSON of the sign-in's stamp.
    pub(crate) fn set_stamp(&mut self, json: Bytes) {
        self.insert(STAMP, json);
    }

    /// The JSON of the sign-in's stamp.
    pub(crate) fn stamp(&self, base: Option<&Record>) -> Option<Bytes> {
        self.get_any(base, STAMP)
    }

    /// The user as a handler sees it.
    pub(crate) fn user(&self, base: Option<&Record>) -> Option<String> {
        self.acting_as(base).or_else(|| self.user_text(base)).map(str::to_owned)
    }

    /// The user who signed in, while another user is impersonated.
    pub(crate) fn impersonator(&self, base: Option<&Record>) -> Option<String> {
        self.acting_as(base).and_then(|_| self.user_text(base)).map(str::to_owned)
    }

    fn acting_as<'a>(&'a self, base: Option<&'a Record>) -> Option<&'a str> {
        match &self.switch {
            Some(switch) => switch.user(),
            None => acting_as(base.filter(|_| !self.signs_in())?),
        }
    }

    /// When the user that a handler sees authenticated; `None` for an impersonated user.
    pub(crate) fn proved(&self, base: Option<&Record>, now: Timestamp) -> Option<Timestamp> {
        if self.acting_as(base).is_some() { None } else { self.authenticated(base, now) }
    }

    /// The user who signed in.
    fn user_text<'a>(&'a self, base: Option<&'a Record>) -> Option<&'a str> {
        match &self.login {
            Some(login) => Some(&login.user),
            None => base?.user.as_deref(),
        }
    }

    /// When the user authenticated; `now` for a buffered login.
    pub(crate) fn authenticated(&self, base: Option<&Record>, now: Timestamp) -> Option<Timestamp> {
        if self.signs_in() { Some(now) } else { base?.authenticated }
    }

    pub(crate) fn platform(&self, base: Option<&Record>) -> Option<String> {
        self.platform_text(base).map(str::to_owned)
    }

    fn platform_text<'a>(&'a self, base: Option<&'a Record>) -> Option<&'a str> {
        match &self.platform {
            Some(platform) => platform.as_deref(),
            None => match &self.switch {
                Some(switch) => switch.platform(base?),
                None => base?.platform.as_deref(),
            },
        }
    }

    fn values(&self, base: Option<&Record>) -> Values {
        self.kept(base).edited(&self.edits)
    }

    /// The values that these changes build on. `None` after `clear`, and when a user signs in over
    /// another user's session: values never pass from one user to another. Values that belong to a
    /// sign-in are removed by the next one, not before.
    fn kept<'a>(&self, base: Option<&'a Record>) -> Cow<'a, Values> {
        let Some(own) = self.own(base) else { return Cow::default() };
        let values = &own.values;
        if let Some(switch) = &self.switch {
            return Cow::Owned(switch.values(own));
        }
        match (self.cleared, self.login.is_some()) {
            (false, false) => Cow::Borrowed(values),
            (true, false) => Cow::Owned(values.reserved()),
            (false, true) => values.without_reserved().map_or(Cow::Borrowed(values), Cow::Owned),
            (true, true) => Cow::default(),
        }
    }

    fn own<'a>(&self, base: Option<&'a Record>) -> Option<&'a Record> {
        let base = base?;
        let stranger = match (&self.login, &base.user) {
            (Some(login), Some(user)) => login.user != *user || acting_as(base).is_some(),
            _ => false,
        };
        (!stranger).then_some(base)
    }
}

#[cfg(test)]
#[path = "changes/tests.rs"]
mod tests;
