//! The steps of the requests.

use super::{
    Browser, Kind, Label, Step,
    load::BEGUN,
    state::{Cookie, Found, Life, NONE, Request, Row, Stage, State},
    transactions::Outcome,
};

/// Attempts at a write or a renewal that meets conflicts.
const TRIES: u8 = 2;

pub struct Steps<'a> {
    model: &'a Browser,
    from: &'a State,
    out: &'a mut Vec<(Label, State)>,
}

impl<'a> Steps<'a> {
    pub fn new(model: &'a Browser, from: &'a State, out: &'a mut Vec<(Label, State)>) -> Self {
        Self { model, from, out }
    }

    pub fn all(&mut self) {
        self.clock();
        for r in 0..self.model.requests.len() {
            let request = self.from.requests[r];
            match request.stage {
                Stage::Unsent => self.send(r),
                Stage::Sent => self.sent(r),
                Stage::Loaded => self.loaded(r),
                Stage::Half => {
                    let m = self.model;
                    self.step(r, Step::FinishFirst, |n, x| {
                        m.finish(n, x.replaces, None, x.cookie);
                        x.stage = Stage::Sent;
                    });
                }
                Stage::Begun => self.begun(r),
                Stage::Answered => self.step(r, Step::Arrive, |n, x| match x.answer {
                    Cookie::Leave => {}
                    Cookie::Set(id) => n.jar = id,
                    Cookie::Remove => n.jar = NONE,
                }),
                Stage::Arrived => {}
            }
        }
    }

    fn clock(&mut self) {
        let s = self.from;
        if s.stale.iter().any(|row| !row.is(Life::Absent)) {
            let stale = [Row::absent(); super::state::IDS];
            self.out.push((Label::LeaseEnds, State { stale, ..s.clone() }));
        }
        for id in 0..s.rows.len() {
            if s.rows[id].heirs != 0 && !s.rows[id].late {
                let mut n = s.clone();
                n.rows[id].late = true;
                n.stale[id].late = true;
                self.out.push((Label::GraceEnds(id as u8), n));
            }
        }
    }

    /// One step of a request, and the same without a push of what it changed.
    fn step(&mut self, r: usize, step: Step, change: impl FnOnce(&mut State, &mut Request)) {
        let mut n = self.from.clone();
        let mut x = n.requests[r];
        change(&mut n, &mut x);
        if step == Step::Arrive {
            x.stage = Stage::Arrived;
        }
        n.requests[r] = x;
        let (kind, mut unpushed) = (self.model.requests[r], false);
        let mut late = n.clone();
        for id in 0..n.rows.len() {
            if n.rows[id] != self.from.rows[id] {
                n.stale[id] = Row::absent();
                if !self.from.rows[id].is(Life::Absent) {
                    late.stale[id] = self.from.rows[id];
                    unpushed = true;
                }
            }
        }
        self.out.push((Label::Of(r as u8, kind, step), n));
        if unpushed && late.faults < self.model.faults {
            late.faults += 1;
            self.out.push((Label::Unpushed(r as u8, kind, step), late));
        }
    }

    fn send(&mut self, r: usize) {
        let arrived = self.from.requests.iter().enumerate();
        let after = arrived
            .filter(|(_, x)| x.stage == Stage::Arrived)
            .fold(0, |set, (other, _)| set | 1 << other);
        self.step(r, Step::Send, |n, x| {
            *x = Request { stage: Stage::Sent, cookie: n.jar, after, ..Request::unsent() };
        });
    }

    fn sent(&mut self, r: usize) {
        let (m, s, x) = (self.model, self.from, self.from.requests[r]);
        if m.requests[r] == Kind::Logout {
            // It needs nothing of what it loads, and ends what reads as no session too.
            self.step(r, Step::End, |n, x| {
                let any = x.cookie != NONE && m.end(n, x.cookie);
                x.answer(if any { Cookie::Remove } else { Cookie::Leave }, true);
            });
            return;
        }
        if Browser::half(s, x.cookie) {
            self.step(r, Step::LoadHalf, |n, x| {
                x.replaces = n.rows[x.cookie as usize].replaces;
                x.stage = Stage::Half;
            });
            return;
        }
        for (stale, step) in [(false, Step::Load), (true, Step::LoadStale)] {
            let opened = m.load(s, x.cookie, stale);
            if stale && opened == m.load(s, x.cookie, false) {
                continue;
            }
            self.step(r, step, |n, x| {
                n.wrong |= Browser::judge(n, x.cookie, stale, opened);
                (x.found, x.version, x.user, x.data) = opened;
                if x.tries == 0 {
                    x.epoch = n.epoch;
                }
                x.after_end = n.ended;
                x.stage = Stage::Loaded;
            });
        }
    }

