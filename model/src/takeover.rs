//! The take-over of another library's session at the first request: `docs/import.md`.
//!
//! Requests with the same old cookie, a logout with the new one, a revocation of the user's
//! sessions, an old instance that writes the old key again. A step is one call of a store; a request
//! may stop for ever between any two. The time after which a claim is taken over is left out: it may
//! happen at any time, so that no promise rests on a clock. `request/take_over/` has these steps.

use crate::explore::Model;

/// Sessions that claims may create, each by a nonce.
const NONCES: usize = 3;

#[derive(Clone, Copy, Debug)]
pub struct TakeOver {
    pub requests: u8,
    pub crashes: u8,
    pub logout: bool,
    pub revoke: bool,
    /// The old key is written again by an old instance.
    pub written_back: bool,
    /// A claim that is taken over gets another nonce.
    pub fresh_nonce: bool,
    /// The token is sent only when the claim is `Done` at the expected version.
    pub confirm: bool,
    /// The claim is kept after the take-over.
    pub keep: bool,
    /// A revocation bars old sessions of the user.
    pub bar: bool,
    /// The bar is written before the epoch is raised.
    pub bar_first: bool,
    /// A request reads the epoch before the bar.
    pub epoch_first: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Claim {
    pub version: u8,
    pub nonce: u8,
    pub done: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum At {
    Start,
    LoadClaim,
    Get,
    ReadEpoch,
    ReadBar,
    SaveClaim,
    Create,
    Confirm,
    Undo,
    DeleteOld,
    LoadSession,
    Respond,
    Served,
    Rejected,
    Gone,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Request {
    pub at: At,
    /// The version of the claim that a save expects; 0 for none.
    pub expected: u8,
    pub nonce: u8,
    pub epoch: u8,
    /// It began after the grace.
    pub late: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    pub old: bool,
    pub claim: Option<Claim>,
    pub alive: [bool; NONCES],
    /// A response has sent the token.
    pub sent: [bool; NONCES],
    pub drawn: u8,
    pub requests: Vec<Request>,
    pub grace_over: bool,
    pub epoch: u8,
    pub bar: bool,
    /// Steps of the revocation that are left.
    pub revoke: u8,
    pub logged_out: bool,
    pub writes_back: u8,
    pub crashes: u8,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Label {
    Step(u8, At),
    Crash(u8, At),
    Logout,
    Revoke(u8),
    GraceEnds,
    WrittenBack,
}

impl TakeOver {
    fn step(&self, s: &mut State, request: usize) {
        let mut r = s.requests[request];
        match r.at {
            At::Start => {
                r.late = s.grace_over;
                r.at = At::LoadClaim;
            }
            At::LoadClaim => match s.claim {
                None => (r.at, r.expected) = (At::Get, 0),
                Some(claim) if !claim.done => (r.at, r.expected) = (At::Get, claim.version),
                Some(_) if s.grace_over => r.at = At::Rejected,
                Some(claim) => (r.at, r.nonce) = (At::LoadSession, claim.nonce),
            },
            At::Get if !s.old => {
                // It was deleted by a request that has confirmed: its claim says so.
                r.at = if s.claim.is_some_and(|claim| claim.done) {
                    At::LoadClaim
                } else {
                    At::Rejected
                };
            }
            At::Get => r.at = if self.epoch_first { At::ReadEpoch } else { At::ReadBar },
            At::ReadEpoch => {
                r.epoch = s.epoch;
                r.at = if self.epoch_first { At::ReadBar } else { At::SaveClaim };
            }
            At::ReadBar if s.bar => r.at = At::Rejected,
            At::ReadBar => r.at = if self.epoch_first { At::SaveClaim } else { At::ReadEpoch },
            At::SaveClaim => self.save_claim(s, &mut r),
            At::Create if r.epoch == s.epoch => {
                s.alive[r.nonce as usize] = true;
                r.at = if self.confirm { At::Confirm } else { At::DeleteOld };
            }
            At::Create => r.at = At::Rejected,
            At::Confirm => confirm(s, &mut r),
            At::Undo => {
                s.alive[r.nonce as usize] = false;
                r.at = At::LoadClaim;
            }
            At::DeleteOld => {
                s.old = false;
                r.at = At::Respond;
                if !self.confirm {
                    s.claim = s.claim.map(|claim| Claim { done: true, ..claim });
                }
                if !self.keep {
                    s.claim = None;
                }
            }
            At::LoadSession if s.alive[r.nonce as usize] => r.at = At::Respond,
            At::LoadSession => r.at = At::Rejected,
            At::Respond => {
                s.sent[r.nonce as usize] = true;
                r.at = At::Served;
            }
            At::Served | At::Rejected | At::Gone => {}
        }
        s.requests[request] = r;
    }

    fn save_claim(&self, s: &mut State, r: &mut Request) {
        if s.claim.map_or(0, |claim| claim.version) != r.expected {
            r.at = At::LoadClaim;
            return;
        }
        r.nonce = match s.claim {
            Some(claim) if !self.fresh_nonce => claim.nonce,
            _ => {
                s.drawn += 1;
                s.drawn - 1
            }
        };
        r.expected += 1;
        s.claim = Some(Claim { version: r.expected, nonce: r.nonce, done: false });
        r.at = At::Create;
    }
}

fn confirm(s: &mut State, r: &mut Request) {
    match &mut s.claim {
        Some(claim) if claim.version == r.expected => {
            claim.version += 1;
            claim.done = true;
            r.at = At::DeleteOld;
        }
        _ => r.at = At::Undo,
    }
}

impl Model for TakeOver {
    type State = State;
    type Label = Label;

    fn init(&self) -> Vec<State> {
        let request = Request { at: At::Start, expected: 0, nonce: 0, epoch: 0, late: false };
        vec![State {
            old: true,
            claim: None,
            alive: [false; NONCES],
            sent: [false; NONCES],
            drawn: 0,
            requests: vec![request; self.requests.into()],
            grace_over: false,
            epoch: 0,
            bar: false,
            revoke: if self.revoke { 2 } else { 0 },
            logged_out: false,
            writes_back: u8::from(self.written_back),
            crashes: self.crashes,
        }]
    }

    fn next(&self, s: &State, out: &mut Vec<(Label, State)>) {
        for (place, r) in s.requests.iter().enumerate() {
            if matches!(r.at, At::Served | At::Rejected | At::Gone) {
                continue;
            }
            let number = place as u8;
            if r.at != At::SaveClaim || usize::from(s.drawn) < NONCES {
                let mut next = s.clone();
                self.step(&mut next, place);
                out.push((Label::Step(number, r.at), next));
            }
            if s.crashes > 0 {
                let mut next = s.clone();
                next.crashes -= 1;
                next.requests[place].at = At::Gone;
                out.push((Label::Crash(number, r.at), next));
            }
        }
        if self.logout && !s.logged_out && s.sent.contains(&true) {
            // With the cookie that a response brought.
            let alive = std::array::from_fn(|nonce| s.alive[nonce] && !s.sent[nonce]);
            out.push((Label::Logout, State { alive, logged_out: true, ..s.clone() }));
        }
        if s.revoke > 0 {
            out.push((Label::Revoke(s.revoke), self.revocation(s)));
        }
        if !s.grace_over && s.claim.is_some_and(|claim| claim.done) {
            out.push((Label::GraceEnds, State { grace_over: true, ..s.clone() }));
        }
        if !s.old && s.writes_back > 0 {
            out.push((Label::WrittenBack, State { old: true, writes_back: 0, ..s.clone() }));
        }
    }

    fn check(&self, s: &State, out: &mut Vec<&'static str>) {
        let usable = |nonce: usize| s.alive[nonce] && s.sent[nonce];
        if s.sent.iter().filter(|sent| **sent).count() > 1 {
            out.push("two-sessions");
        }
        if s.logged_out && (0..NONCES).any(usable) {
            out.push("logout-undone");
        }
        if self.revoke && s.revoke == 0 && (0..NONCES).any(usable) {
            out.push("survives-revoke-all");
        }
        if s.requests.iter().any(|r| r.late && r.at == At::Served) {
            out.push("accepted-after-the-grace");
        }
        let ended = s.logged_out || self.revoke || s.grace_over;
        if !ended && s.requests.iter().any(|r| r.at == At::Rejected) {
            out.push("signed-out");
        }
    }
}

impl TakeOver {
    fn revocation(&self, s: &State) -> State {
        let writes_bar = (s.revoke == 2) == self.bar_first;
        let mut next = State { revoke: s.revoke - 1, ..s.clone() };
        if writes_bar {
            next.bar = self.bar;
        } else {
            // Raises the epoch and ends the sessions of the index, in one step.
            next.epoch += 1;
            next.alive = [false; NONCES];
        }
        next
    }
}
