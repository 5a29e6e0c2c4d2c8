//! What happens to an instance: restarts, polls, crashes, the way to the database.

use super::Steps;
use crate::durable::{
    Durable, Fault, Label,
    protocol::Polls,
    state::{Fill, FillStage, Instance, NONE, Poll, State, Sweep, Waiter},
};

impl Steps<'_> {
    pub(super) fn instance(&mut self, i: usize) {
        if !self.from.instances[i].alive {
            self.restart(i);
            return;
        }
        self.database(i);
        for node in 0..2 {
            self.connect(i, node);
        }
        self.crash(i);
        for id in 0..self.model.ids {
            self.start_fill(i, id);
        }
        if self.model.protocol.sweep {
            self.sweep(i);
        }
    }

    fn restart(&mut self, i: usize) {
        self.step(Label::Restart(i as u8), |n| {
            if !n.instances[i].cut {
                n.instances[i] = Instance {
                    alive: true,
                    generation: n.db_generation,
                    incarnation: n.db_incarnation,
                    set_aside: n.in_journal(),
                    ..Instance::down(false)
                };
            }
        });
    }

    /// Polls, and the way to the database.
    fn database(&mut self, i: usize) {
        let x = &self.from.instances[i];
        if x.cut {
            self.step(Label::DatabaseBack(i as u8), |n| n.instances[i].cut = false);
            return;
        }
        match self.model.protocol.polls {
            Polls::Instant => self.poll(i),
            _ if x.poll.on => self.poll_answer(i),
            _ => self.poll_start(i),
        }
        if self.model.may(self.from, Fault::Cut) {
            self.step(Label::DatabaseCut(i as u8), |n| {
                n.instances[i].cut = true;
                n.used[Fault::Cut as usize] += 1;
            });
        }
    }

    fn poll(&mut self, i: usize) {
        self.step(Label::Poll(i as u8), |n| {
            let set_aside = n.in_journal();
            let x = &mut n.instances[i];
            x.generation = n.db_generation;
            x.incarnation = n.db_incarnation;
            x.age = 0;
            x.set_aside = set_aside;
        });
    }

    fn poll_start(&mut self, i: usize) {
        self.step(Label::PollStart(i as u8), |n| {
            n.instances[i].poll = Poll {
                on: true,
                generation: n.db_generation,
                incarnation: n.db_incarnation,
                set_aside: n.in_journal(),
                age: 0,
                added: 0,
            };
        });
    }

    fn poll_answer(&mut self, i: usize) {
        let polls = self.model.protocol.polls;
        self.step(Label::Poll(i as u8), |n| {
            let x = &mut n.instances[i];
            let poll = std::mem::take(&mut x.poll);
            if poll.generation >= x.generation || polls == Polls::TakeBackGeneration {
                x.generation = poll.generation;
                x.incarnation = poll.incarnation;
            }
            x.age = if polls == Polls::LeaseFromAnswer { 0 } else { poll.age };
            let added = if polls == Polls::ForgetSetAside { 0 } else { poll.added };
            x.set_aside = poll.set_aside | added;
        });
    }

    fn crash(&mut self, i: usize) {
        let m = self.model;
        if m.may(self.from, Fault::Crash) {
            self.step(Label::Crash(i as u8), |n| {
                n.used[Fault::Crash as usize] += 1;
                m.kill_instance(n, i);
            });
        }
    }
}

impl Durable {
    /// What is in its memory is lost, what it has sent is not.
    fn kill_instance(&self, n: &mut State, i: usize) {
        let x = &mut n.instances[i];
        x.alive = false;
        x.peer = NONE;
        x.peer_incarnation = 0;
        n.saves_acked_by[i] = 0;
        n.logout_acked_by &= !(1 << i);
        n.moved_acked_by &= !(1 << i);
        for (write, (_, at)) in self.writes.iter().enumerate() {
            if *at as usize == i && n.writes[write].has_begun() {
                n.finish(write);
                n.abandon(Waiter::Write(write as u8));
            }
        }
        for fill in &mut n.fills {
            if fill.stage != FillStage::Off && fill.instance == i as u8 {
                *fill = Fill::default();
            }
        }
        n.sweeps[i] = Sweep::default();
        n.abandon(Waiter::Sweeper(i as u8));
        n.wire.sort_unstable();
    }
}
