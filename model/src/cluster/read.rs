//! What an instance believes, and what a request on it sees.

use super::{
    Bind, Cluster, Seen,
    state::{Entry, Node, Own, State},
};

/// A node's answer to a command.
pub(super) enum Served {
    Executed,
    Moved,
    Ask(u8),
}

impl Cluster {
    /// The generation that counts at a node, as far as the instance knows.
    fn vouched(&self, s: &State, i: usize, node: usize) -> Option<u8> {
        let (x, n, row) = (&s.instances[i], &s.nodes[node], self.row(node));
        let known = match self.protocol.bind {
            // The set is the same as long as no process was replaced: any member will do.
            Bind::Set => x.incarnation[0] == s.primaries() && !s.is_isolated(node),
            _ => x.incarnation[row] == self.identity(n.incarnation, x.seen[node]),
        };
        (n.up && n.incarnation != 0 && known).then_some(x.generation[row])
    }

    pub(super) fn trusted(&self, s: &State, i: usize, node: usize) -> Option<u8> {
        let (x, p) = (&s.instances[i], &self.protocol);
        let over = p.trust_lease && x.age > 1;
        let set_aside = p.journal && p.sets_aside && x.set_aside;
        if !x.alive || over || set_aside { None } else { self.vouched(s, i, node) }
    }

    pub(super) fn serve(&self, n: &Node, generation: usize, asking: bool) -> Served {
        match n.own {
            Own::Owner => Served::Executed,
            Own::Migrating(_) if n.entries[generation] != Entry::Empty => Served::Executed,
            Own::Migrating(to) => Served::Ask(to),
            Own::Importing if asking => Served::Executed,
            Own::Importing | Own::No => Served::Moved,
        }
    }

    /// What a request that starts now may see, by a slot map that names this node.
    fn read_at(&self, s: &State, i: usize, node: usize) -> Seen {
        if let Some(generation) = self.trusted(s, i, node) {
            let key = generation as usize;
            let entry = match self.serve(&s.nodes[node], key, false) {
                Served::Executed => s.nodes[node].entries[key],
                Served::Ask(to) if self.protocol.ask_read => s.nodes[to as usize].entries[key],
                Served::Ask(_) | Served::Moved => Entry::Empty,
            };
            if let Entry::Record { version, saves } = entry {
                return Seen::Alive { version, saves };
            }
        }
        if s.instances[i].cut {
            Seen::Away
        } else if s.row_alive {
            Seen::Alive { version: s.row_version, saves: s.row_saves }
        } else {
            Seen::Dead
        }
    }

    /// The same by any map, however old.
    pub(super) fn reads(&self, s: &State, i: usize) -> Vec<Seen> {
        let mut all = Vec::with_capacity(3);
        for node in 0..3 {
            let seen = self.read_at(s, i, node);
            if !all.contains(&seen) {
                all.push(seen);
            }
        }
        all
    }
}
