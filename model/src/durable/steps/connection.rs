//! An instance connects to a Redis node, and makes a new generation for a stranger.

use super::Steps;
use crate::durable::{
    Durable, Fault, Label,
    state::{IDS, NONE, State},
};

impl Steps<'_> {
    pub(super) fn connect(&mut self, i: usize, node: usize) {
        let (m, s) = (self.model, self.from);
        let (x, bound) = (&s.instances[i], m.protocol.bound_generation);
        if !s.nodes[node].up || x.cut {
            return;
        }
        let same = x.peer == node as u8 && x.peer_incarnation == s.nodes[node].incarnation;
        if same && (!bound || x.incarnation == x.peer_incarnation) {
            return;
        }
        // A demoted node may still be found, by a stale address; a bound generation detects it.
        if node as u8 != s.primary && !bound {
            return;
        }
        self.step(Label::Reconnect(i as u8, node as u8), |n| m.shake_hands(n, i, node, false));
        if m.may(s, Fault::LostReply) {
            let label = Label::HandshakeUnknown(i as u8, node as u8);
            self.step(label, |n| m.shake_hands(n, i, node, true));
        }
    }
}

impl Durable {
    /// `unknown`: the reply to its bump is lost.
    fn shake_hands(&self, n: &mut State, i: usize, node: usize, unknown: bool) {
        let (p, incarnation) = (&self.protocol, n.nodes[node].incarnation);
        let last_run = n.instances[i].last_run;
        let bump = if p.bound_generation {
            n.db_incarnation != incarnation
        } else {
            p.bump_on_new_run_id && last_run != 0 && last_run != incarnation
        };
        if !bump && unknown || bump && n.db_generation + 1 >= self.generations {
            return;
        }
        if bump {
            n.db_generation += 1;
            n.db_incarnation = incarnation;
            if p.journal {
                n.journal = [0; IDS];
            }
        }
        let set_aside = n.in_journal();
        let x = &mut n.instances[i];
        if unknown {
            n.used[Fault::LostReply as usize] += 1;
            x.peer = NONE;
            x.peer_incarnation = 0;
            return;
        }
        x.peer = node as u8;
        x.peer_incarnation = incarnation;
        x.last_run = incarnation;
        x.generation = n.db_generation;
        x.incarnation = n.db_incarnation;
        x.age = 0;
        x.set_aside = set_aside;
    }
}
