//! Saves and logouts, one stage at a time.

use super::Steps;
use crate::durable::{
    Change, Durable, Fault, Label, PushGeneration, Seen,
    state::{Answer, Stage, State},
};

impl Steps<'_> {
    pub(super) fn write(&mut self, write: usize) {
        let (m, s) = (self.model, self.from);
        let (x, instance) = (s.writes[write], s.instances[m.writes[write].1 as usize]);
        if !instance.alive {
            return;
        }
        if m.writes[write].0 == Change::LogoutHeir && s.rows[1].pending {
            return;
        }
        let label = write as u8;
        match x.stage {
            Stage::Load => self.step(Label::Load(label), |n| m.load(n, write)),
            Stage::Commit | Stage::CommitAfterRedis if instance.cut => {
                self.step(Label::CommitRefused(label), |n| n.answer_unknown(write));
            }
            Stage::Commit | Stage::CommitAfterRedis => self.commit(write),
            Stage::ReadGeneration => self.read_generation(write),
            Stage::Push => self.push(write),
            Stage::PushFailed if m.protocol.bump_on_failed_push => self.bump(write),
            Stage::PushFailed if !m.protocol.strict || x.age >= 2 => {
                self.step(Label::AcknowledgeUnpushed(label), |n| m.give_up_push(n, write));
            }
            Stage::WaitOutLease if x.age >= 2 => {
                self.step(Label::AcknowledgeUnpushed(label), |n| {
                    m.acknowledge(n, write, true);
                    n.writes[write].stage = Stage::ClearJournal;
                    if x.guess {
                        n.finish(write);
                    }
                });
            }
            Stage::ClearJournal if !instance.cut => self.step(Label::Clear(label), |n| {
                n.clear(x.ids, x.versions);
                n.finish(write);
            }),
            Stage::Pushing
            | Stage::PushFailed
            | Stage::ClearJournal
            | Stage::WaitOutLease
            | Stage::Over => {}
        }
    }

    fn commit(&mut self, write: usize) {
        let (m, s) = (self.model, self.from);
        let (x, label) = (s.writes[write], write as u8);
        let (fence, change) = (m.protocol.compare_and_set, m.writes[write].0);
        let ends = matches!(change, Change::Logout | Change::LogoutHeir);
        let row = s.rows[usize::from(change == Change::LogoutHeir)];
        if !row.alive && (fence || ends) {
            self.step(Label::Gone(label), |n| m.find_dead(n, write));
            return;
        }
        // A second step that is repeated has happened.
        let repeated = row.moved && change == Change::Move;
        if !ends && !repeated && fence && x.base_version != row.version {
            self.step(Label::Conflict(label), |n| m.find_newer(n, write));
            return;
        }
        self.step(Label::Commit(label), |n| {
            m.commit(n, write);
            if x.stage == Stage::CommitAfterRedis {
                m.acknowledge(n, write, true);
                n.finish(write);
            } else {
                m.after_commit(n, write);
            }
        });
        if m.may(s, Fault::LostReply) {
            self.step(Label::CommitUnknown(label), |n| {
                n.used[Fault::LostReply as usize] += 1;
                m.commit(n, write);
                if change != Change::Move {
                    n.answer_unknown(write);
                }
            });
        }
    }

    fn read_generation(&mut self, write: usize) {
        let (m, i) = (self.model, self.model.writes[write].1 as usize);
        let instance = self.from.instances[i];
        if instance.cut {
            self.step(Label::CannotSend(write as u8), |n| {
                let x = &mut n.writes[write];
                x.generation = instance.generation;
                x.incarnation = instance.incarnation;
                x.guess = true;
                x.stage = Stage::Push;
            });
            return;
        }
        self.step(Label::ReadGeneration(write as u8), |n| {
            let x = &mut n.writes[write];
            x.generation = n.db_generation;
            x.incarnation = n.db_incarnation;
            x.stage = Stage::Push;
            // What the database just said about the generation is learned on the spot.
            n.instances[i].generation = n.db_generation;
            n.instances[i].incarnation = n.db_incarnation;
            let same = n.db_incarnation == instance.peer_incarnation;
            if m.connected(n, i) && (!m.protocol.bound_generation || same) {
                m.send_push(n, write);
            }
        });
        self.refuse(write);
    }

    fn push(&mut self, write: usize) {
        let (m, i) = (self.model, self.model.writes[write].1 as usize);
        let (x, instance) = (self.from.writes[write], self.from.instances[i]);
        let same = x.incarnation == instance.peer_incarnation;
        if m.connected(self.from, i) && (!m.protocol.bound_generation || same) {
            self.step(Label::Send(write as u8), |n| m.send_push(n, write));
            self.refuse(write);
        } else {
            self.step(Label::CannotSend(write as u8), |n| m.fail_attempt(n, write));
        }
    }

    fn refuse(&mut self, write: usize) {
        if self.model.may(self.from, Fault::Refusal) {
            self.step(Label::Refused(write as u8), |n| {
                n.used[Fault::Refusal as usize] += 1;
                n.writes[write].stage = Stage::PushFailed;
            });
        }
    }

    /// The first design's answer to a failed push.
    fn bump(&mut self, write: usize) {
        let (m, i) = (self.model, self.model.writes[write].1 as usize);
        if self.from.instances[i].cut {
            self.step(Label::BumpRefused(write as u8), |n| n.answer_unknown(write));
            return;
        }
        if self.from.db_generation + 1 >= m.generations {
            return;
        }
        self.step(Label::Bump(write as u8), |n| {
            n.db_generation += 1;
            n.instances[i].generation = n.db_generation;
            if m.protocol.redis_first {
                n.writes[write].stage = Stage::CommitAfterRedis;
            } else {
                m.acknowledge(n, write, false);
                n.finish(write);
            }
        });
        if m.may(self.from, Fault::LostReply) {
            self.step(Label::BumpUnknown(write as u8), |n| {
                n.used[Fault::LostReply as usize] += 1;
                n.db_generation += 1;
                n.answer_unknown(write);
            });
        }
    }
}

