//! The course of a save or a logout: commit, push, acknowledgement.

use super::{
    Change, Cluster,
    state::{Answer, Command, NONE, Stage, State, Sweep, Target, Waiter},
};

impl Cluster {
    pub(super) fn commit(&self, s: &mut State, write: usize) {
        match self.writes[write].0 {
            Change::Save(bit) => {
                let x = &mut s.writes[write];
                x.version = x.base_version + 1;
                x.saves = x.base_saves | 1 << bit;
                s.row_version = x.version;
                s.row_saves = x.saves;
                s.save_committed[bit as usize] = 0;
            }
            Change::Logout => {
                s.row_alive = false;
                s.was_dead = true;
                s.row_version += 1;
                s.writes[write].version = s.row_version;
                s.writes[write].kill = true;
                s.logout_committed = 0;
                s.save_committed = [NONE; 2];
            }
        }
        if self.protocol.journal {
            s.journal = s.row_version;
        }
    }

    pub(super) fn send_push(&self, s: &mut State, write: usize, to: Target) {
        let x = &mut s.writes[write];
        x.stage = Stage::Pushing;
        let command = if x.kill {
            Command::Kill { version: x.version }
        } else {
            Command::Put { version: x.version, saves: x.saves }
        };
        self.send(s, to, command, Waiter::Write(write as u8));
    }

    /// The command failed, as far as its sender knows.
    pub(super) fn disappoint(&self, s: &mut State, waiter: Waiter) {
        match waiter {
            Waiter::Write(write) => s.writes[write as usize].stage = Stage::PushFailed,
            Waiter::Sweeper(i) => s.sweeps[i as usize] = Sweep::default(),
            Waiter::Nobody => {}
        }
    }

    /// A node has executed the push of a write.
    pub(super) fn pushed(&self, s: &mut State, write: usize) {
        let guess = s.writes[write].guess;
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
                if pushed {
                    s.saves_pushed |= 1 << bit;
                }
            }
            Change::Logout => {
                s.logout_acked_by |= 1 << instance;
                s.logout_pushed |= pushed;
            }
        }
    }
}
