//! The sweeper: pushes what the journal names, then clears it.

use super::Steps;
use crate::durable::{
    Label,
    state::{Command, Sweep, SweepStage, Waiter},
};

impl Steps<'_> {
    pub(super) fn sweep(&mut self, i: usize) {
        let (m, s) = (self.model, self.from);
        let (x, at_work) = (&s.instances[i], s.sweeps[i]);
        if x.cut {
            return;
        }
        let alone = !m.lean || s.sweeps.iter().all(|sweep| sweep.stage == SweepStage::Off);
        let vouched = m.connected(s, i) && s.db_incarnation == x.peer_incarnation;
        match at_work.stage {
            SweepStage::Off if alone && s.journal != 0 && vouched => {
                // Read and send are one step: a late send is a command late on the wire.
                self.step(Label::SweepRead(i as u8), |n| {
                    let (version, saves) = (n.row_version, n.row_saves);
                    let (generation, kill) = (n.db_generation, !n.row_alive);
                    let stage = SweepStage::Pushing;
                    n.sweeps[i] = Sweep { stage, generation, version, saves, kill };
                    let command = if kill {
                        Command::Kill { version }
                    } else {
                        Command::Put { version, saves }
                    };
                    m.send(n, i, generation, command, Waiter::Sweeper(i as u8));
                });
            }
            SweepStage::Clear => self.step(Label::SweepClear(i as u8), |n| {
                if n.journal <= at_work.version {
                    n.journal = 0;
                }
                n.sweeps[i] = Sweep::default();
            }),
            SweepStage::Off | SweepStage::Pushing => {}
        }
    }
}
