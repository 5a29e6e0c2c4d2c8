//! Replicas of a server, as it reports them, and how many of them have to confirm an end of
//! sessions. Pure: no clock and no socket.
//!
//! A server without replicas is used as it is. One that had some is different: the replica may have
//! been promoted, and the server be a primary that has been replaced and does not know. Fewer than
//! before are the new number only after [`GONE_AFTER`].

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::store::redis::client::incarnation::field;

/// Shortest time between two reads of the replicas of a server that has none.
const READ_AGAIN: Duration = Duration::from_secs(10);
/// How long ends of sessions fail after replicas were found missing: longer than a primary that
/// Sentinel has replaced serves its open connections, which are 11 s.
const GONE_AFTER: Duration = Duration::from_secs(20);
/// Time after which `WAIT` is sent again to a server that has rejected it.
const REJECTED_FOR: Duration = Duration::from_secs(60);
/// Number of servers that are remembered: the current one and some that it has replaced.
const SERVERS_MAX: usize = 8;

/// How ends of sessions are confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store::redis) struct Terms {
    pub(in crate::store::redis) replicas: u32,
    pub(in crate::store::redis) within: Duration,
    pub(in crate::store::redis) read_again: Duration,
    pub(in crate::store::redis) gone_after: Duration,
}

/// What is sent behind an end of sessions, in the same write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store::redis) enum Behind {
    #[default]
    Nothing,
    /// The replicas are read, since there were none.
    Read,
    /// That number of replicas has to confirm it.
    Wait(u32),
    /// The same, and the replicas are read, since some are missing.
    WaitAndRead(u32),
}

impl Terms {
    pub(in crate::store::redis) const fn new(replicas: u32, within: Duration) -> Self {
        Self { replicas, within, read_again: READ_AGAIN, gone_after: GONE_AFTER }
    }
}

impl Behind {
    /// Whether the connection is blocked until replicas have replied.
    pub(in crate::store::redis) const fn waits(self) -> bool {
        matches!(self, Self::Wait(_) | Self::WaitAndRead(_))
    }
}

/// The servers of one address, by the ids of their replication: a server that was promoted has
/// another id than the one before it.
#[derive(Debug)]
pub(in crate::store::redis) struct Confirmation {
    pub(in crate::store::redis) terms: Terms,
    servers: Mutex<Vec<Arc<Replicas>>>,
}

/// The replicas of one server.
#[derive(Debug)]
pub(in crate::store::redis) struct Replicas {
    id: Box<str>,
    terms: Terms,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// How many have to confirm.
    required: u32,
    /// Whether the last end was confirmed by fewer.
    short: bool,
    /// Since when fewer are online.
    fewer_since: Option<Instant>,
    read_at: Instant,
    rejected_at: Option<Instant>,
}

/// A change that operators have to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store::redis) enum Change {
    /// That number of replicas has to confirm from now on.
    Required(u32),
    /// Ends are not confirmed from now on.
    Unconfirmed,
    /// They are again.
    Confirmed,
    /// The server rejects `WAIT`.
    Rejected,
}

impl Confirmation {
    pub(in crate::store::redis) fn new(terms: Terms) -> Self {
        Self { terms, servers: Mutex::default() }
    }

    /// The server that has replied with this section `replication` of `INFO`.
    pub(in crate::store::redis) fn server(&self, info: &str, now: Instant) -> Arc<Replicas> {
        let id = field(info, "master_replid").unwrap_or_default();
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = servers.iter().find(|server| *server.id == *id) {
            let known = Arc::clone(known);
            let _ = known.read(online(info), now);
            return known;
        }
        let server = Arc::new(Replicas::new(id, online(info), self.terms, now));
        if servers.len() >= SERVERS_MAX {
            let _ = servers.remove(0);
        }
        servers.push(Arc::clone(&server));
        server
    }
}

impl Replicas {
    fn new(id: &str, online: u32, terms: Terms, now: Instant) -> Self {
        let required = online.min(terms.replicas);
        let state =
            State { required, short: false, fewer_since: None, read_at: now, rejected_at: None };
        Self { id: id.into(), terms, state: Mutex::new(state) }
    }

