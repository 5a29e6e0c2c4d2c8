//! What happens to Redis: restarts, failover, eviction, leases that expire.

use super::Steps;
use crate::durable::{
    Durable, Fault, Label,
    state::{EMPTY, Entry, GENERATIONS, Node, State, Waiter},
};

impl Steps<'_> {
    pub(super) fn redis(&mut self) {
        self.sync();
        self.restarts();
        self.failover();
        for node in 0..2 {
            for generation in 0..GENERATIONS {
                for id in 0..self.model.ids {
                    self.loss(node, generation, id);
                }
            }
        }
    }

    fn sync(&mut self) {
        let (m, s) = (self.model, self.from);
        let left = |fault: Fault| m.caps[fault as usize] - s.used[fault as usize];
        let primary = s.primary as usize;
        if left(Fault::Restore) + left(Fault::Failover) > 0 && s.nodes[primary].entries != s.replica
        {
            self.step(Label::Sync, |n| n.replica = n.nodes[primary].entries);
        }
    }

    fn restarts(&mut self) {
        let (m, s) = (self.model, self.from);
        let primary = s.primary as usize;
        if m.may(s, Fault::Empty) {
            self.step(Label::RedisEmpty(s.primary), |n| {
                n.used[Fault::Empty as usize] += 1;
                m.end_process(n, primary);
                n.nodes[primary] = Node::started(n.next_incarnation, EMPTY);
                n.next_incarnation += 1;
            });
        }
        if m.may(s, Fault::Restore) {
            self.step(Label::RedisRestore(s.primary), |n| {
                n.used[Fault::Restore as usize] += 1;
                m.end_process(n, primary);
                n.nodes[primary] = Node::started(n.next_incarnation, n.replica);
                n.next_incarnation += 1;
            });
        }
    }

    fn failover(&mut self) {
        let (m, s) = (self.model, self.from);
        if s.primary == 0 && m.may(s, Fault::Failover) {
            self.step(Label::Failover, |n| {
                n.used[Fault::Failover as usize] += 1;
                n.nodes[1] = Node::started(n.next_incarnation, n.replica);
                n.next_incarnation += 1;
                n.primary = 1;
            });
        }
        if s.primary == 1 && s.nodes[0].up {
            self.step(Label::RedisDown(0), |n| {
                m.end_process(n, 0);
                n.nodes[0] = Node::down();
            });
        }
    }

    fn loss(&mut self, node: usize, generation: usize, id: usize) {
        let place = (node as u8, generation as u8, id as u8);
        match self.from.nodes[node].entries[id][generation] {
            Entry::Empty => {}
            Entry::Lease(_) | Entry::Absent => {
                self.step(Label::ExpireLease(place.0, place.1, place.2), |n| {
                    n.nodes[node].entries[id][generation] = Entry::Empty;
                })
            }
            Entry::Record { .. } | Entry::Tombstone { .. } => {
                if self.model.may(self.from, Fault::Eviction) {
                    self.step(Label::Evict(place.0, place.1, place.2), |n| {
                        n.used[Fault::Eviction as usize] += 1;
                        n.nodes[node].entries[id][generation] = Entry::Empty;
                    });
                }
            }
        }
    }
}

impl Durable {
    /// The process dies, and with it what was sent to it.
    fn end_process(&self, n: &mut State, node: usize) {
        let incarnation = n.nodes[node].incarnation;
        let mut waiters = Vec::new();
        n.wire.retain(|sent| {
            let lost = sent.node as usize == node && sent.incarnation == incarnation;
            if lost && sent.waiter != Waiter::Nobody {
                waiters.push(sent.waiter);
            }
            !lost
        });
        for waiter in waiters {
            self.disappoint(n, waiter);
        }
    }
}
