//! What happens to an instance: restarts, polls, crashes, the way to the database.

use super::Steps;
use crate::cluster::{
    Bind, Cluster, Fault, Label,
    state::{Fill, FillStage, Instance, State, Sweep, Waiter},
};

impl Steps<'_> {
    pub(super) fn instance(&mut self, i: usize) {
        if !self.from.instances[i].alive {
            self.restart(i);
            return;
        }
        self.database(i);
        for node in 0..3 {
            self.bump(i, node);
        }
        self.crash(i);
        for node in 0..3 {
            self.start_fill(i, node);
        }
        if self.model.protocol.journal {
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
                    set_aside: n.journal != 0,
                    seen: n.epochs(),
                    ..Instance::down(false)
                };
            }
        });
    }

    /// Polls, and the way to the database.
    fn database(&mut self, i: usize) {
        if self.from.instances[i].cut {
            self.step(Label::DatabaseBack(i as u8), |n| n.instances[i].cut = false);
            return;
        }
        self.poll(i);
        if self.model.may(self.from, Fault::Cut) {
            self.step(Label::DatabaseCut(i as u8), |n| {
                n.instances[i].cut = true;
                n.used[Fault::Cut as usize] += 1;
            });
        }
    }

    fn poll(&mut self, i: usize) {
        let (m, s) = (self.model, self.from);
        // Where the slot is, says who serves it; after a failover two may.
        let owner = s.nodes.iter().rev().find(|n| n.up && n.own.serves());
        let owner = owner.map(|n| m.identity(n.incarnation, n.epoch));
        let by_slot = matches!(m.protocol.bind, Bind::Slot | Bind::SlotEpoch);
        let stranger =
            owner.filter(|owner| m.protocol.notice && by_slot && *owner != s.db_incarnation[0]);
        // Without a generation left to give the model ends here.
        if stranger.is_some() && s.last_generation + 1 >= m.generations {
            return;
        }
        self.step(Label::Poll(i as u8), |n| {
            if let Some(identity) = stranger {
                n.last_generation += 1;
                n.db_generation[0] = n.last_generation;
                n.db_incarnation[0] = identity;
                if m.protocol.bump_clears {
                    n.journal = 0;
                }
            }
            n.adopt(i);
            n.instances[i].age = 0;
            n.instances[i].set_aside = n.journal != 0;
            n.instances[i].seen = n.epochs();
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

impl Cluster {
    /// What is in its memory is lost, what it has sent is not.
    fn kill_instance(&self, n: &mut State, i: usize) {
        n.instances[i].alive = false;
        n.saves_acked_by[i] = 0;
        n.logout_acked_by &= !(1 << i);
        for (write, (_, at)) in self.writes.iter().enumerate() {
            if *at as usize == i && n.writes[write].has_begun() {
                n.finish(write);
                n.abandon(Waiter::Write(write as u8));
            }
        }
        if n.fill.stage != FillStage::Off && n.fill.instance == i as u8 {
            n.fill = Fill::default();
        }
        n.sweeps[i] = Sweep::default();
        n.abandon(Waiter::Sweeper(i as u8));
        n.wire.sort_unstable();
    }
}
