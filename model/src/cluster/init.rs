//! Where explorations begin.

use super::{
    Bind, Change, Cluster,
    fault::FAULTS,
    state::{Entry, Fill, GENERATIONS, Instance, NONE, Node, Own, Stage, State, Sweep, Write},
};

impl Cluster {
    pub(super) fn initial_states(&self) -> Vec<State> {
        let mut cold = empty();
        match self.protocol.bind {
            Bind::Set => cold.db_incarnation[0] = cold.primaries(),
            Bind::Slot | Bind::SlotEpoch => cold.db_incarnation[0] = self.identity(1, 1),
            Bind::Shard | Bind::ShardEpoch => {
                cold.db_generation[1] = 1;
                cold.last_generation = 1;
                cold.db_incarnation = [self.identity(1, 1), self.identity(2, 2), 0];
            }
        }
        let (generation, incarnation) = (cold.db_generation, cold.db_incarnation);
        for x in &mut cold.instances {
            let seen = [1, 2, 0];
            *x = Instance { alive: true, generation, incarnation, seen, ..Instance::down(false) };
        }
        for (index, write) in cold.writes.iter_mut().enumerate() {
            write.stage = match self.writes.get(index) {
                None => Stage::Over,
                Some((Change::Logout, _)) => Stage::Commit,
                Some((Change::Save(_), _)) => Stage::Load,
            };
        }
        let mut warm = cold.clone();
        warm.nodes[0].entries[0] = Entry::Record { version: 1, saves: 0 };
        warm.replicas[0] = warm.nodes[0].entries;
        let mut all = vec![warm, cold];
        for state in &mut all {
            self.reduce(state);
        }
        all
    }
}

fn empty() -> State {
    let none = [Entry::Empty; GENERATIONS];
    let node =
        |incarnation, own| Node { incarnation, up: true, own, epoch: incarnation, entries: none };
    State {
        row_version: 1,
        row_saves: 0,
        row_alive: true,
        db_generation: [0, NONE, NONE],
        db_incarnation: [0; 3],
        last_generation: 0,
        journal: 0,
        was_dead: false,
        logout_committed: NONE,
        logout_acked_by: 0,
        logout_pushed: false,
        save_committed: [NONE; 2],
        saves_acked_by: [0; 2],
        saves_pushed: 0,
        nodes: [node(1, Own::Owner), node(2, Own::No), Node::down()],
        replicas: [none; 2],
        failed: 0,
        late_copy: None,
        instances: [Instance::down(false); 2],
        writes: [Write::default(); 3],
        fill: Fill::default(),
        sweeps: [Sweep::default(); 2],
        wire: Vec::new(),
        used: [0; FAULTS],
        moves: 0,
        stayed: 2,
        next_incarnation: 3,
        next_token: 1,
    }
}
