//! A tick passes.

use super::Steps;
use crate::durable::{
    Durable, Label,
    state::{Entry, NONE, State},
};

impl Steps<'_> {
    pub(super) fn tick(&mut self) {
        let (m, s) = (self.model, self.from);
        let polled = |x: &usize| {
            let x = &s.instances[*x];
            m.protocol.trust_lease || !x.alive || x.cut || x.age == 0
        };
        if (0..m.instances).all(|x| polled(&x)) {
            self.step(Label::Tick, |n| {
                m.age_instances(n);
                m.age_observations(n);
                m.age_redis(n);
            });
        }
    }
}

/// One tick older, at most this old.
fn older(age: &mut u8, most: u8) {
    *age = (*age + 1).min(most);
}

impl Durable {
    fn age_instances(&self, n: &mut State) {
        let strict = self.protocol.strict;
        for x in &mut n.instances {
            older(&mut x.age, 2);
            if x.poll.on {
                older(&mut x.poll.age, 2);
            }
            x.learned = if strict { (x.learned + 1).min(2) } else { 2 };
        }
        for write in n.writes.iter_mut().filter(|w| strict && w.is_past_commit()) {
            older(&mut write.age, 2);
        }
    }

    fn age_observations(&self, n: &mut State) {
        let most = if self.lean { 2 } else { 3 };
        for at in [&mut n.logout_committed, &mut n.moved_committed]
            .into_iter()
            .chain(&mut n.save_committed)
        {
            if *at != NONE {
                older(at, most);
            }
        }
        // Where the bound counts from the commit, the age of the acknowledgement adds nothing.
        for at in [&mut n.logout_acked].into_iter().chain(&mut n.save_acked) {
            if *at != NONE && !self.lean {
                older(at, most);
            }
        }
    }

    fn age_redis(&self, n: &mut State) {
        if self.protocol.deadline > 0 {
            for sent in &mut n.wire {
                older(&mut sent.age, 3);
            }
        }
        let entries = n.nodes.iter_mut().flat_map(|node| &mut node.entries);
        for entry in entries.chain(&mut n.replica).flatten() {
            if let Entry::Tombstone { version, age } = *entry {
                let over = age >= self.protocol.tombstone;
                *entry =
                    if over { Entry::Empty } else { Entry::Tombstone { version, age: age + 1 } };
            }
        }
    }
}
