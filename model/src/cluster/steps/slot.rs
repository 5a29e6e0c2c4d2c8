//! The slot moves from one primary to another.

use super::Steps;
use crate::cluster::{
    Fault, Label,
    state::{Entry, GENERATIONS, LateCopy, Own},
};

impl Steps<'_> {
    pub(super) fn slot(&mut self) {
        for from in 0..3 {
            for to in 0..3 {
                self.move_slot(from, to);
            }
        }
        if let Some(copy) = self.from.late_copy {
            self.step(Label::LateCopy, |n| {
                n.nodes[copy.node as usize].entries[copy.generation as usize] = copy.entry;
                n.late_copy = None;
            });
        }
    }

    fn move_slot(&mut self, a: usize, b: usize) {
        let (m, s) = (self.model, self.from);
        let (from, to) = (&s.nodes[a], &s.nodes[b]);
        // An isolated old primary is not part of the cluster any more.
        let apart = s.is_isolated(a) || s.is_isolated(b);
        if a == b || !from.up || !to.up || apart {
            return;
        }
        if from.own == Own::Owner && !to.own.serves() && s.moves < m.moves {
            self.step(Label::Start(a as u8, b as u8), |n| {
                n.moves += 1;
                n.nodes[a].own = Own::Migrating(b as u8);
                n.nodes[b].own = Own::Importing;
            });
        }
        if from.own != Own::Migrating(b as u8) {
            return;
        }
        for generation in 0..GENERATIONS {
            self.migrate(a, b, generation);
        }
        if to.own == Own::Importing && s.stayed == 2 {
            self.step(Label::Finish(a as u8, b as u8), |n| {
                let highest = n.highest_epoch();
                if n.nodes[b].epoch < highest {
                    n.nodes[b].epoch = highest + 1;
                }
                n.nodes[b].own = Own::Owner;
                n.stayed = if m.slow { 0 } else { 2 };
                // What is left there is thrown away.
                n.nodes[a].own = Own::No;
                n.nodes[a].entries = [Entry::Empty; GENERATIONS];
            });
        }
        if m.may(s, Fault::Abort) {
            self.step(Label::Abort(a as u8, b as u8), |n| {
                n.used[Fault::Abort as usize] += 1;
                n.nodes[a].own = Own::Owner;
                // What has been moved stays there, unseen.
                n.nodes[b].own = Own::No;
            });
        }
    }

    fn migrate(&mut self, a: usize, b: usize, key: usize) {
        let (m, s) = (self.model, self.from);
        let (from, to) = (&s.nodes[a], &s.nodes[b]);
        let entry = from.entries[key];
        if entry == Entry::Empty {
            return;
        }
        let generation = key as u8;
        if to.own == Own::Importing {
            self.step(Label::Migrate(a as u8, generation), |n| {
                n.nodes[b].entries[key] = n.nodes[a].entries[key];
                n.nodes[a].entries[key] = Entry::Empty;
            });
        }
        if s.late_copy.is_none() && m.may(s, Fault::LateMigrate) {
            self.step(Label::MigrateLate(a as u8, generation), |n| {
                n.used[Fault::LateMigrate as usize] += 1;
                let (node, incarnation) = (b as u8, to.incarnation);
                n.late_copy = Some(LateCopy { node, incarnation, generation, entry });
            });
        }
    }
}
