//! The model: what a session is and what becomes of it, without versions, stores or futures.

use std::{collections::BTreeMap, time::Duration};

use proptest::{prelude::*, sample::Index, strategy::BoxedStrategy};
use proptest_state_machine::ReferenceStateMachine;

pub const IDLE: Duration = Duration::from_secs(600);
pub const ABSOLUTE: Duration = Duration::from_secs(1_800);
pub const INTERVAL: Duration = Duration::from_secs(30);

const BROWSERS: usize = 3;
const IDLE_MS: u64 = 600_000;
const ABSOLUTE_MS: u64 = 1_800_000;
const INTERVAL_MS: u64 = 30_000;
/// For how long a session is known to have moved, and read as it was.
const MOVED_MS: u64 = 60_000;
const GRACE_MS: u64 = 10_000;
/// Where the clock of the tests starts.
const START: u64 = 1_704_067_200_000;

/// One step of a history.
#[derive(Clone, Debug)]
pub enum Step {
    Visit(Visit),
    Tick(Duration),
}

/// One request.
#[derive(Clone, Debug)]
pub struct Visit {
    pub browser: usize,
    /// Sends a cookie that was handed out at any time, instead of the browser's own; the browser
    /// ignores the answer's cookie then.
    pub replay: Option<Index>,
    pub acts: Vec<Act>,
    pub end: End,
}

