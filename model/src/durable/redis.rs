//! What Redis does with a command.

use super::{
    Durable, Protocol,
    state::{Command, Entry, IDS, Sent, State, Waiter},
};

impl Durable {
    pub(super) fn send(
        &self,
        s: &mut State,
        instance: usize,
        generation: u8,
        command: Command,
        waiter: Waiter,
    ) {
        let x = s.instances[instance];
        let (node, incarnation) = (x.peer, x.peer_incarnation);
        s.wire.push(Sent { node, incarnation, generation, command, waiter, age: 0 });
        s.wire.sort_unstable();
    }

    /// Refused by its own deadline. A late delete does no harm and carries none.
    pub(super) fn is_too_late(&self, sent: &Sent) -> bool {
        let deadline = self.protocol.deadline;
        let carries_one = !matches!(sent.command, Command::Kill { .. });
        deadline > 0 && sent.age >= deadline && carries_one
    }

    pub(super) fn execute(&self, s: &mut State, sent: &Sent) {
        let key = self.key(sent.generation);
        let entries = &mut s.nodes[sent.node as usize].entries;
        match sent.command {
            Command::Put { id, version, saves } => {
                let entry = &mut entries[id as usize][key];
                *entry = put(&self.protocol, *entry, version, saves);
            }
            Command::Absent { token, instance } => {
                let entry = &mut entries[0][key];
                if *entry == Entry::Lease(token) {
                    *entry = Entry::Absent;
                    s.instances[instance as usize].shown_dead = true;
                }
            }
            Command::Kill { ids, version } => {
                let dead = if self.protocol.tombstone > 0 {
                    Entry::Tombstone { version, age: 0 }
                } else {
                    Entry::Empty
                };
                for id in (0..IDS).filter(|id| ids & 1 << id != 0) {
                    entries[id][key] = dead;
                }
            }
            Command::Fill { id, version, saves, moved, token } => {
                let filled = Entry::Record { version, saves, moved };
                let entry = &mut entries[id as usize][key];
                *entry = fill(&self.protocol, *entry, filled, version, token);
            }
        }
    }
}

fn put(p: &Protocol, entry: Entry, version: u8, saves: u8) -> Entry {
    let stored = Entry::Record { version, saves, moved: false };
    match entry {
        Entry::Empty if p.push_creates => stored,
        Entry::Record { version: old, .. } | Entry::Tombstone { version: old, .. }
            if !p.newer_only || version > old =>
        {
            stored
        }
        Entry::Lease(_) if p.push_on_lease => stored,
        Entry::Lease(_) | Entry::Absent => Entry::Empty,
        kept => kept,
    }
}

fn fill(p: &Protocol, entry: Entry, filled: Entry, version: u8, token: u8) -> Entry {
    if p.leased_fill {
        return if entry == Entry::Lease(token) { filled } else { entry };
    }
    match entry {
        Entry::Empty => filled,
        Entry::Record { version: old, .. } | Entry::Tombstone { version: old, .. }
            if !p.newer_only || version > old =>
        {
            filled
        }
        kept => kept,
    }
}
