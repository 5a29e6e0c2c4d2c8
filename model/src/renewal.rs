//! A renewal whose replies may be lost, and a client that keeps the cookie it was told. Hole H15.

use crate::explore::Model;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Stage {
    NotBegun,
    /// The new session is stored beside the old one.
    Begun,
    Over,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    pub old_alive: bool,
    pub new_alive: bool,
    /// The new session still has to end the old one.
    pub replaces: bool,
    pub stage: Stage,
    /// The client holds the new cookie, else the old one.
    pub has_new: bool,
    /// The client was told of success.
    pub acked: bool,
    /// The new session was used.
    pub used: bool,
    pub lost: u8,
}

#[derive(Clone, Copy, Debug)]
pub struct Renewal {
    /// The new session first, then the end of the old one; else both in one transaction.
    pub two_steps: bool,
    /// A 503 after the first step carries the new cookie.
    pub tell: bool,
    /// Replies that may be lost; the process may die instead.
    pub losses: u8,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Label {
    Once,
    OnceReplyLost,
    Begin,
    BeginReplyLost,
    Finish,
    FinishReplyLost,
    FinishFails,
    Use,
}

impl Renewal {
    fn first(&self, s: &State, out: &mut Vec<(Label, State)>) {
        let begun = |s: &State| State {
            new_alive: true,
            replaces: self.two_steps,
            old_alive: self.two_steps,
            ..s.clone()
        };
        let (label, lost) = if self.two_steps {
            (Label::Begin, Label::BeginReplyLost)
        } else {
            (Label::Once, Label::OnceReplyLost)
        };
        let next = if self.two_steps {
            State { stage: Stage::Begun, ..begun(s) }
        } else {
            State { stage: Stage::Over, has_new: true, acked: true, ..begun(s) }
        };
        out.push((label, next));
        if s.lost < self.losses {
            // 503: the client keeps the cookie it has.
            out.push((lost, State { stage: Stage::Over, lost: s.lost + 1, ..begun(s) }));
        }
    }

    fn second(&self, s: &State, out: &mut Vec<(Label, State)>) {
        let finished = State { old_alive: false, replaces: false, stage: Stage::Over, ..s.clone() };
        out.push((Label::Finish, State { has_new: true, acked: true, ..finished.clone() }));
        if s.lost < self.losses {
            let (lost, has_new) = (s.lost + 1, self.tell);
            out.push((Label::FinishReplyLost, State { lost, has_new, ..finished }));
            let fails = State { stage: Stage::Over, lost, has_new, ..s.clone() };
            out.push((Label::FinishFails, fails));
        }
    }
}

impl Model for Renewal {
    type State = State;
    type Label = Label;

    fn init(&self) -> Vec<State> {
        vec![State {
            old_alive: true,
            new_alive: false,
            replaces: false,
            stage: Stage::NotBegun,
            has_new: false,
            acked: false,
            used: false,
            lost: 0,
        }]
    }

    fn next(&self, s: &State, out: &mut Vec<(Label, State)>) {
        match s.stage {
            Stage::NotBegun => self.first(s, out),
            Stage::Begun => self.second(s, out),
            // The first request with the new cookie finishes what was not finished.
            Stage::Over if s.has_new && s.new_alive && !s.used => {
                let finished = State { old_alive: false, replaces: false, ..s.clone() };
                out.push((Label::Use, State { used: true, ..finished }));
            }
            Stage::Over => {}
        }
    }

    fn check(&self, s: &State, out: &mut Vec<&'static str>) {
        if (s.acked || s.used) && s.old_alive {
            out.push("old-id-alive");
        }
        let works = if s.has_new { s.new_alive } else { s.old_alive };
        if s.stage == Stage::Over && !works {
            out.push("signed-out");
        }
    }
}
