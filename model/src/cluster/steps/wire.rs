//! Commands on the wire: executed, answered by `MOVED` or `ASK`, or given up.

use super::Steps;
use crate::cluster::{
    Cluster, Fault, Label,
    read::Served,
    state::{Command, Own, Sent, State, SweepStage, Waiter},
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
                self.arrive(place, sent);
            } else if sent.waiter != Waiter::Nobody {
                // The process is gone, and the connection with it.
                self.step(Label::Moved(*sent), |n| {
                    n.wire.remove(place);
                    m.disappoint(n, sent.waiter);
                });
            }
            if sent.waiter != Waiter::Nobody && m.may(s, Fault::Timeout) {
                self.step(Label::Timeout(*sent), |n| {
                    n.used[Fault::Timeout as usize] += 1;
                    n.wire[place].waiter = Waiter::Nobody;
                    n.wire[place].epoch = 0;
                    n.wire.sort_unstable();
                    m.disappoint(n, sent.waiter);
                });
            }
        }
    }

    fn arrive(&mut self, place: usize, sent: &Sent) {
        let (m, s) = (self.model, self.from);
        let (node, p) = (&s.nodes[sent.node as usize], &m.protocol);
        match m.serve(node, sent.generation as usize, sent.asking) {
            Served::Executed => {
                let migrating = matches!(node.own, Own::Migrating(_));
                let waited_for = sent.waiter != Waiter::Nobody;
                let other_epoch = p.evidence && waited_for && sent.epoch != node.epoch;
                let moving = migrating && p.probe || other_epoch;
                let label =
                    if moving { Label::ExecuteMoving(*sent) } else { Label::Execute(*sent) };
                self.step(label, |n| m.executed(n, place, moving));
            }
            Served::Ask(to) => self.step(Label::Ask(*sent), |n| m.follow_ask(n, place, to)),
            Served::Moved => self.step(Label::Moved(*sent), |n| m.follow_moved(n, place)),
        }
    }
}

impl Cluster {
    fn executed(&self, n: &mut State, place: usize, moving: bool) {
        let sent = n.wire.remove(place);
        self.execute(&mut n.nodes[sent.node as usize], &sent);
        match sent.waiter {
            waiter if moving => self.disappoint(n, waiter),
            Waiter::Write(write) => self.pushed(n, write as usize),
            Waiter::Sweeper(i) => n.sweeps[i as usize].stage = SweepStage::Clear,
            Waiter::Nobody => {}
        }
    }

    fn follow_ask(&self, n: &mut State, place: usize, to: u8) {
        let sent = n.wire.remove(place);
        let there = &n.nodes[to as usize];
        let is_push = !matches!(sent.command, Command::Fill { .. });
        if self.protocol.ask_push && there.up && is_push {
            let incarnation = there.incarnation;
            n.wire.push(Sent { node: to, incarnation, asking: true, ..sent });
            n.wire.sort_unstable();
        } else {
            self.disappoint(n, sent.waiter);
        }
    }

    fn follow_moved(&self, n: &mut State, place: usize) {
        let sent = n.wire.remove(place);
        let serves =
            |k: &usize| *k != sent.node as usize && n.nodes[*k].up && n.nodes[*k].own.serves();
        if let (Some(to), Waiter::Write(write), true) =
            ((0..3).find(serves), sent.waiter, self.protocol.moved_push)
        {
            let i = self.writes[write as usize].1 as usize;
            let targets = self.targets(n, i, false);
            if let Some(to) = targets.iter().find(|target| target.node as usize == to) {
                self.send_push(n, write as usize, *to);
                return;
            }
        }
        self.disappoint(n, sent.waiter);
    }
}
