//! The course of a save or a logout: commit, push, acknowledgement.

use super::{
    Change, Durable, PushGeneration,
    state::{Answer, Command, IDS, NONE, Stage, State, Waiter, Write},
};

impl Durable {
    /// The commit of a write that is neither in conflict nor too late.
    pub(super) fn commit(&self, s: &mut State, write: usize) {
        let change = self.writes[write].0;
        let moved = s.rows[0].moved;
        let ids = match change {
            Change::Save(_) | Change::Move => 0b01,
            Change::LogoutHeir => 0b10,
            Change::Logout if moved && self.protocol.end_follows => 0b11,
            Change::Logout => 0b01,
        };
        match change {
            Change::Save(bit) => self.commit_save(s, write, bit),
            Change::Move => self.commit_move(s, write),
            Change::Logout | Change::LogoutHeir => {
                s.logged_out |= if moved && change == Change::Logout { 0b11 } else { ids };
                self.commit_end(s, ids);
            }
        }
        self.takes_in(s, write, ids);
        if self.protocol.journal {
            let heir = if self.protocol.journals_heir { ids } else { ids & 0b01 };
            for id in (0..IDS).filter(|id| heir & 1 << id != 0) {
                s.journal[id] = s.rows[id].version;
            }
        }
    }

    /// What is pushed for these ids.
    pub(super) fn takes_in(&self, s: &mut State, write: usize, ids: u8) {
        let x = &mut s.writes[write];
        x.ids = ids;
        x.kill = !matches!(self.writes[write].0, Change::Save(_));
        for id in (0..IDS).filter(|id| ids & 1 << id != 0) {
            x.versions[id] = s.rows[id].version;
        }
    }

    fn commit_save(&self, s: &mut State, write: usize, bit: u8) {
        let x = &mut s.writes[write];
        x.saves = x.base_saves | 1 << bit;
        let row = &mut s.rows[0];
        row.version = x.base_version + 1;
        row.saves = x.saves;
        row.alive |= !self.protocol.compare_and_set;
        s.save_committed[bit as usize] = 0;
    }

    fn commit_move(&self, s: &mut State, write: usize) {
        if s.rows[0].moved {
            return;
        }
        s.rows[0].version = s.writes[write].base_version + 1;
        s.rows[0].moved = true;
        s.rows[1].pending = false;
        s.moved_committed = 0;
        if self.lean {
            s.save_committed = [NONE; 2];
        }
    }

    fn commit_end(&self, s: &mut State, ids: u8) {
        for id in 0..IDS {
            if ids & 1 << id == 0 || !s.rows[id].alive {
                continue;
            }
            s.rows[id].alive = false;
            s.rows[id].version += 1;
            s.was_dead |= 1 << id;
        }
        s.logout_committed = 0;
        if self.lean {
            s.save_committed = [NONE; 2];
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
            Command::Kill { ids: x.ids, version: x.versions[usize::from(x.ids == 0b10)] }
        } else {
            Command::Put { id: 0, version: x.versions[0], saves: x.saves }
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
            Change::Move => s.moved_acked_by |= 1 << instance,
            Change::Logout | Change::LogoutHeir => {
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
