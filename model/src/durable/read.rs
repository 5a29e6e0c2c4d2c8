//! What an instance believes, and what a request on it sees.

use super::{
    Durable, Seen,
    state::{Entry, NONE, State},
};

impl Durable {
    /// Whether the instance's connection leads to the process it was made to.
    pub(super) fn connected(&self, s: &State, instance: usize) -> bool {
        let x = &s.instances[instance];
        x.alive && x.peer != NONE && s.nodes[x.peer as usize].is(x.peer_incarnation)
    }

    /// And the generation was made for that process.
    fn vouched(&self, s: &State, instance: usize) -> bool {
        let x = &s.instances[instance];
        let bound = !self.protocol.bound_generation || x.incarnation == x.peer_incarnation;
        self.connected(s, instance) && bound
    }

    /// And the lease holds, and the session is not set aside.
    pub(super) fn trusted(&self, s: &State, instance: usize, id: usize) -> bool {
        let (p, x) = (&self.protocol, &s.instances[instance]);
        let lease = !p.trust_lease || x.age <= 1;
        let set_aside = p.journal && p.sets_aside && x.set_aside & 1 << id != 0;
        self.vouched(s, instance) && lease && !set_aside
    }

    /// Where a generation's entry stands.
    pub(super) fn key(&self, generation: u8) -> usize {
        if self.protocol.generation_in_key { generation as usize } else { 0 }
    }

    /// Whether Redis alone answers a request on this instance.
    pub(super) fn answered_by_redis(&self, s: &State, instance: usize) -> bool {
        let x = &s.instances[instance];
        self.trusted(s, instance, 0)
            && !matches!(
                s.nodes[x.peer as usize].entries[0][self.key(x.generation)],
                Entry::Empty | Entry::Lease(_)
            )
    }

    /// What a request that starts now on this instance sees under this id.
    pub fn read(&self, s: &State, instance: usize, id: usize) -> Seen {
        let x = &s.instances[instance];
        let entry = || s.nodes[x.peer as usize].entries[id][self.key(x.generation)];
        if self.trusted(s, instance, id) {
            match entry() {
                Entry::Record { moved: true, .. } => return Seen::Moved,
                Entry::Record { version, saves, .. } => return Seen::Alive { version, saves },
                Entry::Tombstone { .. } | Entry::Absent => return Seen::Dead,
                Entry::Empty | Entry::Lease(_) => {}
            }
        }
        if x.cut {
            let serves = self.protocol.serve_without_database && x.set_aside & 1 << id == 0;
            if serves
                && self.vouched(s, instance)
                && let Entry::Record { version, saves, .. } = entry()
            {
                return Seen::Alive { version, saves };
            }
            return Seen::Away;
        }
        let row = &s.rows[id];
        match (row.alive, row.moved) {
            (true, true) => Seen::Moved,
            (true, false) => Seen::Alive { version: row.version, saves: row.saves },
            (false, _) => Seen::Dead,
        }
    }
}
