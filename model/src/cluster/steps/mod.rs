//! Every step that is possible in a state.

mod bump;
mod fill;
mod instance;
mod redis;
mod slot;
mod wire;
mod write;

use super::{
    Cluster, Label,
    state::{NONE, State},
};

/// The steps from one state, collected.
pub(super) struct Steps<'a> {
    model: &'a Cluster,
    from: &'a State,
    out: &'a mut Vec<(Label, State)>,
}

impl<'a> Steps<'a> {
    pub(super) fn new(
        model: &'a Cluster,
        from: &'a State,
        out: &'a mut Vec<(Label, State)>,
    ) -> Self {
        Self { model, from, out }
    }

    pub(super) fn all(&mut self) {
        self.tick();
        for instance in 0..2 {
            self.instance(instance);
        }
        self.fill();
        for write in 0..self.model.writes.len() {
            self.write(write);
        }
        self.wire();
        self.slot();
        self.redis();
    }

    /// One step; none if it changes nothing.
    fn step(&mut self, label: Label, change: impl FnOnce(&mut State)) {
        let mut next = self.from.clone();
        change(&mut next);
        self.model.reduce(&mut next);
        if next != *self.from {
            self.out.push((label, next));
        }
    }

    fn tick(&mut self) {
        let trust_lease = self.model.protocol.trust_lease;
        let polled = self.from.instances.iter().all(|x| !x.alive || x.cut || x.age == 0);
        if !trust_lease && !polled {
            return;
        }
        self.step(Label::Tick, |n| {
            n.stayed = (n.stayed + 1).min(2);
            for x in n.instances.iter_mut().filter(|x| x.alive) {
                x.age = (x.age + 1).min(2);
            }
            for at in [&mut n.logout_committed].into_iter().chain(&mut n.save_committed) {
                if *at != NONE {
                    *at = (*at + 1).min(3);
                }
            }
        });
    }
}
