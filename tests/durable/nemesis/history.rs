//! What clients saw, what was done to them meanwhile, and how busy the machine was.

use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use test_support::slot_of;

/// Microseconds since the start of the run, on one monotonic clock.
pub type Time = u64;

pub const MILLI: Time = 1_000;

/// One of the two instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Site {
    A,
    B,
}

pub const SITES: [Site; 2] = [Site::A, Site::B];

impl Site {
    pub fn index(self) -> usize {
        self as usize
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Without a user: `n` is 1 in a new session.
    Visit,
    /// Without a cookie, or with that of a visitor, whose `n` stays.
    Login,
    /// `n` + 1.
    Update,
    Read,
    Logout,
    /// Out everywhere: with every other session of the user.
    Revoke,
    Renew,
}

impl Kind {
    pub fn writes(self) -> bool {
        self != Self::Read
    }

    /// Its answer has a cookie that opens a session.
    pub fn makes(self) -> bool {
        matches!(self, Self::Visit | Self::Login | Self::Renew)
    }

    /// Needs all sessions of its user.
    pub fn is_of_a_user(self) -> bool {
        matches!(self, Self::Login | Self::Renew | Self::Revoke)
    }

    /// Who asks was somebody, and is nobody after it.
    pub fn signs_out(self) -> bool {
        matches!(self, Self::Logout | Self::Revoke)
    }
}

/// One request, and what came of it.
#[derive(Debug, Clone)]
pub struct Op {
    pub at: Site,
    pub kind: Kind,
    /// Who the client is.
    pub client: String,
    /// The cookie that was sent.
    pub token: Option<String>,
    pub start: Time,
    pub end: Time,
    pub answer: Answer,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The connection ended without one.
    Lost,
    Said {
        status: u16,
        user: Option<String>,
        n: Option<u64>,
        cookie: Cookie,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cookie {
    Kept,
    Removed,
    Set(String),
}

impl Op {
    pub fn status(&self) -> Option<u16> {
        match &self.answer {
            Answer::Lost => None,
            Answer::Said { status, .. } => Some(*status),
        }
    }

    /// Of an answer that is no failure.
    pub fn user(&self) -> Option<&str> {
        match &self.answer {
            Answer::Said { status: 200, user, .. } => user.as_deref(),
            _ => None,
        }
    }

    pub fn n(&self) -> Option<u64> {
        match &self.answer {
            Answer::Said { status: 200, n, .. } => *n,
            _ => None,
        }
    }

    pub fn new_token(&self) -> Option<&str> {
        match &self.answer {
            Answer::Said { cookie: Cookie::Set(token), .. } => Some(token),
            _ => None,
        }
    }

    /// Answered with the session that the cookie is of: of a user, or of a visitor, whose `n` was
    /// there.
    pub fn is_alive(&self) -> bool {
        let cookie = match &self.answer {
            Answer::Said { cookie, .. } => Some(cookie),
            Answer::Lost => None,
        };
        let counted = self.n().is_some_and(|n| n > 0) && cookie == Some(&Cookie::Kept);
        let removed = cookie == Some(&Cookie::Removed);
        (self.user().is_some() || counted) && (self.kind.signs_out() || !removed)
    }

    /// Answered as one whose session is over.
    pub fn is_over(&self) -> bool {
        match self.status() {
            Some(401 | 409) => true,
            Some(200) => !self.is_alive(),
            _ => false,
        }
    }

    pub fn overlaps(&self, from: Time, to: Time) -> bool {
        self.start < to && from < self.end
    }
}

/// What a fault is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// A primary with its replica: one of several in a cluster, else the only one.
    Redis(usize),
    Postgres,
    /// The way of an instance to such a primary, or to the database.
    ToRedis(Site, usize),
    ToDatabase(Site),
    Instance(Site),
    Sentinel(usize),
    /// The slot in which the sessions of a user are.
    Slot(usize),
}

/// Where there is one primary.
pub const REDIS: Place = Place::Redis(0);

#[derive(Debug, Clone)]
pub struct Fault {
    pub what: String,
    pub on: Place,
    pub from: Time,
    pub to: Time,
    /// A replica took over that may not have had all.
    pub loses: bool,
}

/// A slot that these primaries serve from now on: two while it moves.
#[derive(Debug, Clone)]
pub struct Arrival {
    pub tag: String,
    pub at: Time,
    pub shards: Vec<usize>,
}

/// A request to an instance that touches no store: what it takes is the machine's doing.
#[derive(Debug, Clone, Copy)]
pub struct Pulse {
    pub at: Site,
    pub start: Time,
    pub end: Time,
}

#[derive(Debug, Clone, Default)]
pub struct History {
    pub ops: Vec<Op>,
    pub faults: Vec<Fault>,
    pub pulses: Vec<Pulse>,
    /// What the sessions of each user have in braces, where that says which primary serves them.
    pub tags: HashMap<String, String>,
    pub arrivals: Vec<Arrival>,
    /// Primaries that share the slots; none where there is one.
    pub shards: usize,
}

/// The end of a token or an id.
pub fn tag_of(token: &str) -> &str {
    token.get(40..).unwrap_or_default()
}

/// What a healthy pulse takes at most.
const PULSE: Time = 3 * MILLI;

impl History {
    /// How long the machine, or a signal, kept the instance from its work in that time.
    pub fn stall(&self, at: Site, from: Time, to: Time) -> Time {
        let pulses = self.pulses.iter().filter(|pulse| pulse.at == at);
        let slow = pulses.map(|pulse| pulse.end.min(to).saturating_sub(pulse.start.max(from)));
        slow.filter(|stall| *stall > PULSE).sum()
    }

