//! Progress: a bar on a terminal, else a line every 30 seconds, but not with JSON; on standard
//! error.

use std::{
    io::{self, IsTerminal as _},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    cli::{exit::complain, migrate::report::rate},
    store::cursor::Cursor,
};

/// Of the bar.
const STEPS: u64 = 1_000;
const EVERY: Duration = Duration::from_secs(30);

pub(super) struct Progress {
    /// `None` without a terminal.
    bar: Option<ProgressBar>,
    started: Instant,
    said: Instant,
    /// Where the pass began, if it continues another.
    from: Option<f64>,
    json: bool,
}

impl Progress {
    pub(super) fn start(json: bool) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("[{bar:30}] {percent:>3} %  {msg}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(STEPS).with_style(style.progress_chars("=> "))
        });
        let now = Instant::now();
        Self { bar, started: now, said: now, from: None, json }
    }

    /// The pass has come to this position, with this number of sessions.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "between 0 and 1"
    )]
    pub(super) fn at(&mut self, position: Option<&Cursor>, sessions: u64) {
        let done = position.map_or(1.0, fraction);
        let from = *self.from.get_or_insert(if sessions == 0 { done } else { 0.0 });
        let took = self.started.elapsed();
        let text = text(sessions, took, left(took, from, done));
        match &self.bar {
            Some(bar) => {
                bar.set_position((done * STEPS as f64) as u64);
                bar.set_message(text);
            }
            None if !self.json && self.said.elapsed() >= EVERY => {
                self.said = Instant::now();
                complain(&format!("{:.1} %: {text}", done * 100.0));
            }
            None => {}
        }
    }

    /// Removes the bar.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn text(sessions: u64, took: Duration, left: Option<Duration>) -> String {
    let rate = rate(sessions, took);
    let left = left.map_or_else(String::new, |left| {
        let seconds = left.as_secs();
        format!(", {}:{:02}:{:02} left", seconds / 3_600, seconds / 60 % 60, seconds % 60)
    });
    format!("{sessions} sessions, {rate} a second{left}")
}

/// The rest, at the speed so far; `None` while nothing is known.
fn left(took: Duration, from: f64, done: f64) -> Option<Duration> {
    let part = done - from;
    let seconds = took.as_secs_f64() * (1.0 - done) / part;
    (part > 0.0).then(|| Duration::try_from_secs_f64(seconds).ok()).flatten()
}

/// The part of an enumeration before this position. Ids are hashes, and spread evenly over their
/// alphabet, in the order of its bytes. `SCAN` counts with the highest bit of its table first, so
/// its reversed cursor is the part, whatever the size of the table.
#[allow(clippy::cast_precision_loss, reason = "for a bar")]
fn fraction(position: &Cursor) -> f64 {
    const ALPHABET: &str = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
    match position {
        Cursor::Scan(cursor) => cursor.reverse_bits() as f64 / 2.0_f64.powi(64),
        Cursor::Row(id) => {
            let digits = id.chars().take(4).filter_map(|digit| ALPHABET.find(digit));
            digits
                .fold((0.0, 1.0), |(sum, unit), digit| {
                    (sum + digit as f64 * unit / 64.0, unit / 64.0)
                })
                .0
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::migrate::progress::*;

    #[test]
    fn a_position_is_a_part_of_the_whole() {
        for (name, position, part) in [
            ("the first half of a scan", Cursor::Scan(1), 0.5),
            ("a quarter", Cursor::Scan(2), 0.25),
            ("the last but one of 16 buckets", Cursor::Scan(0b0111), 0.875),
            ("the first row", Cursor::Row("-".repeat(43)), 0.0),
            ("half of the rows", Cursor::Row("V".repeat(43)), 0.5),
            ("the last row", Cursor::Row("z".repeat(43)), 1.0),
        ] {
            let found = fraction(&position);
            assert!((found - part).abs() < 0.02, "{name}: {found}");
        }
    }

    #[test]
    fn the_rest_is_at_the_speed_of_this_run() {
        let minute = Duration::from_secs(60);
        assert_eq!(left(minute, 0.0, 0.25), Some(minute * 3));
        assert_eq!(left(minute, 0.5, 0.75), Some(minute), "continued in the middle");
        assert_eq!(left(minute, 0.0, 0.0), None);
        let said = text(90_000, minute, Some(minute * 90));
        assert_eq!(said, "90000 sessions, 1500 a second, 1:30:00 left");
    }
}