/// What a handler does with its session.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    Read,
    Times,
    Insert(&'static str, i64),
    Remove(&'static str),
    Add(&'static str, i64),
    Clear,
    Login(&'static str, Option<&'static str>),
    Logout,
    LogoutEverywhere,
    Renew,
    Platform(&'static str),
    NoPlatform,
    Save,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    Ok,
    ServerError,
    DroppedBeforeTheHead,
}

/// What the answer does to the cookie.
#[derive(Clone, Debug, PartialEq)]
pub enum Cookie {
    Keep,
    Remove,
    /// The cookie of that number, counted over all that were ever handed out.
    Set(usize),
}

/// What has to come of the last request.
#[derive(Clone, Debug)]
pub struct Expected {
    pub sent: Option<usize>,
    /// The cookie is that of a session from before it moved.
    pub moved: bool,
    pub answers: Vec<String>,
    pub cookie: Cookie,
}

#[derive(Clone, Debug, PartialEq)]
struct Session {
    created: u64,
    active: u64,
    idle_end: u64,
    absolute_end: u64,
    content: Content,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Content {
    user: Option<String>,
    platform: Option<String>,
    values: BTreeMap<String, i64>,
}

/// All sessions, all cookies, and the time.
#[derive(Clone, Debug)]
pub struct World {
    now: u64,
    /// By a number of its own; an id is dead once it is not here.
    sessions: BTreeMap<usize, Session>,
    next: usize,
    /// What sessions were that have got another number since, which, and when.
    moved: BTreeMap<usize, (Session, usize, u64)>,
    /// A move is not forgotten, by whatever time.
    remembers: bool,
    /// The session that each cookie opens, or opened.
    cookies: Vec<usize>,
    jars: [Option<usize>; BROWSERS],
    pub expected: Option<Expected>,
}

impl Session {
    fn starts(now: u64, content: Content) -> Self {
        let (idle_end, absolute_end) = (now + IDLE_MS + INTERVAL_MS, now + ABSOLUTE_MS);
        Self { created: now, active: now, idle_end, absolute_end, content }
    }

    /// Whoever comes back within the idle time is in, though not every visit is written down.
    fn is_used(&mut self, now: u64) {
        self.active = now;
        self.idle_end = now + IDLE_MS + INTERVAL_MS;
    }

    fn end(&self) -> u64 {
        self.idle_end.min(self.absolute_end)
    }

    fn is_alive(&self, now: u64) -> bool {
        now < self.end()
    }
}

impl Content {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One request on its way.
struct Request<'a> {
    world: &'a mut World,
    /// The session that the cookie names, dead or alive.
    presented: Option<usize>,
    /// The live session.
    held: Option<usize>,
    /// The session has got another number: and what it was, while the grace lasts.
    moved: bool,
    before: Option<Session>,
    /// What the handler sees: what is stored, and on top of it what it did.
    seen: Content,
    /// Names that were written or removed since the last save.
    written: BTreeMap<String, Option<i64>>,
    /// Something is buffered; not only names; a new id is due; a login is due.
    buffered: bool,
    cleared: bool,
    moves: bool,
    login: Option<String>,
    platform: Option<Option<String>>,
    cookie: Change,
    touched: bool,
    /// A write that changed nothing was worth a touch: done beside the request, not seen by it.
    touches: bool,
    expired: bool,
}

#[derive(PartialEq)]
enum Change {
    Keep,
    Remove,
    Set,
}

impl World {
    pub fn alive(&self) -> usize {
        self.sessions.values().filter(|session| session.is_alive(self.now)).count()
    }

    /// What became of a session that moved, of late.
    fn heir(&self, number: usize) -> Option<usize> {
        let (_, heir, at) = self.moved.get(&number)?;
        (self.now - at < MOVED_MS).then_some(*heir)
    }

    /// What a logout by the old id ends.
    fn heir_to_end(&self, number: usize) -> Option<usize> {
        if self.remembers { Some(self.moved.get(&number)?.1) } else { self.heir(number) }
    }

    /// The last in the row of those that a session has become.
    fn last_heir(&self, mut number: usize) -> usize {
        for _ in 0..8 {
            number = self.heir(number).unwrap_or(number);
        }
        number
    }

    /// What a session was before it moved, if it lives on and the grace lasts.
    fn before(&self, number: usize) -> Option<Session> {
        let (before, _, at) = self.moved.get(&number)?;
        let lives = self.sessions.get(&self.last_heir(number))?.is_alive(self.now);
        let reads = lives && before.is_alive(self.now) && self.now - at < GRACE_MS;
        reads.then(|| before.clone())
    }

    fn visit(&mut self, visit: &Visit) {
        let own = self.jars[visit.browser];
        let replayed = visit.replay.filter(|_| !self.cookies.is_empty());
        let replayed = replayed.map(|index| index.index(self.cookies.len()));
        let sent = replayed.or(own);
        let presented = sent.map(|number| self.cookies[number]);
        let mut request = Request::new(self, presented);
        let moved = request.moved;
        let answers = visit.acts.iter().map(|act| request.act(act)).collect();
        request.end(visit.end);
        let (held, change) = (request.held, request.cookie);
        let cookie = match change {
            _ if visit.end == End::DroppedBeforeTheHead => Cookie::Keep,
            Change::Keep => Cookie::Keep,
            Change::Remove => Cookie::Remove,
            Change::Set => {
                self.cookies.push(held.unwrap());
                Cookie::Set(self.cookies.len() - 1)
            }
        };
        if replayed.is_none() {
            match cookie {
                Cookie::Keep => {}
                Cookie::Remove => self.jars[visit.browser] = None,
                Cookie::Set(number) => self.jars[visit.browser] = Some(number),
            }
        }
        self.expected = Some(Expected { sent, moved, answers, cookie });
    }
}

impl<'a> Request<'a> {
    fn new(world: &'a mut World, presented: Option<usize>) -> Self {
        let now = world.now;
        let found = presented.and_then(|number| world.sessions.get(&number));
        let expired = found.is_some_and(|session| !session.is_alive(now));
        let held = presented.filter(|_| found.is_some() && !expired);
        let moved = found.is_none() && presented.is_some_and(|number| world.heir(number).is_some());
        let before = presented.filter(|_| moved).and_then(|number| world.before(number));
        let seen = held.map(|number| &world.sessions[&number]).or(before.as_ref());
        let seen = seen.map(|session| session.content.clone()).unwrap_or_default();
        Self {
            world,
            presented,
            held,
            moved,
            before,
            seen,
            written: BTreeMap::new(),
            buffered: false,
            cleared: false,
            moves: false,
            login: None,
            platform: None,
            cookie: Change::Keep,
            touched: false,
            touches: false,
            expired,
        }
    }

    fn base(&self) -> Option<&Session> {
        self.held.map(|number| &self.world.sessions[&number]).or(self.before.as_ref())
    }

    fn stored(&self) -> Content {
        self.base().map(|session| session.content.clone()).unwrap_or_default()
    }

    /// Whether what was done so far is dropped: the session has moved, and nobody signs in.
    fn drops(&mut self) -> bool {
        let drops = self.moved && self.login.is_none();
        if drops {
            self.forget_changes();
            self.seen = self.stored();
        }
        drops
    }

    fn act(&mut self, act: &Act) -> String {
        self.touched = true;
        match act {
            Act::Read => self.read(),
            Act::Times => self.times(),
            Act::Insert(name, value) => {
                self.write(name, Some(*value));
                String::new()
            }
            Act::Remove(name) => {
                let there = self.seen.values.contains_key(*name);
                if there {
                    self.write(name, None);
                }
                there.to_string()
            }
            Act::Add(name, more) => {
                self.add(name, *more).map_or_else(|| "Moved".into(), |sum| sum.to_string())
            }
            Act::Clear => {
                if self.base().is_some() || self.buffered {
                    self.buffered = true;
                    self.cleared = true;
                    self.written.clear();
                    self.seen.values.clear();
                }
                String::new()
            }
            Act::Login(user, platform) => {
                self.sign_in(user, *platform);
                String::new()
            }
            Act::Logout => {
                self.logout();
                String::new()
            }
            Act::LogoutEverywhere => {
                self.logout_everywhere();
                String::new()
            }
            Act::Renew => {
                if self.base().is_some() {
                    self.buffered = true;
                    self.moves = true;
                }
                String::new()
            }
            Act::Platform(platform) => {
                if self.base().is_none() && !self.buffered {
                    return if self.expired { "Expired" } else { "Absent" }.into();
                }
                self.set_platform(Some((*platform).to_owned()));
                String::new()
            }
            Act::NoPlatform => {
                let there = self.seen.platform.is_some();
                if there {
                    self.set_platform(None);
                }
                there.to_string()
            }
            Act::Save => {
                if self.save() {
                    String::new()
                } else {
                    "Moved".into()
                }
            }
        }
    }

    fn read(&self) -> String {
        let values = self.seen.values.iter().map(|(name, value)| format!("{name}={value}"));
        let values = values.collect::<Vec<_>>().join(" ");
        let user = self.seen.user.clone().unwrap_or_default();
        let platform = self.seen.platform.clone().unwrap_or_default();
        let id = if self.base().is_some() { "id" } else { "no id" };
        format!("{values} user:{user} platform:{platform} {id}")
    }

    fn times(&self) -> String {
        let Some(session) = self.base() else { return "- - -".into() };
        format!("{} {} {}", session.created, session.active, session.end())
    }

    fn write(&mut self, name: &str, value: Option<i64>) {
        self.buffered = true;
        self.written.insert(name.to_owned(), value);
        match value {
            Some(value) => self.seen.values.insert(name.to_owned(), value),
            None => self.seen.values.remove(name),
        };
    }

    fn set_platform(&mut self, platform: Option<String>) {
        self.buffered = true;
        self.platform = Some(platform.clone());
        self.seen.platform = platform;
    }

    /// One user's values never pass to another. Those of an anonymous session do.
    fn sign_in(&mut self, user: &str, platform: Option<&str>) {
        let stored = self.stored();
        if self.seen.user.as_deref().is_some_and(|before| before != user) {
            self.written.clear();
        }
        let of_another = stored.user.as_deref().is_some_and(|owner| owner != user);
        let mut values = stored.values;
        if of_another || self.cleared {
            values.clear();
        }
        for (name, value) in &self.written {
            match value {
                Some(value) => values.insert(name.clone(), *value),
                None => values.remove(name),
            };
        }
        self.seen.values = values;
        self.seen.user = Some(user.to_owned());
        self.login = Some(user.to_owned());
        self.moves = true;
        self.set_platform(platform.map(str::to_owned));
    }

    /// At once; first what no single name can be saved without.
    fn add(&mut self, name: &str, more: i64) -> Option<i64> {
        if (self.cleared || self.moves) && !self.save() {
            return None;
        }
        if self.moved {
            return None;
        }
        let value = self.seen.values.get(name).copied().unwrap_or(0) + more;
        self.written.remove(name);
        self.seen.values.insert(name.to_owned(), value);
        let mut content = self.stored();
        content.values.insert(name.to_owned(), value);
        self.store(content, false, false);
        self.buffered = !self.written.is_empty() || self.platform.is_some();
        Some(value)
    }

    /// Whether it was not dropped.
    fn save(&mut self) -> bool {
        if !self.buffered {
            return true;
        }
        if self.drops() {
            return false;
        }
        let content = self.seen.clone();
        let (moves, signs_in) = (self.moves, self.login.is_some());
        self.forget_changes();
        self.store(content, moves, signs_in);
        true
    }

    fn forget_changes(&mut self) {
        self.buffered = false;
        self.cleared = false;
        self.moves = false;
        self.login = None;
        self.platform = None;
        self.written.clear();
    }

    fn store(&mut self, content: Content, moves: bool, signs_in: bool) {
        let now = self.world.now;
        let Some(number) = self.held else {
            if !content.is_empty() {
                self.begins(Session::starts(now, content));
            }
            return;
        };
        if content.is_empty() {
            self.world.sessions.remove(&number);
            self.held = None;
            self.expired = false;
            self.cookie = Change::Remove;
            return;
        }
        let mut session = self.world.sessions[&number].clone();
        if moves {
            self.world.sessions.remove(&number);
            self.world.moved.insert(number, (session.clone(), self.world.next, now));
            session.is_used(now);
            let begun = Session::starts(now, content.clone());
            self.begins(if signs_in { begun } else { Session { content, ..session } });
        } else if session.content != content {
            session.is_used(now);
            self.world.sessions.insert(number, Session { content, ..session });
        } else {
            self.touches = true;
        }
    }

    fn begins(&mut self, session: Session) {
        let number = self.world.next;
        self.world.next += 1;
        self.world.sessions.insert(number, session);
        self.held = Some(number);
        self.moved = false;
        self.before = None;
        self.cookie = Change::Set;
    }

    /// Activity is written down once an interval.
    fn touch(&mut self) {
        let now = self.world.now;
        let held = self.held.and_then(|number| self.world.sessions.get_mut(&number));
        if let Some(session) = held.filter(|session| now - session.active >= INTERVAL_MS) {
            session.is_used(now);
        }
    }

    /// At once, and with all that its user has.
    fn logout_everywhere(&mut self) {
        // Whoever was about to be signed in, and who was.
        let users = [self.seen.user.clone(), self.stored().user];
        let theirs = |session: &Session| {
            session.content.user.is_some() && users.contains(&session.content.user)
        };
        let held = self.held;
        self.world.sessions.retain(|number, session| Some(*number) == held || !theirs(session));
        self.logout();
    }

    /// At once. Also for a cookie that opens nothing: the client is better off without it.
    fn logout(&mut self) {
        let ended_before = self.cookie == Change::Remove;
        let ends = match self.held {
            Some(number) => Some(number),
            None => self.presented.filter(|_| !ended_before),
        };
        // Of one that has moved the session is meant, under whatever number.
        let mut ends = ends;
        while let Some(heir) = ends.and_then(|number| self.world.heir_to_end(number)) {
            ends = Some(heir);
        }
        self.moved = false;
        self.before = None;
        self.forget_changes();
        self.seen = Content::default();
        self.held = None;
        self.expired = false;
        if let Some(number) = ends {
            self.world.sessions.remove(&number);
            self.cookie = Change::Remove;
        }
    }

    fn end(&mut self, end: End) {
        match end {
            End::DroppedBeforeTheHead => {}
            End::Ok if self.buffered => drop(self.save()),
            End::Ok | End::ServerError => self.touches |= self.touched,
        }
        if self.touches {
            self.touch();
        }
    }
}

/// Histories in which time passes.
pub struct Reference;

/// The same for stores that forget a move by a clock of their own, by which no time passes.
pub struct OwnClock;

/// Histories in which no time passes that a session would notice: for stores on the real clock.
pub struct Timeless;

impl ReferenceStateMachine for Reference {
    type State = World;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<World> {
        let (sessions, cookies) = (BTreeMap::new(), Vec::new());
        let jars = [None; BROWSERS];
        let moved = BTreeMap::new();
        let (expected, remembers) = (None, false);
        let next = 0;
        Just(World { now: START, sessions, next, moved, cookies, jars, expected, remembers })
            .boxed()
    }

    fn transitions(_: &World) -> BoxedStrategy<Step> {
        let times = [
            Duration::from_millis(1),
            INTERVAL - Duration::from_millis(1),
            INTERVAL,
            IDLE / 2,
            IDLE - Duration::from_millis(1),
            IDLE,
            IDLE + INTERVAL - Duration::from_millis(1),
            IDLE + INTERVAL,
            ABSOLUTE,
        ];
        prop_oneof![
            4 => visit(act()).prop_map(Step::Visit),
            1 => proptest::sample::select(times.to_vec()).prop_map(Step::Tick),
        ]
        .boxed()
    }

    fn apply(mut world: World, step: &Step) -> World {
        match step {
            Step::Tick(time) => world.now += u64::try_from(time.as_millis()).unwrap(),
            Step::Visit(visit) => world.visit(visit),
        }
        world
    }
}

impl ReferenceStateMachine for OwnClock {
    type State = World;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<World> {
        Reference::init_state().prop_map(|world| World { remembers: true, ..world }).boxed()
    }

    fn transitions(world: &World) -> BoxedStrategy<Step> {
        Reference::transitions(world)
    }

    fn apply(world: World, step: &Step) -> World {
        Reference::apply(world, step)
    }
}

impl ReferenceStateMachine for Timeless {
    type State = World;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<World> {
        Reference::init_state()
    }

    fn transitions(_: &World) -> BoxedStrategy<Step> {
        visit(act().prop_filter("shows the time", |act| *act != Act::Times))
            .prop_map(Step::Visit)
            .boxed()
    }

    fn apply(world: World, step: &Step) -> World {
        Reference::apply(world, step)
    }
}

fn visit(act: impl Strategy<Value = Act> + 'static) -> impl Strategy<Value = Visit> {
    let end = prop_oneof![
        8 => Just(End::Ok),
        1 => Just(End::ServerError),
        1 => Just(End::DroppedBeforeTheHead),
    ];
    let replay = proptest::option::weighted(0.2, any::<Index>());
    let acts = proptest::collection::vec(act, 0..5);
    // A read in front tells how the session stands, so that an error shows where it was made.
    let acts = (any::<bool>(), acts).prop_map(|(reads, mut acts)| {
        if reads {
            acts.insert(0, Act::Read);
        }
        acts
    });
    (0..BROWSERS, replay, acts, end).prop_map(|(browser, replay, acts, end)| Visit {
        browser,
        replay,
        acts,
        end,
    })
}

fn act() -> impl Strategy<Value = Act> {
    let name = || proptest::sample::select(vec!["a", "b", "c"]);
    let user = proptest::sample::select(vec!["alice", "bob"]);
    let platform = || proptest::sample::select(vec!["p", "q"]);
    prop_oneof![
        4 => Just(Act::Read),
        2 => Just(Act::Times),
        4 => (name(), 0..3i64).prop_map(|(name, value)| Act::Insert(name, value)),
        2 => name().prop_map(Act::Remove),
        3 => (name(), 0..3i64).prop_map(|(name, more)| Act::Add(name, more)),
        1 => Just(Act::Clear),
        2 => (user, proptest::option::of(platform())).prop_map(|(u, p)| Act::Login(u, p)),
        1 => Just(Act::Logout),
        1 => Just(Act::LogoutEverywhere),
        1 => Just(Act::Renew),
        1 => platform().prop_map(Act::Platform),
        1 => Just(Act::NoPlatform),
        2 => Just(Act::Save),
    ]
}