    /// How long replicas have to confirm.
    pub(in crate::store::redis) fn within(&self) -> Duration {
        self.terms.within
    }

    /// What has to be sent behind an end.
    pub(in crate::store::redis) fn behind(&self, now: Instant) -> Behind {
        let state = self.state();
        match state.required_at(now) {
            0 if state.required > 0 => Behind::Nothing,
            0 if now.saturating_duration_since(state.read_at) >= self.terms.read_again => {
                Behind::Read
            }
            0 => Behind::Nothing,
            required if state.short || state.fewer_since.is_some() => Behind::WaitAndRead(required),
            required => Behind::Wait(required),
        }
    }

    /// The server reports that number of replicas online.
    pub(in crate::store::redis) fn read(&self, online: u32, now: Instant) -> Option<Change> {
        let (online, mut state) = (online.min(self.terms.replicas), self.state());
        state.read_at = now;
        if online >= state.required {
            state.fewer_since = None;
        } else {
            let since = *state.fewer_since.get_or_insert(now);
            if now.saturating_duration_since(since) < self.terms.gone_after {
                return None;
            }
            (state.fewer_since, state.short) = (None, false);
        }
        let before = std::mem::replace(&mut state.required, online);
        (before != online).then_some(Change::Required(online))
    }

    /// That number has confirmed an end: whether it is enough.
    pub(in crate::store::redis) fn confirmed(
        &self,
        count: u32,
        now: Instant,
    ) -> (bool, Option<Change>) {
        let mut state = self.state();
        let is_enough = count >= state.required_at(now);
        if is_enough && state.required > 0 {
            state.fewer_since = None;
        }
        let was_short = std::mem::replace(&mut state.short, !is_enough);
        let change = match (was_short, is_enough) {
            (false, false) => Some(Change::Unconfirmed),
            (true, true) => Some(Change::Confirmed),
            _ => None,
        };
        (is_enough, change)
    }

