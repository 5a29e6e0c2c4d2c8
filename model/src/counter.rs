//! `update` on one record behind compare-and-set (the Redis script or the database: the same
//! shape), by two writers, with commands that time out and land later, and a delete.
//!
//! Hole H11.

use crate::explore::Model;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Key {
    Absent,
    Tombstone,
    /// `counts`: how often each writer was counted; `last`: the write id of the last one.
    Record {
        version: u8,
        counts: [u8; 2],
        last: u8,
    },
}

/// A compare-and-set on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Sent {
    pub writer: u8,
    pub expected: u8,
    pub counts: [u8; 2],
    pub waited_for: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Stage {
    #[default]
    Load,
    Send,
    Waiting,
    TimedOut,
    Gone,
    Unknown,
    Done,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Update {
    pub stage: Stage,
    pub version: u8,
    pub counts: [u8; 2],
    /// An attempt timed out: it may have landed.
    pub maybe: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    pub key: Key,
    pub updates: [Update; 2],
    pub wire: Vec<Sent>,
    pub deleted: bool,
    pub timeouts: u8,
    pub snapshot: Option<Key>,
    pub restored: bool,
}

/// What a writer does after a time-out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retry {
    /// Loads and applies again.
    Blind,
    /// Tells the client Unknown.
    Tell,
    /// Looks for its own write id in the record; repeats with the same expectation; else tells
    /// Unknown.
    WriteId,
}

#[derive(Clone, Copy, Debug)]
pub struct Counter {
    pub retry: Retry,
    pub compare_and_set: bool,
    /// A delete leaves a tombstone.
    pub tombstone: bool,
    pub delete: bool,
    pub timeouts: u8,
    /// Redis may be restored from a snapshot.
    pub restore: bool,
    /// An update that found nothing may write where nothing is. It never does.
    pub adopt: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Label {
    Load(u8),
    Send(u8),
    Execute(Sent),
    Timeout(Sent),
    Look(u8),
    Delete,
    Snapshot,
    Restore,
    TombstoneExpires,
}

/// Steps, collected.
struct Steps<'a> {
    from: &'a State,
    out: &'a mut Vec<(Label, State)>,
}

impl Steps<'_> {
    fn step(&mut self, label: Label, change: impl FnOnce(&mut State)) {
        let mut next = self.from.clone();
        change(&mut next);
        next.wire.sort_unstable();
        if next != *self.from {
            self.out.push((label, next));
        }
    }
}

impl Counter {
    fn load(&self, s: &mut State, writer: usize) {
        let maybe = s.updates[writer].maybe;
        let update = &mut s.updates[writer];
        match s.key {
            Key::Record { version, counts, .. } => {
                *update = Update { stage: Stage::Send, version, counts, maybe };
            }
            Key::Absent if self.adopt => {
                *update = Update { stage: Stage::Send, ..Update::default() };
            }
            Key::Absent | Key::Tombstone => update.stage = Stage::Gone,
        }
    }

    fn send(s: &mut State, writer: usize) {
        let Update { version, mut counts, .. } = s.updates[writer];
        counts[writer] += 1;
        s.wire.push(Sent { writer: writer as u8, expected: version, counts, waited_for: true });
        s.updates[writer].stage = Stage::Waiting;
    }

    fn look(&self, s: &mut State, writer: usize) {
        let (key, expected) = (s.key, s.updates[writer].version);
        s.updates[writer].stage = match (self.retry, key) {
            (Retry::Tell, _) => Stage::Unknown,
            (Retry::Blind, _) => Stage::Load,
            (Retry::WriteId, Key::Record { last, .. }) if last as usize == writer => Stage::Done,
            (Retry::WriteId, Key::Record { version, .. }) if version == expected => Stage::Send,
            (Retry::WriteId, _) => Stage::Unknown,
        };
    }

    fn execute(&self, s: &mut State, place: usize) {
        let sent = s.wire.remove(place);
        let before = s.key;
        let hit = match before {
            Key::Record { version, .. } => !self.compare_and_set || version == sent.expected,
            Key::Absent => !self.compare_and_set || (self.adopt && sent.expected == 0),
            Key::Tombstone => !self.compare_and_set,
        };
        if hit {
            let Sent { expected, counts, writer, .. } = sent;
            s.key = Key::Record { version: expected + 1, counts, last: writer };
        }
        if !sent.waited_for {
            return;
        }
        let update = &mut s.updates[sent.writer as usize];
        update.stage = match before {
            _ if hit => Stage::Done,
            Key::Record { last, .. } if self.retry == Retry::WriteId && last == sent.writer => {
                Stage::Done
            }
            // A repeated command that conflicts with somebody else's write cannot know any more.
            Key::Record { .. } if self.retry == Retry::WriteId && update.maybe => Stage::Unknown,
            Key::Record { .. } => Stage::Load,
            Key::Absent | Key::Tombstone => Stage::Gone,
        };
    }

    fn redis(&self, steps: &mut Steps<'_>) {
        let s = steps.from;
        if self.delete && !s.deleted {
            steps.step(Label::Delete, |n| {
                n.deleted = true;
                n.key = if self.tombstone { Key::Tombstone } else { Key::Absent };
            });
        }
        if s.key == Key::Tombstone {
            steps.step(Label::TombstoneExpires, |n| n.key = Key::Absent);
        }
        if self.restore && s.snapshot.is_none() {
            steps.step(Label::Snapshot, |n| n.snapshot = Some(n.key));
        }
        if let (Some(key), false) = (s.snapshot, s.restored) {
            steps.step(Label::Restore, |n| {
                n.key = key;
                n.restored = true;
                n.wire.clear();
            });
        }
    }
}

impl Model for Counter {
    type State = State;
    type Label = Label;

    fn init(&self) -> Vec<State> {
        vec![State {
            key: Key::Record { version: 1, counts: [0; 2], last: 9 },
            updates: [Update::default(); 2],
            wire: Vec::new(),
            deleted: false,
            timeouts: 0,
            snapshot: None,
            restored: false,
        }]
    }

    fn next(&self, s: &State, out: &mut Vec<(Label, State)>) {
        let mut steps = Steps { from: s, out };
        for writer in 0..2 {
            let label = writer as u8;
            match s.updates[writer].stage {
                Stage::Load => steps.step(Label::Load(label), |n| self.load(n, writer)),
                Stage::Send => steps.step(Label::Send(label), |n| Self::send(n, writer)),
                Stage::TimedOut => steps.step(Label::Look(label), |n| self.look(n, writer)),
                Stage::Waiting | Stage::Gone | Stage::Unknown | Stage::Done => {}
            }
        }
        for (place, sent) in s.wire.iter().enumerate() {
            steps.step(Label::Execute(*sent), |n| self.execute(n, place));
            if sent.waited_for && s.timeouts < self.timeouts {
                steps.step(Label::Timeout(*sent), |n| {
                    n.timeouts += 1;
                    n.wire[place].waited_for = false;
                    let update = &mut n.updates[sent.writer as usize];
                    update.stage = Stage::TimedOut;
                    update.maybe = true;
                });
            }
        }
        self.redis(&mut steps);
    }

    fn check(&self, s: &State, out: &mut Vec<&'static str>) {
        let Key::Record { counts, .. } = s.key else { return };
        for (writer, count) in counts.iter().enumerate() {
            if *count > 1 {
                out.push("counted-twice");
            }
            if *count == 0 && s.updates[writer].stage == Stage::Done {
                out.push("acknowledged-but-lost");
            }
        }
        if s.deleted {
            out.push("deleted-but-alive");
        }
    }
}
