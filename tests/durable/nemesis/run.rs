//! One run: clients at work, faults by the plan, all healed at the end, the history checked.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::checker::{self, LEAVES, Terms, Violation};
use super::client::{User, rest};
use super::faults::carry_out;
use super::history::{History, MILLI, Op, Pulse, Recorder, SITES, Site};
use super::schedule::{USERS, plan};
use super::seeded_rng::SeededRng;
use super::servers::Bed;
use super::visit::visit;
use super::world::World;
use crate::two_instances::Settings;
use test_support::PostgresServer;

/// Milliseconds.
const LENGTH: u64 = 4_000;
const STRETCH: u64 = 60_000;
/// How long clients go on when a failover can cost nothing more.
const AFTER_LOSSES: u64 = 700;
/// Writes that have to be acknowledged in a run, for it to prove anything.
const LEAST: usize = 20;

/// What came of it.
#[derive(Debug)]
pub struct Report {
    pub bed: Bed,
    pub seed: u64,
    pub terms: Terms,
    pub history: History,
    pub violations: Vec<Violation>,
    /// What was acknowledged, and a failover has cost.
    pub lost: usize,
    /// A server looked dead that was not, so that more may have been lost.
    pub is_void: bool,
}

/// Counts, of one run or of several.
#[derive(Debug, Default, Clone)]
pub struct Totals {
    pub operations: usize,
    pub acknowledged: usize,
    pub unknown: usize,
    pub dead_cookies: usize,
    pub faults: BTreeMap<String, usize>,
    pub lost: usize,
    pub void: usize,
    pub violations: usize,
}

pub async fn run(
    bed: Bed,
    postgres: Option<&'static PostgresServer>,
    seed: u64,
    only: &[String],
) -> Report {
    let (strict, stretches) = (seed.is_multiple_of(2), (seed / 2).is_multiple_of(2));
    let stretch = if stretches { STRETCH } else { 0 };
    let change = |settings: &mut Settings| (settings.strict, settings.stretch) = (strict, stretch);
    let world = Arc::new(World::start(bed, postgres, change).await);
    let begun = world.comes_to_rest().await;
    let recorder = Arc::new(Recorder::new());
    let over = Arc::new(AtomicBool::new(false));
    let pulses = SITES.map(|site| {
        tokio::spawn(pulse(site, Arc::clone(&world), Arc::clone(&recorder), Arc::clone(&over)))
    });
    let users = users(&world, &recorder).await;
    work(bed, &users, &world, &recorder, seed, only).await;
    world.servers.settle().await;
    let rested = begun.and(world.comes_to_rest().await);
    let rested_at = recorder.now();
    for user in &users {
        user.look_back().await;
    }
    over.store(true, Ordering::SeqCst);
    for pulse in pulses {
        pulse.await.unwrap();
    }
    let is_void = !bed.is_durable() && world.was_replaced_unplanned().await;
    let settings = &world.settings[0];
    let terms = match bed.is_durable() {
        true => Terms {
            is_durable: true,
            strict,
            stretches,
            lease: settings.lease * MILLI,
            budget: settings.budget * MILLI,
        },
        // Everybody asks the same server.
        false => Terms {
            is_durable: false,
            strict: true,
            stretches: false,
            lease: 0,
            budget: settings.budget * MILLI,
        },
    };
    let history = recorder.history();
    let (mut violations, lost) = checker::check(&history, &terms);
    if rested.is_ok() {
        violations.extend(checker::agree(&history, rested_at));
    }
    violations.extend(rested.err().map(Violation::at_rest));
    let mut report = Report { bed, seed, terms, history, violations, lost, is_void };
    let totals = report.totals();
    if totals.acknowledged < LEAST || totals.operations < 4 * LEAST {
        report.violations.push(Violation::at_rest(format!("hardly any work: {totals}")));
    }
    report
}

async fn users(world: &Arc<World>, recorder: &Arc<Recorder>) -> Vec<User> {
    let users: Vec<_> = (0..USERS).map(|number| User::new(number, world, recorder)).collect();
    let names: Vec<_> = users.iter().map(|user| user.name.clone()).collect();
    let tags = world.learn_tags(&names).await.iter().cloned();
    recorder.note_shards(world.bed.shards(), names.into_iter().zip(tags));
    users
}

/// All users at once, and the faults.
async fn work(
    bed: Bed,
    users: &[User],
    world: &Arc<World>,
    recorder: &Arc<Recorder>,
    seed: u64,
    only: &[String],
) {
    let mut browsers = tokio::task::JoinSet::new();
    for (number, user) in (0..).zip(users) {
        browsers.spawn(user.clone().work(SeededRng::new(seed, number)));
        browsers.spawn(user.clone().follow(SeededRng::new(seed, 100 + number)));
    }
    carry_out(plan(bed, seed, LENGTH - 600, only), world, recorder, seed).await;
    let history = recorder.history();
    let costs = history.faults.iter().filter(|fault| fault.loses && !bed.is_durable());
    let costs = costs.map(|fault| fault.to + LEAVES + AFTER_LOSSES * MILLI);
    let end = costs.max().unwrap_or_default().max(LENGTH * MILLI);
    rest(end.saturating_sub(recorder.now()) / MILLI).await;
    recorder.end();
    browsers.join_all().await;
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
        let mut faults = BTreeMap::new();
        for fault in &self.history.faults {
            *faults.entry(fault.what.clone()).or_default() += 1;
        }
        Totals {
            operations: ops.len(),
            acknowledged: count(&|op| op.kind.writes() && op.status() == Some(200)),
            unknown: count(&|op| op.status().is_none_or(|status| status >= 500)),
            dead_cookies: count(&|op| op.token.is_some() && op.is_over()),
            faults,
            lost: self.lost,
            void: usize::from(self.is_void),
            violations: self.violations.len(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Terms { strict, stretches, .. } = self.terms;
        let (strict, stretches) = (u8::from(strict), u8::from(stretches));
        write!(f, "{:?}, seed {}, strict={strict} stretches={stretches}: ", self.bed, self.seed)?;
        write!(f, "{}", self.totals())?;
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
        let Self { operations, acknowledged, unknown, dead_cookies, lost, violations, .. } = self;
        let faults = self.faults.values().sum::<usize>();
        write!(
            f,
            "{operations} operations, {acknowledged} writes acknowledged, {unknown} unknown, \
             {dead_cookies} with dead cookies, {faults} faults, {lost} lost by failovers, \
             {violations} violations"
        )?;
        if self.void > 0 {
            write!(f, ", {} runs with a failover that was not planned", self.void)?;
        }
        Ok(())
    }
}

impl std::ops::AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.operations += other.operations;
        self.acknowledged += other.acknowledged;
        self.unknown += other.unknown;
        self.dead_cookies += other.dead_cookies;
        self.lost += other.lost;
        self.void += other.void;
        self.violations += other.violations;
        for (fault, count) in other.faults {
            *self.faults.entry(fault).or_default() += count;
        }
    }
}
