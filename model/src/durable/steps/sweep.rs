//! The sweeper: pushes what the journal names, then clears it.

use super::Steps;
use crate::durable::{
    Label,
    state::{Command, IDS, Row, Sweep, SweepStage, Waiter},
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
            SweepStage::Off if alone && vouched => {
                for id in (0..m.ids).filter(|id| s.journal[*id] != 0) {
                    self.start_sweep(i, id);
                }
            }
            SweepStage::Clear => self.step(Label::SweepClear(i as u8), |n| {
                let mut versions = [0; IDS];
                versions[at_work.id as usize] = at_work.version;
                n.clear(1 << at_work.id, versions);
                n.sweeps[i] = Sweep::default();
            }),
            SweepStage::Off | SweepStage::Pushing => {}
        }
    }
    /// Read and send are one step: a late send is a command late on the wire.
    fn start_sweep(&mut self, i: usize, id: usize) {
        let m = self.model;
        self.step(Label::SweepRead(i as u8, id as u8), |n| {
            let (Row { version, saves, alive, moved, .. }, at) = (n.rows[id], id as u8);
            let (generation, kill) = (n.db_generation, !alive || moved);
            let stage = SweepStage::Pushing;
            n.sweeps[i] = Sweep { stage, id: at, generation, version, saves, kill };
            let command = if kill {
                Command::Kill { ids: 1 << id, version }
            } else {
                Command::Put { id: at, version, saves }
            };
            m.send(n, i, generation, command, Waiter::Sweeper(i as u8));
        });
    }
}
