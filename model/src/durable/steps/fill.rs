//! Fills: a miss takes the lease, the database is read, the command is sent.

use super::Steps;
use crate::durable::{
    Durable, Label,
    state::{Command, Entry, Fill, FillStage, Row, State, Waiter},
};

impl Steps<'_> {
    pub(super) fn start_fill(&mut self, i: usize, id: usize) {
        let (m, s) = (self.model, self.from);
        if m.fills == 0 || !m.trusted(s, i, id) || s.next_token > m.fill_starts {
            return;
        }
        // Nobody but its own renewal knows of it yet.
        if id > 0 && s.rows[id].pending {
            return;
        }
        let x = s.instances[i];
        let key = m.key(x.generation);
        if s.nodes[x.peer as usize].entries[id][key] != Entry::Empty {
            return;
        }
        let free = (0..m.fills).find(|f| s.fills[*f].stage == FillStage::Off);
        let Some(fill) = free else { return };
        self.step(Label::FillStart(i as u8, fill as u8, id as u8), |n| {
            let token = n.next_token;
            n.next_token += 1;
            n.fills[fill] = Fill {
                stage: FillStage::Read,
                instance: i as u8,
                generation: x.generation,
                incarnation: x.peer_incarnation,
                token,
                id: id as u8,
                ..Fill::default()
            };
            if m.protocol.leased_fill {
                n.nodes[x.peer as usize].entries[id][key] = Entry::Lease(token);
            }
        });
    }

    pub(super) fn fill(&mut self, fill: usize) {
        let (m, s) = (self.model, self.from);
        let x = s.fills[fill];
        match x.stage {
            FillStage::Read if !s.instances[x.instance as usize].cut => {
                self.step(Label::FillRead(fill as u8), |n| m.read_for_fill(n, fill));
            }
            FillStage::Send => {
                let i = x.instance as usize;
                let same = s.instances[i].peer_incarnation == x.incarnation;
                if m.connected(s, i) && (!m.protocol.fill_pinned || same) {
                    self.step(Label::FillSend(fill as u8), |n| m.send_fill(n, fill));
                }
                self.step(Label::FillDrop(fill as u8), |n| n.fills[fill] = Fill::default());
            }
            FillStage::Off | FillStage::Read => {}
        }
    }
}

impl Durable {
    fn read_for_fill(&self, n: &mut State, fill: usize) {
        let x = n.fills[fill];
        let i = x.instance as usize;
        let Row { version, saves, alive, moved, .. } = n.rows[x.id as usize];
        if self.lean && self.protocol.leased_fill && self.protocol.fill_pinned {
            // Read and send are one step: a late send is a command late on the wire.
            n.fills[fill] = Fill::default();
            let same = n.instances[i].peer_incarnation == x.incarnation;
            if !alive && self.reads && self.connected(n, i) && same {
                self.send_absent(n, x);
            } else if alive && self.connected(n, i) && same {
                let command = Command::Fill { id: x.id, version, saves, moved, token: x.token };
                self.send(n, i, x.generation, command, Waiter::Nobody);
            }
        } else if alive {
            n.fills[fill] = Fill { stage: FillStage::Send, version, saves, moved, ..x };
        } else if self.reads && self.connected(n, i) {
            n.fills[fill] = Fill::default();
            self.send_absent(n, x);
        } else {
            n.fills[fill] = Fill::default();
        }
    }

    /// Under the fence of a copy: the right to fill is given back with it.
    fn send_absent(&self, n: &mut State, fill: Fill) {
        let Fill { instance, generation, token, .. } = fill;
        let command = Command::Absent { token, instance };
        self.send(n, instance as usize, generation, command, Waiter::Nobody);
    }

    fn send_fill(&self, n: &mut State, fill: usize) {
        let Fill { instance, generation, id, version, saves, moved, token, .. } = n.fills[fill];
        let i = instance as usize;
        let now = self.protocol.fill_generation_at_send;
        let generation = if now { n.instances[i].generation } else { generation };
        let command = Command::Fill { id, version, saves, moved, token };
        self.send(n, i, generation, command, Waiter::Nobody);
        n.fills[fill] = Fill::default();
    }
}
