//! What Redis does with a command.

use super::{
    Durable, Protocol,
    state::{Command, Entry, Sent, State, Waiter},
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
        let entry = &mut s.nodes[sent.node as usize].entries[key];
        *entry = match sent.command {
            Command::Put { version, saves } => put(&self.protocol, *entry, version, saves),
            Command::Kill { version } if self.protocol.tombstone > 0 => {
                Entry::Tombstone { version, age: 0 }
            }
            Command::Kill { .. } => Entry::Empty,
            Command::Absent { token, instance } => {
                let filled = *entry == Entry::Lease(token);
                s.instances[instance as usize].shown_dead |= filled;
                if filled { Entry::Absent } else { *entry }
            }
            Command::Fill { version, saves, token } => {
                let filled = Entry::Record { version, saves };
                fill(&self.protocol, *entry, filled, version, token)
            }
        };
    }
}

fn put(p: &Protocol, entry: Entry, version: u8, saves: u8) -> Entry {
    let stored = Entry::Record { version, saves };
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
