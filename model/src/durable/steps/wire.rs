//! Commands on the wire: executed, or given up by those who wait for them.

use super::Steps;
use crate::durable::{
    Durable, Fault, Label,
    state::{State, Sweep, SweepStage, Waiter},
};

impl Steps<'_> {
    pub(super) fn wire(&mut self) {
        let (m, s) = (self.model, self.from);
        for (place, sent) in s.wire.iter().enumerate() {
            // Two that are equal lead to the same states.
            if place > 0 && s.wire[place - 1] == *sent {
                continue;
            }
            if s.nodes[sent.node as usize].is(sent.incarnation) {
                self.step(Label::Execute(*sent), |n| m.arrive(n, place));
            }
            if sent.waiter != Waiter::Nobody && m.may(s, Fault::Timeout) {
                self.step(Label::Timeout(*sent), |n| {
                    n.used[Fault::Timeout as usize] += 1;
                    n.wire[place].waiter = Waiter::Nobody;
                    n.wire.sort_unstable();
                    m.disappoint(n, sent.waiter);
                });
            }
        }
    }
}

impl Durable {
    fn arrive(&self, n: &mut State, place: usize) {
        let sent = n.wire.remove(place);
        if self.is_too_late(&sent) {
            self.disappoint(n, sent.waiter);
            return;
        }
        self.execute(n, &sent);
        match sent.waiter {
            Waiter::Write(write) => self.pushed(n, write as usize),
            Waiter::Sweeper(i) => n.sweeps[i as usize].stage = SweepStage::Clear,
            Waiter::Nobody => {}
        }
    }

    /// The command failed, as far as its sender knows.
    pub(super) fn disappoint(&self, n: &mut State, waiter: Waiter) {
        match waiter {
            Waiter::Write(write) => self.fail_attempt(n, write as usize),
            Waiter::Sweeper(i) => n.sweeps[i as usize] = Sweep::default(),
            Waiter::Nobody => {}
        }
    }
}
