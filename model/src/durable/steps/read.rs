//! A request is answered: the session has ended.

use super::Steps;
use crate::durable::{Durable, Fault, Label, Seen, state::State};

impl Steps<'_> {
    /// Only the first such answer: later ones would only set aside once more.
    pub(super) fn read(&mut self, i: usize) {
        let (m, s) = (self.model, self.from);
        let x = &s.instances[i];
        if !x.alive || x.shown_dead || s.rows[0].alive {
            return;
        }
        if m.read(s, i, 0) == Seen::Dead {
            let by_redis = m.answered_by_redis(s, i);
            self.step(Label::Read(i as u8), |n| m.show_dead(n, i, by_redis));
        }
        if x.cut || !m.connected(s, i) {
            return;
        }
        for fault in [Fault::Refusal, Fault::Timeout] {
            if m.may(s, fault) {
                self.step(Label::ReadPast(i as u8), |n| {
                    n.used[fault as usize] += 1;
                    m.show_dead(n, i, false);
                });
            }
        }
    }
}

impl Durable {
    fn show_dead(&self, n: &mut State, i: usize, by_redis: bool) {
        let x = &mut n.instances[i];
        x.shown_dead = true;
        if !by_redis && self.protocol.sets_aside_dead {
            x.set_aside |= 1;
            x.poll.added |= u8::from(x.poll.on);
        }
    }
}