    fn loaded(&mut self, r: usize) {
        let (m, x) = (self.model, self.from.requests[r]);
        let moved = x.found == Found::Tombstone || x.found == Found::Grace;
        match (m.requests[r], x.found) {
            (Kind::Write, Found::Own) => self.step(r, Step::Save, |n, x| {
                let outcome = Browser::save(n, x.cookie, x.version, 1 << r);
                x.saved = outcome == Outcome::Done;
                m.answer_write(x, outcome);
            }),
            // A write that loses its session on the way begins none.
            (Kind::Write, _) if x.tries == 0 && !(moved && m.rules.drops_writes) => {
                self.step(r, Step::Create, |n, x| {
                    let cookie = x.cookie as usize;
                    if x.cookie != NONE && n.rows[cookie].is(Life::Moved) {
                        n.wrong |= BEGUN;
                    }
                    let new = Browser::create(n, Row::alive(false, 1 << r));
                    x.saved = true;
                    x.answer(Cookie::Set(new), true);
                });
            }
            (Kind::Renew | Kind::Login, Found::Own) => self.begin(r),
            (Kind::Login, _) => self.login(r),
            (Kind::RevokeAll | Kind::RevokeOthers, Found::Own | Found::Grace) if x.user => {
                self.revoke(r);
            }
            _ => self.step(r, Step::Nothing, |_, x| {
                let ended = x.cookie != NONE && x.found != Found::Own && x.found != Found::Grace;
                let clears = ended && !m.rules.leaves_cookie;
                let acked = !m.requests[r].ends();
                x.answer(if clears { Cookie::Remove } else { Cookie::Leave }, acked);
            }),
        }
    }

    fn begin(&mut self, r: usize) {
        let (m, login) = (self.model, self.model.requests[r] == Kind::Login);
        self.step(r, Step::Begin, |n, x| {
            if login && x.epoch != n.epoch {
                x.answer(Cookie::Leave, false);
                return;
            }
            let (outcome, new) = Browser::begin(n, x.cookie, x.version, x.user || login);
            if outcome != Outcome::Done {
                m.answer_write(x, outcome);
                return;
            }
            x.new = new;
            x.stage = Stage::Begun;
            if !m.rules.two_steps {
                m.finish(n, x.cookie, Some(x.version), new);
                x.answer(Cookie::Set(new), true);
            }
        });
    }

    fn begun(&mut self, r: usize) {
        let (m, may) = (self.model, self.from.faults < self.model.faults);
        self.step(r, Step::Finish, |n, x| match m.finish(n, x.cookie, Some(x.version), x.new) {
            Outcome::Done => x.answer(Cookie::Set(x.new), true),
            outcome => m.answer_write(x, outcome),
        });
        if may {
            self.step(r, Step::FinishFails, |n, x| {
                n.faults += 1;
                x.answer(Cookie::Set(x.new), false);
            });
            // It is repeated then. A conflict whose reply is lost has changed nothing.
            let mut happened = self.from.clone();
            let x = self.from.requests[r];
            if m.finish(&mut happened, x.cookie, Some(x.version), x.new) == Outcome::Done {
                self.step(r, Step::FinishReplyLost, |n, _| {
                    n.faults += 1;
                    n.rows = happened.rows;
                });
            }
        }
    }

    /// A login without a session that could be renewed.
    fn login(&mut self, r: usize) {
        let m = self.model;
        self.step(r, Step::Create, |n, x| {
            let mut row = Row::alive(true, 0);
            let grace = x.found == Found::Grace;
            x.late = x.found == Found::Tombstone;
            if grace {
                let from = n.rows[x.cookie as usize];
                row = Row { line: from.line | 1 << x.cookie, ..Row::alive(true, x.data) };
                let stands = from.is(Life::Moved) && super::load::lives(n, from.heirs, false);
                if m.rules.login_checks && !stands {
                    x.answer(Cookie::Leave, false);
                    return;
                }
            }
            if x.epoch != n.epoch {
                x.answer(Cookie::Leave, false);
                return;
            }
            let new = Browser::create(n, row);
            if grace && m.rules.login_listed {
                n.rows[x.cookie as usize].heirs |= 1 << new;
            }
            x.answer(Cookie::Set(new), true);
        });
    }

    fn revoke(&mut self, r: usize) {
        let (m, all) = (self.model, self.model.requests[r] == Kind::RevokeAll);
        self.step(r, Step::Revoke, |n, x| {
            if m.rules.revoke_checks && !super::load::lives(n, 1 << x.cookie, false) {
                x.answer(Cookie::Leave, false);
                return;
            }
            m.revoke(n, if all { NONE } else { x.cookie });
            if all {
                n.ended = true;
                n.logged_out |= 1 << x.cookie;
            }
            x.answer(if all { Cookie::Remove } else { Cookie::Leave }, true);
        });
    }
}

impl Browser {
    /// After a save or a renewal: done, or once more on what is there now, or nothing.
    fn answer_write(&self, x: &mut Request, outcome: Outcome) {
        x.tries += 1;
        match outcome {
            Outcome::Done => x.answer(Cookie::Leave, true),
            Outcome::Conflict if x.tries <= TRIES => {
                x.stage = Stage::Sent;
                x.new = NONE;
            }
            Outcome::Conflict => x.answer(Cookie::Leave, false),
            Outcome::Gone => {
                let clears = !self.rules.leaves_cookie;
                x.answer(if clears { Cookie::Remove } else { Cookie::Leave }, false);
            }
        }
    }
}

impl Request {
    /// Nothing is kept but the answer.
    fn answer(&mut self, answer: Cookie, acked: bool) {
        let Self { after, after_end, late, saved, .. } = *self;
        let stage = Stage::Answered;
        *self = Self { stage, answer, acked, after, after_end, late, saved, ..Self::unsent() };
    }
}
