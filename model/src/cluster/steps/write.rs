//! Saves and logouts, one stage at a time.

use super::Steps;
use crate::cluster::{
    Change, Cluster, Fault, Label, Seen,
    state::{Answer, Stage, State},
};

impl Steps<'_> {
    pub(super) fn write(&mut self, write: usize) {
        let (m, s) = (self.model, self.from);
        let (x, i) = (s.writes[write], m.writes[write].1 as usize);
        let instance = s.instances[i];
        if !instance.alive {
            return;
        }
        let label = write as u8;
        match x.stage {
            Stage::Load => {
                for seen in m.reads(s, i) {
                    self.step(Label::Load(label), |n| load(n, write, seen));
                }
            }
            Stage::Commit if instance.cut => {
                self.step(Label::CommitRefused(label), |n| n.answer_unknown(write));
            }
            Stage::Commit => self.commit(write),
            Stage::ReadGeneration => self.push(write),
            Stage::PushFailed => self.step(Label::AcknowledgeUnpushed(label), |n| {
                n.instances[i].set_aside |= m.protocol.journal;
                m.acknowledge(n, write, false);
                n.finish(write);
            }),
            Stage::ClearJournal if !instance.cut => self.step(Label::Clear(label), |n| {
                if n.journal <= x.version {
                    n.journal = 0;
                }
                n.finish(write);
            }),
            _ => {}
        }
    }

    fn commit(&mut self, write: usize) {
        let (m, s) = (self.model, self.from);
        let (x, label) = (s.writes[write], write as u8);
        let is_save = m.writes[write].0 != Change::Logout;
        if !s.row_alive {
            self.step(Label::Gone(label), |n| m.find_dead(n, write));
            return;
        }
        if is_save && x.base_version != s.row_version {
            self.step(Label::Conflict(label), |n| {
                n.writes[write].base_version = n.row_version;
                n.writes[write].base_saves = n.row_saves;
            });
            return;
        }
        self.step(Label::Commit(label), |n| {
            m.commit(n, write);
            n.writes[write].stage = Stage::ReadGeneration;
        });
        if m.may(s, Fault::LostReply) {
            self.step(Label::CommitUnknown(label), |n| {
                n.used[Fault::LostReply as usize] += 1;
                m.commit(n, write);
                n.answer_unknown(write);
            });
        }
    }

    fn push(&mut self, write: usize) {
        let (m, s) = (self.model, self.from);
        let i = m.writes[write].1 as usize;
        let after = m.protocol.generation_after;
        let db = after && !s.instances[i].cut;
        let targets = m.targets(s, i, db);
        for to in &targets {
            self.step(Label::ReadGeneration(write as u8), |n| {
                if db {
                    n.adopt(i);
                }
                n.writes[write].guess = after && !db;
                m.send_push(n, write, *to);
            });
        }
        if targets.is_empty() {
            self.step(Label::CannotSend(write as u8), |n| {
                if db {
                    n.adopt(i);
                }
                n.writes[write].stage = Stage::PushFailed;
            });
        } else if m.may(s, Fault::Refusal) {
            self.step(Label::Refused(write as u8), |n| {
                n.used[Fault::Refusal as usize] += 1;
                n.writes[write].stage = Stage::PushFailed;
            });
        }
    }
}

impl Cluster {
    /// The row is dead already.
    fn find_dead(&self, n: &mut State, write: usize) {
        let x = &mut n.writes[write];
        x.gone = self.writes[write].0 != Change::Logout;
        if self.protocol.push_when_dead {
            x.kill = true;
            x.version = n.row_version;
            x.stage = Stage::ReadGeneration;
        } else {
            self.acknowledge(n, write, false);
            n.finish(write);
        }
    }
}

fn load(n: &mut State, write: usize, seen: Seen) {
    let x = &mut n.writes[write];
    match seen {
        Seen::Alive { version, saves } => {
            x.stage = Stage::Commit;
            x.base_version = version;
            x.base_saves = saves;
        }
        Seen::Dead | Seen::Away => {
            x.stage = Stage::Over;
            x.answer = Answer::Unknown;
        }
    }
}
