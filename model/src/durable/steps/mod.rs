//! Every step that is possible in a state.

mod clock;
mod connection;
mod fill;
mod instance;
mod read;
mod redis;
mod sweep;
mod wire;
mod write;

use super::{Durable, Label, state::State};

/// The steps from one state, collected.
pub(super) struct Steps<'a> {
    model: &'a Durable,
    from: &'a State,
    out: &'a mut Vec<(Label, State)>,
}

impl<'a> Steps<'a> {
    pub(super) fn new(
        model: &'a Durable,
        from: &'a State,
        out: &'a mut Vec<(Label, State)>,
    ) -> Self {
        Self { model, from, out }
    }

    pub(super) fn all(&mut self) {
        self.tick();
        for instance in 0..self.model.instances {
            self.instance(instance);
            if self.model.reads {
                self.read(instance);
            }
        }
        for fill in 0..self.model.fills {
            self.fill(fill);
        }
        for write in 0..self.model.writes.len() {
            self.write(write);
        }
        self.wire();
        self.redis();
    }

    /// One step; none if it changes nothing.
    fn step(&mut self, label: Label, change: impl FnOnce(&mut State)) {
        let mut next = self.from.clone();
        change(&mut next);
        for (x, old) in next.instances.iter_mut().zip(&self.from.instances) {
            if !self.model.protocol.strict {
                x.learned = 2;
            } else if x.generation != old.generation {
                x.learned = 0;
            }
        }
        self.model.reduce(&mut next);
        if next != *self.from {
            self.out.push((label, next));
        }
    }
}
