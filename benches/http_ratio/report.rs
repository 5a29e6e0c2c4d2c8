//! The table at the end.

use std::fmt;
use std::time::Duration;

/// What the design promises: a server, the one it is held against, and the most it may cost.
#[derive(Clone, Debug)]
pub struct Bar {
    of: String,
    to: String,
    most: f64,
}

impl Bar {
    pub fn new(of: impl Into<String>, to: impl Into<String>, most: f64) -> Self {
        Self { of: of.into(), to: to.into(), most }
    }

    pub fn of_the_layer() -> [Self; 4] {
        [
            Self::new("untouched", "floor", 1.05),
            Self::new("read", "get", 1.10),
            Self::new("update", "get-set", 1.20),
            Self::new("update one session", "get-set", 1.00),
        ]
    }
}

/// What one server did in one round.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// Nanoseconds of CPU a request.
    pub cpu: f64,
    /// Requests a second. The load generator shares the machine, so only a ratio means anything.
    pub rate: f64,
}

/// What one server used.
struct Server {
    name: String,
    rounds: Vec<Round>,
    idle: Duration,
}

pub struct Report {
    workers: usize,
    requests: usize,
    rounds: usize,
    servers: Vec<Server>,
    bars: Vec<Bar>,
}

impl Report {
    pub fn new(workers: usize, requests: usize, rounds: usize, bars: &[Bar]) -> Self {
        Self { workers, requests, rounds, servers: Vec::new(), bars: bars.to_vec() }
    }

    /// The next round of a server, and what it used while it had nothing to do: it shows that
    /// nothing has to be taken off.
    pub fn add(&mut self, name: &str, round: Round, idle: Duration) {
        let place = self.servers.iter().position(|server| server.name == name);
        let place = place.unwrap_or_else(|| {
            let (name, rounds) = (name.to_owned(), Vec::new());
            self.servers.push(Server { name, rounds, idle: Duration::ZERO });
            self.servers.len() - 1
        });
        self.servers[place].rounds.push(round);
        self.servers[place].idle += idle;
    }

    fn rounds_of(&self, name: &str) -> &[Round] {
        let server = self.servers.iter().find(|server| server.name == name);
        server.map_or(&[], |server| &server.rounds)
    }

    /// The quartiles of the ratios in each round.
    fn ratios(&self, of: &str, to: &str) -> [f64; 3] {
        let rounds = self.rounds_of(of).iter().zip(self.rounds_of(to));
        quartiles(rounds.map(|(of, to)| of.cpu / to.cpu).collect())
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
        writeln!(
            f,
            "server              us CPU a request: median (quartiles)   requests/s   idle, whole run"
        )?;
        for Server { name, rounds, idle } in &self.servers {
            let [low, median, high] = quartiles(rounds.iter().map(|round| round.cpu).collect());
            let [_, rate, _] = quartiles(rounds.iter().map(|round| round.rate).collect());
            write!(f, "{name:<19} {:>24.2}", median / 1e3)?;
            write!(f, "  ({:.2} .. {:.2})", low / 1e3, high / 1e3)?;
            writeln!(f, " {rate:>12.0} {:>14.1} ms", idle.as_secs_f64() * 1e3)?;
        }
        writeln!(f, "\nratio                       median (quartiles)            bar")?;
        for Bar { of, to, most } in &self.bars {
            let [low, median, high] = self.ratios(of, to);
            let verdict = if median <= *most { "holds" } else { "SHORT" };
            write!(f, "{:<26} {median:>7.3}", format!("{of} / {to}"))?;
            writeln!(f, "  ({low:.3} .. {high:.3})   {most:>6.2}  {verdict}")?;
        }
        Ok(())
    }
}

fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values.get(values.len() * quarter / 4).copied().unwrap_or(f64::NAN))
}
