//! What a node does with a command, and where commands go.

use super::{
    Bind, Cluster,
    state::{Command, Entry, GENERATIONS, NONE, Node, Sent, State, Target, Waiter},
};

impl Cluster {
    pub(super) fn execute(&self, n: &mut Node, sent: &Sent) {
        for generation in 0..GENERATIONS {
            if sent.also & 1 << generation != 0 {
                n.entries[generation] = Entry::Empty;
            }
        }
        let entry = &mut n.entries[sent.generation as usize];
        *entry = match sent.command {
            Command::Put { version, saves } => {
                let stored = Entry::Record { version, saves };
                match *entry {
                    Entry::Empty if self.protocol.push_creates => stored,
                    Entry::Record { version: old, .. } if version > old => stored,
                    Entry::Lease(_) => Entry::Empty,
                    kept => kept,
                }
            }
            Command::Kill { .. } => Entry::Empty,
            Command::Fill { version, saves, token } => {
                let filled = Entry::Record { version, saves };
                match *entry {
                    Entry::Lease(lease) if self.protocol.leased_fill && lease == token => filled,
                    kept if self.protocol.leased_fill => kept,
                    Entry::Empty => filled,
                    Entry::Record { version: old, .. } if version > old => filled,
                    kept => kept,
                }
            }
        };
    }

    /// Where a push may go, by what is known of the generations: the node that the row names, or
    /// with a row a node any that the instance's map may name. `db`: by the database's row instead
    /// of what the instance knows.
    pub(super) fn targets(&self, s: &State, i: usize, db: bool) -> Vec<Target> {
        let x = &s.instances[i];
        let (generations, incarnations) =
            if db { (s.db_generation, s.db_incarnation) } else { (x.generation, x.incarnation) };
        let also = |generation: u8| {
            let others = generations.iter().filter(|g| **g != generation && **g != NONE);
            let bits = others.fold(0, |bits, g| bits | 1 << g);
            if self.protocol.all_generations { bits } else { 0 }
        };
        let mut all = Vec::new();
        for (n, node) in s.nodes.iter().enumerate() {
            if !node.up || node.incarnation == 0 {
                continue;
            }
            let row = self.row(n);
            let fits = match self.protocol.bind {
                Bind::Set => incarnations[0] == s.primaries() && !s.is_isolated(n),
                _ => incarnations[row] == self.identity(node.incarnation, x.seen[n]),
            };
            if fits {
                let generation = generations[row];
                let (also, epoch) = (also(generation), x.seen[n]);
                all.push(Target { node: n as u8, generation, also, epoch });
            }
        }
        all
    }

    pub(super) fn send(&self, s: &mut State, to: Target, command: Command, waiter: Waiter) {
        let Target { node, generation, also, epoch } = to;
        let incarnation = s.nodes[node as usize].incarnation;
        let tells = self.protocol.evidence && waiter != Waiter::Nobody;
        let epoch = if tells { epoch } else { 0 };
        let asking = false;
        s.wire.push(Sent { node, incarnation, generation, command, waiter, asking, also, epoch });
        s.wire.sort_unstable();
    }
}