impl Durable {
    fn load(&self, n: &mut State, write: usize) {
        let (change, i) = self.writes[write];
        let seen = self.read(n, i as usize, usize::from(change == Change::LogoutHeir));
        let instance = n.instances[i as usize];
        let x = &mut n.writes[write];
        match (change, seen) {
            (Change::Save(_) | Change::Move, Seen::Alive { version, saves }) => {
                x.stage = Stage::Commit;
                x.base_version = version;
                x.base_saves = saves;
            }
            (
                Change::Logout | Change::LogoutHeir,
                Seen::Alive { .. } | Seen::Moved | Seen::Dead,
            ) => {
                x.stage = Stage::Commit;
            }
            // What it would write is dropped.
            (Change::Save(_) | Change::Move, Seen::Moved | Seen::Dead) | (_, Seen::Away) => {
                x.stage = Stage::Over;
                x.answer = Answer::Unknown;
                return;
            }
        }
        if self.protocol.push_generation == PushGeneration::BeforeCommit {
            if instance.cut {
                x.stage = Stage::Over;
            }
            x.generation = n.db_generation;
            x.incarnation = n.db_incarnation;
        }
        if x.stage == Stage::Commit && self.protocol.redis_first {
            x.stage = Stage::Push;
            x.generation = instance.generation;
            x.incarnation = instance.incarnation;
            x.ids = 0b01;
            match change {
                Change::Save(bit) => {
                    x.versions[0] = x.base_version + 1;
                    x.saves = x.base_saves | 1 << bit;
                }
                Change::Logout | Change::LogoutHeir | Change::Move => {
                    x.versions[0] = 9;
                    x.kill = true;
                }
            }
        }
    }

    /// The row has another version: once more on that, or nothing on a tombstone.
    fn find_newer(&self, n: &mut State, write: usize) {
        if n.rows[0].moved {
            n.answer_unknown(write);
            return;
        }
        let x = &mut n.writes[write];
        x.stage = Stage::Commit;
        x.base_version = n.rows[0].version;
        x.base_saves = n.rows[0].saves;
    }

    /// The row is dead already.
    fn find_dead(&self, n: &mut State, write: usize) {
        let change = self.writes[write].0;
        let heirs = if n.rows[0].moved && self.protocol.kills_dead_heir { 0b11 } else { 0b01 };
        if change == Change::Move && n.rows[1].alive {
            // Whoever ended the old one meant the session under any id.
            n.rows[1].alive = false;
            n.was_dead |= 0b10;
        }
        let x = &mut n.writes[write];
        x.gone = matches!(change, Change::Save(_) | Change::Move);
        if self.protocol.push_when_dead && x.stage == Stage::Commit {
            self.takes_in(n, write, if change == Change::LogoutHeir { 0b10 } else { heirs });
            n.writes[write].kill = true;
            self.after_commit(n, write);
        } else {
            self.acknowledge(n, write, false);
            n.finish(write);
        }
    }

    /// Acknowledged, although Redis was not written.
    fn give_up_push(&self, n: &mut State, write: usize) {
        if self.protocol.redis_first {
            n.writes[write].stage = Stage::CommitAfterRedis;
            return;
        }
        let x = &mut n.instances[self.writes[write].1 as usize];
        let ids = if self.protocol.journal { n.writes[write].ids } else { 0 };
        x.set_aside |= ids;
        x.poll.added |= if x.poll.on { ids } else { 0 };
        self.acknowledge(n, write, false);
        n.finish(write);
    }
}
