//! Breadth-first explorer: every reachable state once, and the shortest trace to each violation.
//!
//! Keeps no state but those in the queue: of the others a 64-bit fingerprint, and the label and
//! the predecessor that led there.

use std::{
    collections::VecDeque,
    fmt::Debug,
    hash::{Hash, Hasher},
};

use rustc_hash::{FxHashSet, FxHasher};

/// A transition system with invariants.
pub trait Model {
    type State: Clone + Eq + Hash;
    type Label: Copy + Debug;

    fn init(&self) -> Vec<Self::State>;
    /// Every step that is possible in `state`, and where it leads.
    fn next(&self, state: &Self::State, out: &mut Vec<(Self::Label, Self::State)>);
    /// Names of the invariants that `state` breaks.
    fn check(&self, state: &Self::State, out: &mut Vec<&'static str>);
}

/// What an exploration found.
pub struct Report<L> {
    pub states: usize,
    pub transitions: u64,
    pub depth: u32,
    /// Every reachable state was visited.
    pub exhausted: bool,
    /// The first violation of each invariant, in the order of their depths.
    pub violations: Vec<Violation<L>>,
}

/// A broken invariant and the shortest way to break it.
pub struct Violation<L> {
    pub invariant: &'static str,
    pub depth: u32,
    pub trace: Vec<L>,
}

impl<L> Report<L> {
    /// How many steps break this invariant; `None` if it holds.
    pub fn depth_of(&self, invariant: &str) -> Option<u32> {
        self.violations.iter().find(|v| v.invariant == invariant).map(|v| v.depth)
    }

    pub fn broken(&self) -> Vec<&'static str> {
        self.violations.iter().map(|v| v.invariant).collect()
    }
}

/// How a state was reached first.
struct Origin<L> {
    parent: u32,
    label: Option<L>,
    depth: u32,
}

/// Visits at most `limit` states, and stops as soon as an invariant of `stop` is broken.
///
/// # Panics
///
/// With more than 2^32 states.
pub fn explore<M: Model>(model: &M, limit: usize, stop: &[&str]) -> Report<M::Label> {
    let mut seen: FxHashSet<u64> = FxHashSet::default();
    let mut origins: Vec<Origin<M::Label>> = Vec::new();
    let mut queue = VecDeque::new();
    for state in model.init() {
        if seen.insert(fingerprint(&state)) {
            let index = index(origins.len());
            origins.push(Origin { parent: index, label: None, depth: 0 });
            queue.push_back((index, state));
        }
    }
    let mut report =
        Report { states: 0, transitions: 0, depth: 0, exhausted: true, violations: Vec::new() };
    let (mut broken, mut successors) = (Vec::new(), Vec::new());
    'all: while let Some((at, state)) = queue.pop_front() {
        let depth = origins[at as usize].depth;
        report.depth = report.depth.max(depth);
        broken.clear();
        model.check(&state, &mut broken);
        for invariant in &broken {
            if report.depth_of(invariant).is_none() {
                let trace = trace(&origins, at);
                report.violations.push(Violation { invariant, depth, trace });
                if stop.contains(invariant) {
                    report.exhausted = false;
                    break 'all;
                }
            }
        }
        successors.clear();
        model.next(&state, &mut successors);
        for (label, next) in successors.drain(..) {
            report.transitions += 1;
            if seen.insert(fingerprint(&next)) {
                if origins.len() >= limit {
                    report.exhausted = false;
                    break 'all;
                }
                queue.push_back((index(origins.len()), next));
                origins.push(Origin { parent: at, label: Some(label), depth: depth + 1 });
            }
        }
    }
    report.states = origins.len();
    report
}

fn index(len: usize) -> u32 {
    u32::try_from(len).expect("more than 2^32 states")
}

fn trace<L: Copy>(origins: &[Origin<L>], mut at: u32) -> Vec<L> {
    let mut labels = Vec::new();
    while let Some(label) = origins[at as usize].label {
        labels.push(label);
        at = origins[at as usize].parent;
    }
    labels.reverse();
    labels
}

/// 64 bits of a state. Two states may share them, and one of them is skipped then: with 20 million
/// states the odds are about 1 in 100,000.
fn fingerprint<S: Hash>(state: &S) -> u64 {
    let mut hasher = FxHasher::default();
    state.hash(&mut hasher);
    // A second mix: FxHash alone is weak in its low bits.
    let mut bits = hasher.finish();
    bits = (bits ^ (bits >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    bits = (bits ^ (bits >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    bits ^ (bits >> 33)
}
