//! Forgets what can have no effect any more, so that equal futures are equal states.

use super::{
    Durable,
    state::{Command, Entry, Fill, FillStage, Instance, State, Waiter},
};

impl Durable {
    pub(super) fn reduce(&self, s: &mut State) {
        if self.protocol.leased_fill {
            self.forget_lost_leases(s);
        }
        let nodes = s.nodes;
        s.wire.retain(|sent| {
            sent.waiter != Waiter::Nobody || nodes[sent.node as usize].is(sent.incarnation)
        });
        if self.protocol.generation_in_key {
            self.forget_old_generations(s);
        }
        for x in &mut s.instances {
            if !x.alive {
                *x = Instance::down(x.cut);
            } else if self.protocol.bound_generation {
                x.last_run = 0;
            }
        }
    }

    /// A token that is gone never comes back to the same Redis process.
    fn forget_lost_leases(&self, s: &mut State) {
        let nodes = s.nodes;
        let gone = |incarnation: u8, id: u8, generation: u8, token: u8| {
            let (id, key) = (id as usize, self.key(generation));
            !nodes.iter().any(|n| n.is(incarnation) && n.entries[id][key] == Entry::Lease(token))
        };
        s.wire.retain(|sent| match sent.command {
            Command::Absent { token, .. } => !gone(sent.incarnation, 0, sent.generation, token),
            Command::Fill { id, token, .. } => !gone(sent.incarnation, id, sent.generation, token),
            Command::Put { .. } | Command::Kill { .. } => true,
        });
        for fill in &mut s.fills {
            let lost = gone(fill.incarnation, fill.id, fill.generation, fill.token);
            if fill.stage != FillStage::Off && lost && self.protocol.fill_pinned {
                *fill = Fill::default();
            }
        }
    }

    /// What stands under a generation that nobody knows and nobody will learn.
    fn forget_old_generations(&self, s: &mut State) {
        for generation in 0..s.db_generation {
            let known = s.instances.iter().any(|x| x.alive && x.generation == generation);
            if known || self.protocol.fill_generation_at_send {
                continue;
            }
            let nodes = s.nodes.iter_mut().map(|n| &mut n.entries);
            for entries in nodes.chain([&mut s.replica]).flatten() {
                entries[generation as usize] = Entry::Empty;
            }
            s.wire.retain(|sent| sent.waiter != Waiter::Nobody || sent.generation != generation);
            for fill in &mut s.fills {
                if fill.stage != FillStage::Off && fill.generation == generation {
                    *fill = Fill::default();
                }
            }
        }
    }
}
