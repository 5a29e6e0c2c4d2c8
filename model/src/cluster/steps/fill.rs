//! Fills and sweepers.

use super::Steps;
use crate::cluster::{
    Label,
    state::{Command, Entry, Fill, FillStage, Own, Sweep, SweepStage, Target, Waiter},
};

impl Steps<'_> {
    /// Only where the slot is served without a question.
    pub(super) fn start_fill(&mut self, i: usize, node: usize) {
        let (m, s) = (self.model, self.from);
        let Some(generation) = m.trusted(s, i, node) else { return };
        let n0 = &s.nodes[node];
        let free = s.fill.stage == FillStage::Off && s.next_token <= m.fill_starts;
        let missing = n0.own == Own::Owner && n0.entries[generation as usize] == Entry::Empty;
        if !free || !missing {
            return;
        }
        let (incarnation, instance) = (n0.incarnation, i as u8);
        self.step(Label::FillStart(i as u8, node as u8), |n| {
            let (token, stage, at) = (n.next_token, FillStage::Read, node as u8);
            n.next_token += 1;
            n.fill = Fill { stage, instance, node: at, incarnation, generation, token };
            if m.protocol.leased_fill {
                n.nodes[node].entries[generation as usize] = Entry::Lease(token);
            }
        });
    }

    pub(super) fn fill(&mut self) {
        let (m, s) = (self.model, self.from);
        let x = s.fill;
        if x.stage == FillStage::Off || s.instances[x.instance as usize].cut {
            return;
        }
        self.step(Label::FillRead, |n| {
            n.fill = Fill::default();
            if n.row_alive && n.nodes[x.node as usize].is(x.incarnation) {
                let (version, saves) = (n.row_version, n.row_saves);
                let command = Command::Fill { version, saves, token: x.token };
                let to = Target { node: x.node, generation: x.generation, also: 0, epoch: 0 };
                m.send(n, to, command, Waiter::Nobody);
            }
        });
    }

    pub(super) fn sweep(&mut self, i: usize) {
        let (m, s) = (self.model, self.from);
        let at_work = s.sweeps[i];
        if s.instances[i].cut {
            return;
        }
        if s.sweeps.iter().all(|sweep| sweep.stage == SweepStage::Off) && s.journal != 0 {
            for to in m.targets(s, i, true) {
                self.step(Label::SweepRead(i as u8), |n| {
                    let (version, saves) = (n.row_version, n.row_saves);
                    n.sweeps[i] = Sweep { stage: SweepStage::Pushing, version };
                    n.adopt(i);
                    let command = if n.row_alive {
                        Command::Put { version, saves }
                    } else {
                        Command::Kill { version }
                    };
                    m.send(n, to, command, Waiter::Sweeper(i as u8));
                });
            }
        }
        if at_work.stage == SweepStage::Clear {
            self.step(Label::SweepClear(i as u8), |n| {
                if n.journal <= at_work.version {
                    n.journal = 0;
                }
                n.sweeps[i] = Sweep::default();
            });
        }
    }
}
