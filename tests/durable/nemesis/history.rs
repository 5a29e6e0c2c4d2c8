//! What clients saw, what was done to them meanwhile, and how busy the machine was.

use std::fmt;
use std::sync::Mutex;
use std::time::Instant;

/// Microseconds since the start of the run, on one monotonic clock.
pub type Time = u64;

pub const MILLI: Time = 1_000;

/// One of the two instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

    fn removes(&self) -> bool {
        matches!(&self.answer, Answer::Said { cookie: Cookie::Removed, .. })
    }

    /// Answered as somebody's.
    pub fn is_signed_in(&self) -> bool {
        self.user().is_some() && (self.kind.signs_out() || !self.removes())
    }

    /// Answered as nobody's.
    pub fn is_anonymous(&self) -> bool {
        match self.status() {
            Some(401 | 409) => true,
            Some(200) => !self.is_signed_in(),
            _ => false,
        }
    }

    pub fn overlaps(&self, from: Time, to: Time) -> bool {
        self.start < to && from < self.end
    }
}

/// What a fault is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    Redis,
    Postgres,
    /// The way of an instance to Redis, or to the database.
    ToRedis(Site),
    ToDatabase(Site),
    Instance(Site),
}

#[derive(Debug, Clone)]
pub struct Fault {
    pub what: String,
    pub on: Place,
    pub from: Time,
    pub to: Time,
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

    pub fn is_clean(&self, places: &[Place], from: Time, to: Time) -> bool {
        !self.faults_on(places).any(|fault| fault.from < to && from < fault.to)
    }
}

/// Collects the history while it happens.
#[derive(Debug)]
pub struct Recorder {
    start: Instant,
    history: Mutex<History>,
}

impl Recorder {
    pub fn new() -> Self {
        Self { start: Instant::now(), history: Mutex::default() }
    }

    pub fn now(&self) -> Time {
        self.start.elapsed().as_micros() as Time
    }

    pub fn note(&self, op: Op) {
        self.history.lock().unwrap().ops.push(op);
    }

    pub fn note_fault(&self, fault: Fault) {
        self.history.lock().unwrap().faults.push(fault);
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