    /// The slowest pulse of that time.
    pub fn longest_stall(&self, at: Site, from: Time, to: Time) -> Time {
        let of_then = |pulse: &&Pulse| pulse.at == at && pulse.start < to && from < pulse.end;
        let pulses = self.pulses.iter().filter(of_then);
        pulses.map(|pulse| pulse.end - pulse.start).max().unwrap_or(0)
    }

    pub fn faults_on<'a>(&'a self, places: &'a [Place]) -> impl Iterator<Item = &'a Fault> {
        self.faults.iter().filter(move |fault| places.contains(&fault.on))
    }

    /// The primaries that served a slot in that time.
    pub fn shards_of(&self, tag: &str, from: Time, to: Time) -> Vec<usize> {
        const SLOTS: usize = 16_384;
        if self.shards == 0 {
            return vec![0];
        }
        let slot = usize::from(slot_of(format!("{{{tag}}}")));
        let begins = |shard: &usize| shard * SLOTS / self.shards <= slot;
        let mut served = vec![(0..self.shards).rev().find(begins).unwrap_or(0)];
        for arrival in self.arrivals.iter().filter(|arrival| arrival.tag == tag) {
            if arrival.at < from {
                served.clear();
            }
            if arrival.at < to {
                served.extend(&arrival.shards);
            }
        }
        served
    }

    pub fn is_clean(&self, places: &[Place], from: Time, to: Time) -> bool {
        !self.faults_on(places).any(|fault| fault.from < to && from < fault.to)
    }
}

/// Collects the history while it happens.
#[derive(Debug)]
pub struct Recorder {
    start: Instant,
    history: Mutex<History>,
    is_over: AtomicBool,
}

impl Recorder {
    pub fn new() -> Self {
        Self { start: Instant::now(), history: Mutex::default(), is_over: AtomicBool::new(false) }
    }

    pub fn now(&self) -> Time {
        self.start.elapsed().as_micros() as Time
    }

    /// Users stop working.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    pub fn note(&self, op: Op) {
        self.history.lock().unwrap().ops.push(op);
    }

    pub fn note_fault(&self, fault: Fault) {
        self.history.lock().unwrap().faults.push(fault);
    }

    pub fn note_arrival(&self, tag: &str, shards: &[usize]) {
        let (tag, shards) = (tag.to_owned(), shards.to_vec());
        let arrival = Arrival { tag, at: self.now(), shards };
        self.history.lock().unwrap().arrivals.push(arrival);
    }

    /// See [`History::tags`] and [`History::shards`].
    pub fn note_shards(&self, shards: usize, tags: impl IntoIterator<Item = (String, String)>) {
        let mut history = self.history.lock().unwrap();
        history.shards = shards;
        history.tags = tags.into_iter().collect();
    }

    pub fn note_pulse(&self, pulse: Pulse) {
        self.history.lock().unwrap().pulses.push(pulse);
    }

    /// What happened so far, by the time of its start.
    pub fn history(&self) -> History {
        let mut history = self.history.lock().unwrap().clone();
        history.ops.sort_by_key(|op| op.start);
        history
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |time: Time| time as f64 / 1e3;
        let (start, end) = (millis(self.start), millis(self.end));
        write!(f, "{start:9.2} .. {end:9.2}  {:?} {:?} {} ", self.at, self.kind, self.client)?;
        write!(f, "[{}] -> ", self.token.as_deref().map_or("-", short))?;
        match &self.answer {
            Answer::Lost => f.write_str("lost"),
            Answer::Said { status, user, n, cookie } => {
                write!(f, "{status} {} n={n:?}", user.as_deref().unwrap_or("-"))?;
                match cookie {
                    Cookie::Kept => Ok(()),
                    Cookie::Removed => f.write_str(" cookie removed"),
                    Cookie::Set(token) => write!(f, " cookie [{}]", short(token)),
                }
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from / MILLI, self.to / MILLI);
        write!(f, "{from:6} .. {to:6}  {:?}: {}", self.on, self.what)
    }
}

pub fn short(token: &str) -> &str {
    token.get(..6).unwrap_or(token)
}
