//! The table at the end.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::server::Variant;

/// What the design promises: a variant, the one it is held against, and the most it may cost.
const BARS: [(Variant, Variant, f64); 3] = [
    (Variant::Untouched, Variant::Floor, 1.05),
    (Variant::Read, Variant::Get, 1.10),
    (Variant::Update, Variant::GetSet, 1.20),
];

/// Nanoseconds of CPU a request, by variant and round.
pub struct Report {
    workers: usize,
    requests: usize,
    rounds: usize,
    cpu: BTreeMap<&'static str, Vec<f64>>,
    idle: BTreeMap<&'static str, Duration>,
}

impl Report {
    pub fn new(workers: usize, requests: usize, rounds: usize) -> Self {
        Self { workers, requests, rounds, cpu: BTreeMap::new(), idle: BTreeMap::new() }
    }

    /// The next round of `variant`, and what the server used while it had nothing to do: it shows
    /// that nothing has to be taken off.
    pub fn add(&mut self, variant: Variant, cpu_of_a_request: f64, idle: Duration) {
        self.cpu.entry(variant.name()).or_default().push(cpu_of_a_request);
        *self.idle.entry(variant.name()).or_default() += idle;
    }

    fn rounds_of(&self, variant: Variant) -> &[f64] {
        self.cpu.get(variant.name()).map_or(&[], Vec::as_slice)
    }

    /// The quartiles of the ratios in each round.
    fn ratios(&self, of: Variant, to: Variant) -> [f64; 3] {
        let rounds = self.rounds_of(of).iter().zip(self.rounds_of(to));
        quartiles(rounds.map(|(of, to)| of / to).collect())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runtime = match self.workers {
            0 => "one thread".to_owned(),
            workers => format!("{workers} worker threads"),
        };
        let (rounds, requests) = (self.rounds, self.requests);
        writeln!(f, "{rounds} rounds of {requests} requests to each server, tokio on {runtime}\n")?;
        writeln!(f, "server       us CPU a request: median (quartiles)    idle, whole run")?;
        for variant in Variant::ALL {
            let [low, median, high] = quartiles(self.rounds_of(variant).to_vec());
            let idle = self.idle.get(variant.name()).copied().unwrap_or_default();
            write!(f, "{:<12} {:>24.2}", variant.name(), median / 1e3)?;
            write!(f, "  ({:.2} .. {:.2})", low / 1e3, high / 1e3)?;
            writeln!(f, " {:>14.1} ms", idle.as_secs_f64() * 1e3)?;
        }
        writeln!(f, "\nratio                   median (quartiles)            bar")?;
        for (of, to, bar) in BARS {
            let [low, median, high] = self.ratios(of, to);
            let verdict = if median <= bar { "holds" } else { "SHORT" };
            write!(f, "{:<22} {median:>7.3}", format!("{} / {}", of.name(), to.name()))?;
            writeln!(f, "  ({low:.3} .. {high:.3})   {bar:>6.2}  {verdict}")?;
        }
        Ok(())
    }
}

fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values.get(values.len() * quarter / 4).copied().unwrap_or(f64::NAN))
}
