//! A new generation for a node that the present one was not made for.

use super::Steps;
use crate::cluster::{Bind, Fault, Label, state::State};

impl Steps<'_> {
    pub(super) fn bump(&mut self, i: usize, node: usize) {
        let (m, s) = (self.model, self.from);
        let n0 = s.nodes[node];
        let unconfirmed = m.protocol.confirm && !n0.own.serves();
        if s.instances[i].cut || !n0.up || unconfirmed {
            return;
        }
        let row = m.row(node);
        let identity = match m.protocol.bind {
            Bind::Set => s.primaries(),
            _ => m.identity(n0.incarnation, n0.epoch),
        };
        if s.db_incarnation[row] == identity || s.last_generation + 1 >= m.generations {
            return;
        }
        let bump = |n: &mut State| {
            n.last_generation += 1;
            n.db_generation[row] = n.last_generation;
            n.db_incarnation[row] = identity;
            if m.protocol.bump_clears {
                n.journal = 0;
            }
        };
        self.step(Label::Bump(i as u8, node as u8), |n| {
            bump(n);
            n.instances[i].seen[node] = n0.epoch;
            n.adopt(i);
        });
        if m.may(s, Fault::LostReply) {
            self.step(Label::BumpUnknown(i as u8, node as u8), |n| {
                bump(n);
                n.used[Fault::LostReply as usize] += 1;
            });
        }
    }
}
