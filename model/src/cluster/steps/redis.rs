//! Failover, eviction, leases that expire.

use super::Steps;
use crate::cluster::{
    Fault, Label,
    state::{Entry, GENERATIONS, Node, Own},
};

impl Steps<'_> {
    pub(super) fn redis(&mut self) {
        let (m, s) = (self.model, self.from);
        if m.may(s, Fault::Failover) && s.failed == 0 {
            for shard in 0..2 {
                self.failover(shard);
            }
        }
        if s.failed != 0 {
            let old = s.failed as usize - 1;
            if s.nodes[old].up {
                self.step(Label::Down(old as u8), |n| n.nodes[old].up = false);
            }
        }
        for node in 0..3 {
            for generation in 0..GENERATIONS {
                self.loss(node, generation);
            }
        }
    }

    /// Z takes over with what it had.
    fn failover(&mut self, shard: usize) {
        let s = self.from;
        if s.nodes[shard].entries != s.replicas[shard] {
            self.step(Label::Sync(shard as u8), |n| {
                n.replicas[shard] = n.nodes[shard].entries;
            });
        }
        if !s.nodes[shard].own.serves() {
            return;
        }
        self.step(Label::Failover(shard as u8), |n| {
            n.used[Fault::Failover as usize] += 1;
            n.failed = shard as u8 + 1;
            n.nodes[2] = Node {
                incarnation: n.next_incarnation,
                up: true,
                own: Own::Owner,
                epoch: n.highest_epoch() + 1,
                entries: n.replicas[shard],
            };
            n.next_incarnation += 1;
            // A target keeps waiting for a source that has forgotten it.
            for node in n.nodes.iter_mut().take(2) {
                if node.own == Own::Importing {
                    node.own = Own::No;
                }
            }
        });
    }

    fn loss(&mut self, node: usize, generation: usize) {
        let place = (node as u8, generation as u8);
        match self.from.nodes[node].entries[generation] {
            Entry::Empty => {}
            Entry::Lease(_) => self.step(Label::ExpireLease(place.0, place.1), |n| {
                n.nodes[node].entries[generation] = Entry::Empty;
            }),
            Entry::Record { .. } | Entry::Tombstone { .. } => {
                if self.model.may(self.from, Fault::Eviction) {
                    self.step(Label::Evict(place.0, place.1), |n| {
                        n.used[Fault::Eviction as usize] += 1;
                        n.nodes[node].entries[generation] = Entry::Empty;
                    });
                }
            }
        }
    }
}
