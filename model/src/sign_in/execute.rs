//! What Redis does with a command, and what its sender does then.

use super::{
    SignIn,
    state::{Command, Killed, Login, New, NewId, Old, Request, State, Waiter},
};

impl SignIn {
    pub(super) fn execute(&self, s: &mut State, place: usize) {
        let sent = s.wire.remove(place);
        let waiter = sent.waiter;
        match sent.command {
            Command::Create { new, content, version, epoch, marked } => {
                let ok = !self.epoch || epoch == s.epoch;
                if ok {
                    s.new[new as usize] = New {
                        alive: true,
                        content,
                        replaces: marked.then_some(version),
                        user: true,
                        listed: true,
                        version: 1,
                    };
                    s.stale = epoch != s.epoch;
                }
                if waiter == Waiter::Login {
                    self.created(s, new, version, ok);
                }
            }
            Command::KillOld { new, version } => self.kill_old(s, new, version, waiter),
            Command::Unmark { new, version } => {
                let x = &mut s.new[new as usize];
                if x.alive && x.version == version && x.replaces.is_some() {
                    x.replaces = None;
                    x.version += 1;
                }
            }
            Command::TakeOver { new, new_version, content, version } => {
                let x = &mut s.new[new as usize];
                if x.alive && x.version == new_version {
                    let replaces = Some(version);
                    let version = x.version + 1;
                    *x = New { content, replaces, user: false, listed: false, version, ..*x };
                }
                if waiter == Waiter::NewId {
                    s.new_id = NewId::Idle;
                }
            }
            Command::KillNew { new } => self.kill_new(s, new, waiter),
            Command::Save { .. } | Command::Logout | Command::Revoke => {
                execute_request(s, sent.command, waiter);
            }
        }
    }

    fn created(&self, s: &mut State, new: u8, version: u8, ok: bool) {
        if !ok {
            s.login = Login::Over;
        } else if self.kill_first {
            s.login = Login::Over;
            s.acked = true;
            s.cookie_new = new + 1;
            s.cookie_old = false;
        } else {
            s.login = Login::Killing;
            s.send(Command::KillOld { new, version }, Waiter::Login);
        }
    }

    fn kill_old(&self, s: &mut State, new: u8, version: u8, waiter: Waiter) {
        let killed = match s.old {
            Old::Alive { version: now, .. } if !self.fenced || now == version => {
                s.old = Old::Tombstone(if self.heir { new + 1 } else { 0 });
                Killed::Ours
            }
            Old::Alive { .. } => Killed::Newer,
            Old::Tombstone(heir) if self.heir && heir == new + 1 => Killed::Ours,
            Old::Tombstone(_) | Old::None => Killed::Gone,
        };
        match waiter {
            Waiter::Login => self.login_killed(s, new, killed),
            Waiter::NewId => new_id_killed(s, new, killed),
            _ => {}
        }
    }

    fn login_killed(&self, s: &mut State, new: u8, killed: Killed) {
        match killed {
            Killed::Ours if self.kill_first => self.create(s),
            Killed::Ours => {
                s.login = Login::Over;
                s.acked = true;
                s.cookie_new = new + 1;
                s.cookie_old = false;
                let version = s.new[new as usize].version;
                s.send(Command::Unmark { new, version }, Waiter::Nobody);
            }
            _ if self.kill_first => s.login = Login::Over,
            _ => {
                s.login = Login::Undoing;
                s.found = killed;
                s.send(Command::KillNew { new }, Waiter::Login);
            }
        }
    }

    fn kill_new(&self, s: &mut State, new: u8, waiter: Waiter) {
        s.new[new as usize] = New::default();
        match waiter {
            Waiter::Login if s.found == Killed::Newer && s.tries == 0 && new == 0 => {
                s.tries = 1;
                s.makes = 1;
                s.found = Killed::Gone;
                self.begin(s);
            }
            Waiter::Login => s.login = Login::Over,
            Waiter::NewId => {
                s.new_id = NewId::Idle;
                s.cookie_new = 0;
            }
            _ => {}
        }
    }
}

fn new_id_killed(s: &mut State, new: u8, killed: Killed) {
    match killed {
        Killed::Ours => {
            s.new_id = NewId::Idle;
            let version = s.new_id_version;
            s.send(Command::Unmark { new, version }, Waiter::Nobody);
            s.cookie_old = false;
            s.acked = true;
        }
        Killed::Newer => {
            // Somebody else has written there since, and was told so.
            s.new_id = NewId::TakingOver;
            if let Old::Alive { version, content } = s.old {
                let new_version = s.new_id_version;
                s.send(Command::TakeOver { new, new_version, content, version }, Waiter::NewId);
            }
        }
        Killed::Gone => {
            s.new_id = NewId::KillingNew;
            s.send(Command::KillNew { new }, Waiter::NewId);
        }
    }
}

fn execute_request(s: &mut State, command: Command, waiter: Waiter) {
    match command {
        Command::Save { version, content } => {
            let ok = s.old == Old::Alive { version, content: content & !1 };
            if ok {
                s.old = Old::Alive { version: version + 1, content };
            }
            if waiter == Waiter::Save {
                s.save = Request::Over;
                s.saved |= ok;
            }
        }
        Command::Logout => {
            if matches!(s.old, Old::Alive { .. }) {
                s.old = Old::Tombstone(0);
            }
            if waiter == Waiter::Logout {
                s.logout = Request::Over;
                s.logged_out = true;
            }
        }
        _ => {
            s.epoch += 1;
            for session in s.new.iter_mut().filter(|session| session.listed) {
                *session = New::default();
            }
            if waiter == Waiter::Revoke {
                s.revoke = Request::Over;
                s.revoked = true;
            }
        }
    }
}
