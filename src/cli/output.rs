//! Standard output: text for people, JSON for programs.

use std::{
    borrow::Cow,
    fmt::Display,
    io::{self, BufWriter, Stdout, Write as _},
};

use serde::Serialize;

use crate::{cli::exit::Failure, clock::timestamp::Timestamp};

pub(super) struct Output {
    json: bool,
    out: BufWriter<Stdout>,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        Self { json, out: BufWriter::new(io::stdout()) }
    }

    pub(super) const fn is_json(&self) -> bool {
        self.json
    }

    /// One line: the value as JSON, or else the text.
    pub(super) fn say(
        &mut self,
        value: &impl Serialize,
        text: impl Display,
    ) -> Result<(), Failure> {
        if self.json { self.json(value) } else { self.line(text) }
    }

    pub(super) fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        serde_json::to_writer(&mut self.out, value).map_err(io::Error::from)?;
        self.line("")
    }

    pub(super) fn line(&mut self, text: impl Display) -> Result<(), Failure> {
        Ok(writeln!(self.out, "{text}")?)
    }

    /// A name and a value a line.
    pub(super) fn fields<'a>(
        &mut self,
        fields: impl IntoIterator<Item = (&'a str, String)>,
    ) -> Result<(), Failure> {
        for (name, value) in fields {
            self.line(format_args!("{name:<18}{value}").to_string().trim_end())?;
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.out.flush()?)
    }
}

/// Text of the application's users, for a terminal: without characters that control it or change
/// the order of others.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(controls) {
        return Cow::Borrowed(text);
    }
    let escaped = |one: char| match controls(one) {
        true => one.escape_unicode().to_string(),
        false => one.to_string(),
    };
    Cow::Owned(text.chars().map(escaped).collect())
}

/// The same, and a dash for none.
pub(super) fn or_dash(text: Option<&str>) -> String {
    text.map_or_else(|| "-".to_owned(), |text| printable(text).into_owned())
}

fn controls(one: char) -> bool {
    let reorders = ['\u{200e}'..='\u{200f}', '\u{2028}'..='\u{202e}', '\u{2066}'..='\u{2069}'];
    one.is_control() || reorders.iter().any(|range| range.contains(&one))
}

/// In whole seconds, so that columns have one width.
pub(super) fn seconds(time: Timestamp) -> String {
    Timestamp::from_millis(time.as_millis() / 1_000 * 1_000).to_string()
}

/// A number of bytes: `17.2 MiB`.
#[allow(clippy::cast_precision_loss, reason = "rounded to three digits")]
pub(super) fn bytes(number: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (number as f64, "bytes");
    for next in units {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    if unit == "bytes" { format!("{number} bytes") } else { format!("{value:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use crate::cli::output::*;

    #[test]
    fn text_of_users_cannot_control_a_terminal() {
        for (text, printed) in [
            ("alice", "alice"),
            ("élise 李", "élise 李"),
            ("a\u{1b}[2Jb\nc", "a\\u{1b}[2Jb\\u{a}c"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("txt\u{202e}exe", "txt\\u{202e}exe"),
        ] {
            assert_eq!(printable(text), printed);
        }
    }

    #[test]
    fn sizes_have_a_unit() {
        for (number, printed) in [
            (0, "0 bytes"),
            (1_023, "1023 bytes"),
            (1_024, "1.0 KiB"),
            (18_035_507, "17.2 MiB"),
            (u64::MAX, "16777216.0 TiB"),
        ] {
            assert_eq!(bytes(number), printed);
        }
    }
}
