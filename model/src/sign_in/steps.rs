//! The steps of a sign-in, and of the requests beside it.

use super::{
    SignIn,
    state::{Command, Label, Login, NewId, Old, Request, State, Waiter},
};

/// Steps, collected.
struct Steps<'a> {
    from: &'a State,
    out: &'a mut Vec<(Label, State)>,
}

impl Steps<'_> {
    fn step(&mut self, label: Label, change: impl FnOnce(&mut State)) {
        let mut next = self.from.clone();
        change(&mut next);
        if next != *self.from {
            self.out.push((label, next));
        }
    }
}

impl SignIn {
    pub(super) fn steps(&self, s: &State, out: &mut Vec<(Label, State)>) {
        let mut steps = Steps { from: s, out };
        self.login_steps(&mut steps);
        use_new(&mut steps);
        requests(&mut steps);
        if self.expire && matches!(s.old, Old::Tombstone(_)) {
            steps.step(Label::TombstoneExpires, |n| {
                n.old = Old::None;
                n.expired = true;
            });
        }
        for (place, sent) in s.wire.iter().enumerate() {
            // Two that are equal lead to the same states.
            if place > 0 && s.wire[place - 1] == *sent {
                continue;
            }
            if sent.waiter != Waiter::Nobody && s.timeouts < self.timeouts {
                steps.step(Label::Timeout(*sent), |n| self.time_out(n, place));
            }
            steps.step(Label::Execute(*sent), |n| self.execute(n, place));
        }
    }

    fn login_steps(&self, steps: &mut Steps<'_>) {
        let s = steps.from;
        if s.login == Login::NotBegun {
            steps.step(Label::Load, |n| {
                n.loaded_epoch = n.epoch;
                self.begin(n);
            });
        }
        let at_work = s.login > Login::NotBegun && s.login < Login::Over;
        if at_work && s.crashes < self.crashes {
            steps.step(Label::Crash, |n| {
                n.crashes += 1;
                n.login = Login::Over;
                for sent in &mut n.wire {
                    if sent.waiter == Waiter::Login {
                        sent.waiter = Waiter::Nobody;
                    }
                }
                n.wire.sort_unstable();
            });
        }
    }

    /// Loads the old session, and sends the first command.
    pub(super) fn begin(&self, s: &mut State) {
        let Old::Alive { version, content } = s.old else {
            s.login = Login::Over;
            return;
        };
        s.loaded_version = version;
        s.loaded_content = content;
        if self.kill_first {
            s.login = Login::Killing;
            let new = s.makes;
            s.send(Command::KillOld { new, version }, Waiter::Login);
        } else {
            self.create(s);
        }
    }

    pub(super) fn create(&self, s: &mut State) {
        s.login = Login::Creating;
        let create = Command::Create {
            new: s.makes,
            content: s.loaded_content,
            version: s.loaded_version,
            epoch: s.loaded_epoch,
            marked: self.mark && !self.kill_first,
        };
        s.send(create, Waiter::Login);
    }

    fn time_out(&self, s: &mut State, place: usize) {
        s.timeouts += 1;
        let waiter = std::mem::replace(&mut s.wire[place].waiter, Waiter::Nobody);
        s.wire.sort_unstable();
        match waiter {
            Waiter::Login => {
                // 503; with the new cookie once the new id may be there.
                if self.tell && s.login == Login::Killing && !self.kill_first {
                    s.cookie_new = s.makes + 1;
                }
                s.login = Login::Over;
            }
            Waiter::Save => s.save = Request::Over,
            Waiter::Logout => s.logout = Request::Over,
            Waiter::NewId => s.new_id = NewId::Idle,
            Waiter::Revoke | Waiter::Nobody => s.revoke = Request::Over,
        }
    }
}

/// A request with the new cookie: finishes what is not finished.
fn use_new(steps: &mut Steps<'_>) {
    let s = steps.from;
    if s.cookie_new == 0 || s.new_id != NewId::Idle {
        return;
    }
    let new = s.cookie_new - 1;
    let session = s.new[new as usize];
    if let (true, Some(version)) = (session.alive, session.replaces) {
        steps.step(Label::UseNew, |n| {
            n.new_id = NewId::KillingOld;
            n.new_id_version = session.version;
            n.send(Command::KillOld { new, version }, Waiter::NewId);
        });
    }
}

/// A save, a logout, a revocation.
fn requests(steps: &mut Steps<'_>) {
    let s = steps.from;
    if let (Request::NotBegun, Old::Alive { version, content }) = (s.save, s.old) {
        steps.step(Label::SaveLoad, |n| {
            n.save = Request::Waiting;
            n.send(Command::Save { version, content: content | 1 }, Waiter::Save);
        });
    }
    if s.logout == Request::NotBegun {
        steps.step(Label::Logout, |n| {
            n.logout = Request::Waiting;
            n.send(Command::Logout, Waiter::Logout);
        });
    }
    if s.revoke == Request::NotBegun {
        steps.step(Label::Revoke, |n| {
            n.revoke = Request::Waiting;
            n.send(Command::Revoke, Waiter::Revoke);
        });
    }
}
