//! Forgets what can have no effect any more, so that equal futures are equal states.

use super::{
    Cluster, Fault,
    state::{
        Answer, Command, Entry, Fill, FillStage, GENERATIONS, Instance, NONE, Node, State, Waiter,
    },
};

impl Cluster {
    pub(super) fn reduce(&self, s: &mut State) {
        if self.lean {
            s.logout_pushed = false;
            s.saves_pushed = 0;
            for write in &mut s.writes {
                write.answer = Answer::None;
            }
        }
        if self.protocol.leased_fill {
            forget_lost_leases(s);
        }
        let nodes = s.nodes;
        s.wire.retain(|sent| {
            sent.waiter != Waiter::Nobody || nodes[sent.node as usize].is(sent.incarnation)
        });
        forget_old_generations(s);
        if s.late_copy.is_some_and(|copy| !s.nodes[copy.node as usize].is(copy.incarnation)) {
            s.late_copy = None;
        }
        if self.caps[Fault::Failover as usize] <= s.used[Fault::Failover as usize] {
            s.replicas = [[Entry::Empty; GENERATIONS]; 2];
        }
        for n in &mut s.nodes {
            if !n.up {
                *n = Node::down();
            } else if !self.looks_at_epoch() {
                n.epoch = 0;
            }
        }
        for x in &mut s.instances {
            if !x.alive {
                *x = Instance::down(x.cut);
            }
            if !self.looks_at_epoch() {
                x.seen = [0; 3];
            }
        }
    }
}

/// A token that is nowhere, not even on its way, never comes back.
fn forget_lost_leases(s: &mut State) {
    let (nodes, replicas, late_copy) = (s.nodes, s.replicas, s.late_copy);
    let gone = |token: u8| {
        let lease = Entry::Lease(token);
        !nodes.iter().any(|n| n.entries.contains(&lease))
            && !replicas.iter().any(|entries| entries.contains(&lease))
            && late_copy.is_none_or(|copy| copy.entry != lease)
    };
    s.wire.retain(|sent| !matches!(sent.command, Command::Fill { token, .. } if gone(token)));
    if s.fill.stage != FillStage::Off && gone(s.fill.token) {
        s.fill = Fill::default();
    }
}

/// What stands under a generation that nobody knows and nobody will learn.
fn forget_old_generations(s: &mut State) {
    let known = s.instances.iter().filter(|x| x.alive).flat_map(|x| &x.generation);
    let known = s.db_generation.iter().chain(known).filter(|g| **g != NONE);
    let mut live = known.fold(0u8, |bits, g| bits | 1 << g);
    for write in s.writes.iter().filter(|write| write.is_past_commit()) {
        live |= 1 << write.generation;
    }
    for generation in 0..=s.last_generation {
        let key = generation as usize;
        if live & 1 << key != 0 || key >= GENERATIONS {
            continue;
        }
        for entries in s.nodes.iter_mut().map(|n| &mut n.entries).chain(&mut s.replicas) {
            entries[key] = Entry::Empty;
        }
        s.wire.retain(|sent| sent.waiter != Waiter::Nobody || sent.generation != generation);
        if s.fill.stage != FillStage::Off && s.fill.generation == generation {
            s.fill = Fill::default();
        }
        if s.late_copy.is_some_and(|copy| copy.generation == generation) {
            s.late_copy = None;
        }
    }
}
