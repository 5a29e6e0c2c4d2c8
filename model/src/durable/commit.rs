//! The course of a save or a logout: commit, push, acknowledgement.

use super::{
    Change, Durable, PushGeneration,
    state::{Answer, Command, NONE, Stage, State, Waiter, Write},
};

impl Durable {
    /// The commit of a write that is neither in conflict nor too late.
    pub(super) fn commit(&self, s: &mut State, write: usize) {
        match self.writes[write].0 {
            Change::Save(bit) => {
                let x = &mut s.writes[write];
                x.version = x.base_version + 1;
                x.saves = x.base_saves | 1 << bit;
                s.row_version = x.version;
                s.row_saves = x.saves;
                if !self.protocol.compare_and_set {
                    s.row_alive = true;
                }
                s.save_committed[bit as usize] = 0;
            }
            Change::Logout => {
                s.row_alive = false;
                s.was_dead = true;
                s.row_version += 1;
                s.writes[write].version = s.row_version;
                s.writes[write].kill = true;
                s.logout_committed = 0;
                if self.lean {
                    s.save_committed = [NONE; 2];
                }
            }
        }
        if self.protocol.journal {
            s.journal = s.row_version;
        }
    }

    pub(super) fn after_commit(&self, s: &mut State, write: usize) {
        let instance = s.instances[self.writes[write].1 as usize];
        let x = &mut s.writes[write];
        match self.protocol.push_generation {
            PushGeneration::AfterCommit => x.stage = Stage::ReadGeneration,
            PushGeneration::Known => {
                x.generation = instance.generation;
                x.incarnation = instance.incarnation;
                x.stage = Stage::Push;
            }
            PushGeneration::BeforeCommit => x.stage = Stage::Push,
        }
    }

    pub(super) fn send_push(&self, s: &mut State, write: usize) {
        s.writes[write].stage = Stage::Pushing;
        let x = s.writes[write];
        let command = if x.kill {
            Command::Kill { version: x.version }
        } else {
            Command::Put { version: x.version, saves: x.saves }
        };
        let waiter = Waiter::Write(write as u8);
        self.send(s, self.writes[write].1 as usize, x.generation, command, waiter);
    }

    pub(super) fn fail_attempt(&self, s: &mut State, write: usize) {
        let x = &mut s.writes[write];
        x.tries += 1;
        let last = x.tries >= self.protocol.attempts;
        x.stage = if last { Stage::PushFailed } else { Stage::Push };
    }

    /// Redis has executed the push of a write.
    pub(super) fn pushed(&self, s: &mut State, write: usize) {
        if self.protocol.redis_first {
            s.writes[write].stage = Stage::CommitAfterRedis;
            return;
        }
        let guess = s.writes[write].guess;
        let learned = s.instances[self.writes[write].1 as usize].learned;
        if self.protocol.strict && (guess || learned < 2) {
            s.writes[write].stage = Stage::WaitOutLease;
            return;
        }
        self.acknowledge(s, write, !guess);
        s.writes[write].stage = Stage::ClearJournal;
        if !self.protocol.journal || guess {
            s.finish(write);
        }
    }

    pub(super) fn acknowledge(&self, s: &mut State, write: usize, pushed: bool) {
        let (change, instance) = self.writes[write];
        s.writes[write].answer = if pushed { Answer::Pushed } else { Answer::Unpushed };
        if s.writes[write].gone {
            return;
        }
        match change {
            Change::Save(bit) => {
                s.saves_acked_by[instance as usize] |= 1 << bit;
                s.save_acked[bit as usize] = 0;
                if pushed {
                    s.saves_pushed |= 1 << bit;
                }
            }
            Change::Logout => {
                s.logout_acked_by |= 1 << instance;
                if s.logout_acked == NONE {
                    s.logout_acked = 0;
                }
                s.logout_pushed |= pushed;
            }
        }
    }
}

impl Write {
    /// Whether its instance has begun it. A logout that has not begun stands at its commit.
    pub fn has_begun(&self) -> bool {
        self.stage > Stage::Commit || (self.stage == Stage::Commit && self.base_version != 0)
    }

    pub fn is_past_commit(&self) -> bool {
        (Stage::ReadGeneration..Stage::Over).contains(&self.stage)
    }
}
