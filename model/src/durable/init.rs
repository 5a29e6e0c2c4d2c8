//! Where explorations begin.

use super::{
    Change, Durable, PushGeneration,
    fault::FAULTS,
    state::{EMPTY, Entry, Fill, IDS, Instance, NONE, Node, Row, Stage, State, Sweep, Write},
};

impl Durable {
    pub(super) fn initial_states(&self) -> Vec<State> {
        let mut cold = empty();
        for x in cold.instances.iter_mut().skip(self.instances) {
            x.alive = false;
        }
        let needs_load = self.protocol.push_generation == PushGeneration::BeforeCommit
            || self.protocol.redis_first;
        for (index, write) in cold.writes.iter_mut().enumerate() {
            write.stage = match self.writes.get(index) {
                None => Stage::Over,
                // A logout needs nothing of what it loads.
                Some((Change::Logout | Change::LogoutHeir, _)) if !needs_load => Stage::Commit,
                Some(_) => Stage::Load,
            };
        }
        let mut all = Vec::new();
        if self.warm {
            let mut warm = cold.clone();
            warm.nodes[0].entries[0][0] = Entry::Record { version: 1, saves: 0, moved: false };
            warm.replica = warm.nodes[0].entries;
            all.push(warm);
        }
        if self.cold {
            all.push(cold);
        }
        all
    }
}

fn empty() -> State {
    let row = Row { version: 1, saves: 0, alive: true, moved: false, pending: false };
    State {
        rows: [row, Row { pending: true, ..row }],
        db_generation: 0,
        db_incarnation: 1,
        journal: [0; IDS],
        was_dead: 0,
        moved_committed: NONE,
        moved_acked_by: 0,
        logged_out: 0,
        logout_committed: NONE,
        logout_acked: NONE,
        logout_acked_by: 0,
        logout_pushed: false,
        save_committed: [NONE; 2],
        save_acked: [NONE; 2],
        saves_acked_by: [0; 2],
        saves_pushed: 0,
        nodes: [Node::started(1, EMPTY), Node::down()],
        primary: 0,
        replica: EMPTY,
        instances: [Instance::settled(); 2],
        writes: [Write::default(); 3],
        fills: [Fill::default(); 2],
        sweeps: [Sweep::default(); 2],
        wire: Vec::new(),
        used: [0; FAULTS],
        next_incarnation: 2,
        next_token: 1,
    }
}
