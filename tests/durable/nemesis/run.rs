//! One run: clients at work, faults by the plan, all healed at the end, the history checked.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::checker::{self, Terms, Violation};
use super::client::{User, rest};
use super::faults::carry_out;
use super::history::{History, MILLI, Op, Pulse, Recorder, SITES, Site};
use super::schedule::plan;
use super::seeded_rng::SeededRng;
use super::visit::visit;
use super::world::World;
use test_support::PostgresServer;

const USERS: u64 = 6;
/// Milliseconds.
const LENGTH: u64 = 4_000;
const STRETCH: u64 = 60_000;
/// Writes that have to be acknowledged in a run, for it to prove anything.
const LEAST: usize = 20;

/// What came of it.
#[derive(Debug)]
pub struct Report {
    pub seed: u64,
    pub terms: Terms,
    pub history: History,
    pub violations: Vec<Violation>,
}

/// Counts, of one run or of several.
#[derive(Debug, Default, Clone, Copy)]
pub struct Totals {
    pub operations: usize,
    pub acknowledged: usize,
    pub unknown: usize,
    pub dead_cookies: usize,
    pub faults: usize,
    pub violations: usize,
}

pub async fn run(postgres: &'static PostgresServer, seed: u64, only: &[String]) -> Report {
    let (strict, stretches) = (seed.is_multiple_of(2), (seed / 2).is_multiple_of(2));
    let stretch = if stretches { STRETCH } else { 0 };
    let world = Arc::new(World::start(postgres, strict, stretch).await);
    let begun = world.comes_to_rest().await;
    let recorder = Arc::new(Recorder::new());
    let over = Arc::new(AtomicBool::new(false));
    let pulses = SITES.map(|site| {
        tokio::spawn(pulse(site, Arc::clone(&world), Arc::clone(&recorder), Arc::clone(&over)))
    });
    let users: Vec<_> = (0..USERS).map(|number| User::new(number, &world, &recorder)).collect();
    let mut browsers = tokio::task::JoinSet::new();
    for (number, user) in (0..).zip(&users) {
        let until = LENGTH * MILLI;
        browsers.spawn(user.clone().work(SeededRng::new(seed, number), until));
        browsers.spawn(user.clone().follow(SeededRng::new(seed, 100 + number), until));
    }
    carry_out(plan(seed, LENGTH - 600, only), &world, &recorder, seed).await;
    browsers.join_all().await;
    let rested = begun.and(world.comes_to_rest().await);
    let rested_at = recorder.now();
    for user in &users {
        user.look_back().await;
    }
    over.store(true, Ordering::SeqCst);
    for pulse in pulses {
        pulse.await.unwrap();
    }
    let settings = &world.settings[0];
    let (lease, budget) = (settings.lease * MILLI, settings.budget * MILLI);
    let terms = Terms { strict, stretches, lease, budget };
    let history = recorder.history();
    let mut violations = checker::check(&history, &terms);
    if rested.is_ok() {
        violations.extend(checker::agree(&history, rested_at));
    }
    violations.extend(rested.err().map(Violation::at_rest));
    let mut report = Report { seed, terms, history, violations };
    let totals = report.totals();
    if totals.acknowledged < LEAST || totals.operations < 4 * LEAST {
        report.violations.push(Violation::at_rest(format!("hardly any work: {totals}")));
    }
    report
}

async fn pulse(at: Site, world: Arc<World>, recorder: Arc<Recorder>, over: Arc<AtomicBool>) {
    while !over.load(Ordering::SeqCst) {
        let start = recorder.now();
        if let Some(addr) = world.addr(at)
            && visit(addr, "/", None).await.is_ok()
        {
            recorder.note_pulse(Pulse { at, start, end: recorder.now() });
        }
        rest(10).await;
    }
}

impl Report {
    pub fn totals(&self) -> Totals {
        let ops = &self.history.ops;
        let count = |is: &dyn Fn(&Op) -> bool| ops.iter().filter(|op| is(op)).count();
        Totals {
            operations: ops.len(),
            acknowledged: count(&|op| op.kind.writes() && op.status() == Some(200)),
            unknown: count(&|op| op.status().is_none_or(|status| status >= 500)),
            dead_cookies: count(&|op| op.token.is_some() && op.is_anonymous()),
            faults: self.history.faults.len(),
            violations: self.violations.len(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Terms { strict, stretches, .. } = self.terms;
        let (strict, stretches) = (u8::from(strict), u8::from(stretches));
        write!(f, "seed {} strict={strict} stretches={stretches}: {}", self.seed, self.totals())?;
        let what = |fault: &super::history::Fault| format!("{:?} {}", fault.on, fault.what);
        let faults: Vec<_> = self.history.faults.iter().map(what).collect();
        let stalls = self.history.pulses.iter().map(|pulse| pulse.end - pulse.start);
        let longest = stalls.max().unwrap_or(0) / MILLI;
        write!(f, ", stalls up to {longest} ms [{}]", faults.join(", "))?;
        for violation in self.violations.iter().take(3) {
            write!(f, "\n{violation}\n{}", violation.excerpt(&self.history))?;
        }
        Ok(())
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operations, acknowledged, unknown, dead_cookies, faults, violations } = self;
        write!(
            f,
            "{operations} operations, {acknowledged} writes acknowledged, {unknown} unknown, \
             {dead_cookies} with dead cookies, {faults} faults, {violations} violations"
        )
    }
}

impl std::ops::AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.operations += other.operations;
        self.acknowledged += other.acknowledged;
        self.unknown += other.unknown;
        self.dead_cookies += other.dead_cookies;
        self.faults += other.faults;
        self.violations += other.violations;
    }
}