    /// The server does not know `WAIT`, or rejects it.
    pub(in crate::store::redis) fn rejected(&self, now: Instant) -> Option<Change> {
        let before = self.state().rejected_at.replace(now);
        before.is_none().then_some(Change::Rejected)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn required_at(&self, now: Instant) -> u32 {
        let rejects = |at: &Instant| now.saturating_duration_since(*at) < REJECTED_FOR;
        if self.rejected_at.as_ref().is_some_and(rejects) { 0 } else { self.required }
    }
}

/// Number of replicas that are online and have acknowledged something, by the section `replication`
/// of `INFO`: for its first second one may be online that is still being copied to.
pub(in crate::store::redis) fn online(info: &str) -> u32 {
    let is_online = |line: &&str| {
        let number = line.strip_prefix("slave").and_then(|line| line.split_once(':'));
        number.is_some_and(|(number, state)| {
            !number.is_empty()
                && number.bytes().all(|byte| byte.is_ascii_digit())
                && state.split(',').any(|part| part == "state=online")
                && state.split(',').all(|part| part != "offset=0")
        })
    };
    let count = info.lines().filter(is_online).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Required(_) => "redis replicas changed: number that confirms ends of sessions",
            Self::Unconfirmed => "redis replicas missing: ends of sessions unconfirmed",
            Self::Confirmed => "redis replicas available: ends of sessions confirmed",
            Self::Rejected => "redis rejects WAIT: ends of sessions unconfirmed",
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::store::redis::client::replicas::*;

    const TERMS: Terms = Terms::new(1, Duration::from_millis(50));

    fn info(id: &str, states: &[&str]) -> String {
        let mut info = format!("# Replication\r\nrole:master\r\nmaster_replid:{id}\r\n");
        info.push_str(&format!("connected_slaves:{}\r\nslaves_online_x:1\r\n", states.len()));
        for (number, state) in states.iter().enumerate() {
            let line = format!("slave{number}:ip=::1,port=1,state={state},offset=1,lag=0\r\n");
            info.push_str(&line);
        }
        info
    }

    fn replicas(online: u32, now: Instant) -> Replicas {
        Replicas::new("", online, TERMS, now)
    }

    #[test]
    fn only_replicas_that_are_online_count() {
        for (states, expected) in
            [(&[][..], 0), (&["online"], 1), (&["wait_bgsave", "online", "send_bulk", "online"], 2)]
        {
            assert_eq!(online(&info("a", states)), expected, "{states:?}");
        }
        assert_eq!(online(""), 0);
        let copied_to = info("a", &["online", "online"]).replacen("offset=1", "offset=0", 1);
        assert_eq!(online(&copied_to), 1);
    }

    #[test]
    fn a_server_without_replicas_is_asked_again_after_a_while_and_waits_as_soon_as_it_has_one() {
        let start = Instant::now();
        let replicas = replicas(0, start);
        assert_eq!(replicas.behind(start + READ_AGAIN / 2), Behind::Nothing);
        let later = start + READ_AGAIN;
        assert_eq!(replicas.behind(later), Behind::Read);
        assert_eq!(replicas.read(0, later), None);
        assert_eq!(replicas.behind(later), Behind::Nothing);
        assert_eq!(replicas.read(3, later + READ_AGAIN), Some(Change::Required(1)));
        assert_eq!(replicas.behind(later + READ_AGAIN), Behind::Wait(1));
    }

    #[test]
    fn a_replica_that_is_missing_is_required_until_it_has_been_missing_for_long() {
        let start = Instant::now();
        let replicas = replicas(1, start);
        // Hours later: nobody knows since when.
        let missed = start + Duration::from_secs(7_200);
        assert_eq!(replicas.behind(missed), Behind::Wait(1));
        assert_eq!(replicas.confirmed(0, missed), (false, Some(Change::Unconfirmed)));
        assert_eq!(replicas.behind(missed), Behind::WaitAndRead(1));
        assert_eq!(replicas.read(0, missed), None);
        assert_eq!(replicas.confirmed(0, missed), (false, None));
        let almost = missed + GONE_AFTER - Duration::from_millis(1);
        assert_eq!(replicas.read(0, almost), None);
        assert_eq!(replicas.confirmed(0, almost), (false, None));
        let gone = missed + GONE_AFTER;
        assert_eq!(replicas.read(0, gone), Some(Change::Required(0)));
        assert!(replicas.confirmed(0, gone).0);
        assert_eq!(replicas.behind(gone), Behind::Nothing);
    }

    #[test]
    fn a_replica_that_is_online_and_silent_or_returns_in_between_stays_required() {
        let start = Instant::now();
        for (name, returns) in [("online", true), ("confirms", false)] {
            let replicas = replicas(1, start);
            let _ = (replicas.confirmed(0, start), replicas.read(0, start));
            let between = start + GONE_AFTER / 2;
            match returns {
                true => drop(replicas.read(1, between)),
                false => assert!(replicas.confirmed(1, between).0, "{name}"),
            }
            let later = start + GONE_AFTER;
            let _ = replicas.read(0, later);
            assert!(!replicas.confirmed(0, later).0, "{name}");
        }
    }

    #[test]
    fn another_server_at_the_address_starts_with_its_own_and_the_one_before_is_remembered() {
        let (start, servers) = (Instant::now(), Confirmation::new(TERMS));
        let old = servers.server(&info("old", &["online"]), start);
        assert_eq!(old.behind(start), Behind::Wait(1));
        // Promoted: it has none, and never had one.
        let new = servers.server(&info("new", &[]), start);
        assert_eq!(new.behind(start), Behind::Nothing);
        let again = servers.server(&info("old", &[]), start);
        assert_eq!(again.behind(start), Behind::WaitAndRead(1));
        for number in 0..2 * SERVERS_MAX {
            let _ = servers.server(&info(&number.to_string(), &[]), start);
        }
        assert_eq!(servers.servers.lock().unwrap().len(), SERVERS_MAX);
    }

    #[test]
    fn a_server_that_rejects_wait_is_used_without_and_tried_again() {
        let start = Instant::now();
        let replicas = replicas(1, start);
        assert_eq!(replicas.rejected(start), Some(Change::Rejected));
        assert_eq!(replicas.behind(start + REJECTED_FOR / 2), Behind::Nothing);
        assert_eq!(replicas.behind(start + REJECTED_FOR), Behind::Wait(1));
        assert_eq!(replicas.rejected(start + REJECTED_FOR), None, "one line");
    }
}
