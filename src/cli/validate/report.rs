//! The report: findings by kind, with some examples each.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Serialize;

use crate::{
    cli::{
        exit::{Exit, Failure},
        output::{Output, printable},
        validate::expectation::Failed,
    },
    error::{Causes, Error},
    store::audit::{Area, Kind, Subject},
};

/// Examples of each kind.
const EXAMPLES_MAX: usize = 5;

/// What was found, and what was examined.
#[derive(Debug, Default)]
pub(super) struct Report {
    findings: BTreeMap<Kind, Found>,
    examined: Vec<Examined>,
    pub(super) functions: Tried,
    pub(super) fallback: Tried,
    /// Places that changed at each look.
    pub(super) unsettled: u64,
    pub(super) interrupted: bool,
    unusable: Option<Exit>,
}

/// The findings of a kind.
#[derive(Debug, Default)]
struct Found {
    count: u64,
    examples: Vec<Example>,
}

#[derive(Debug, Serialize)]
struct Example {
    #[serde(flatten)]
    subject: Subject,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

#[derive(Debug, Serialize)]
struct Examined {
    area: Area,
    count: u64,
    /// False for a sample, and if copies were not compared.
    all: bool,
    /// Why copies were not compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// Whether functions were tried.
#[derive(Debug, Default, Serialize)]
pub(super) struct Tried {
    /// `null` if they were not.
    ok: Option<bool>,
    done: Vec<&'static str>,
    /// Why they were not tried.
    reason: Option<Cow<'static, str>>,
}

#[derive(Serialize)]
struct Json<'a> {
    ok: bool,
    complete: bool,
    functions: &'a Tried,
    fallback: &'a Tried,
    examined: &'a [Examined],
    unsettled: u64,
    findings: Vec<JsonFinding<'a>>,
}

#[derive(Serialize)]
struct JsonFinding<'a> {
    kind: &'static str,
    count: u64,
    text: &'static str,
    action: &'static str,
    examples: &'a [Example],
}

impl Report {
    pub(super) fn find(&mut self, kind: Kind, subject: Subject) {
        self.add(kind, Example { subject, text: None }, 1);
    }

    pub(super) fn find_text(&mut self, kind: Kind, text: impl Into<String>) {
        self.add_text(kind, 1, text.into());
    }

    /// Findings that are not named one by one.
    pub(super) fn count(&mut self, kind: Kind, count: u64, what: &str) {
        self.add_text(kind, count, format!("{what}: {count}"));
    }

    fn add_text(&mut self, kind: Kind, count: u64, text: String) {
        self.add(kind, Example { subject: Subject::default(), text: Some(text) }, count);
    }

    /// A server that does not work, with the error that says how.
    pub(super) fn fails(&mut self, part: &str, error: &Error) {
        let (kind, exit) = match Exit::of(error) {
            Exit::Unavailable => (Kind::ServerUnavailable, Exit::Unavailable),
            // Whatever the error: with this result it is of no use.
            _ => (Kind::ServerUnusable, Exit::Unusable),
        };
        self.unusable = self.unusable.max(Some(exit));
        self.find_text(kind, format!("{part}: {}", Causes(error)));
    }

    /// Whether every server works so far.
    pub(super) fn servers_work(&self) -> bool {
        self.unusable.is_none()
    }

    pub(super) fn examined(
        &mut self,
        area: Area,
        count: u64,
        all: bool,
        reason: Option<&'static str>,
    ) {
        self.examined.push(Examined { area, count, all, reason });
    }

    fn add(&mut self, kind: Kind, example: Example, count: u64) {
        let found = self.findings.entry(kind).or_default();
        found.count = found.count.saturating_add(count);
        let is_empty = example.text.is_none()
            && example.subject.id.is_none()
            && example.subject.user.is_none();
        if !is_empty && found.examples.len() < EXAMPLES_MAX {
            found.examples.push(example);
        }
    }

    pub(super) fn exit(&self) -> Exit {
        let found = if self.findings.is_empty() { Exit::Done } else { Exit::Finding };
        let exit = self.unusable.unwrap_or(Exit::Done).max(found);
        if self.interrupted { Exit::Interrupted } else { exit }
    }

    pub(super) fn print(&self, output: &mut Output) -> Result<(), Failure> {
        if output.is_json() {
            return self.print_json(output);
        }
        for Examined { area, count, all, reason } in &self.examined {
            let name = match area {
                Area::Keys => "keys",
                Area::Rows => "rows",
            };
            let part = if *all || reason.is_some() { "" } else { ", a part of all" };
            let reason = reason.map(|reason| format!("; {reason}")).unwrap_or_default();
            output.fields([(name, format!("{count} examined{part}{reason}"))])?;
        }
        output
            .fields([("functions", self.functions.text()), ("fallback", self.fallback.text())])?;
        if self.unsettled > 0 {
            output.fields([("unsettled", format!("{}: changed at each look", self.unsettled))])?;
        }
        if self.interrupted {
            output.fields([("interrupted", "the rest was not examined".to_owned())])?;
        }
        if self.findings.is_empty() {
            return output.fields([("findings", "none".to_owned())]);
        }
        output.fields([("findings", self.findings.len().to_string())])?;
        self.findings.iter().try_for_each(|(kind, found)| found.print(*kind, output))
    }

    fn print_json(&self, output: &mut Output) -> Result<(), Failure> {
        let findings = self.findings.iter().map(|(kind, Found { count, examples })| {
            let (text, action) = kind.explained();
            JsonFinding { kind: kind.name(), count: *count, text, action, examples }
        });
        output.json(&Json {
            ok: self.exit() == Exit::Done,
            complete: !self.interrupted && self.servers_work(),
            functions: &self.functions,
            fallback: &self.fallback,
            examined: &self.examined,
            unsettled: self.unsettled,
            findings: findings.collect(),
        })
    }
}

impl Found {
    fn print(&self, kind: Kind, output: &mut Output) -> Result<(), Failure> {
        let (text, action) = kind.explained();
        output.line(format_args!("\n{} ({}): {text}", kind.name(), self.count))?;
        for Example { subject, text } in &self.examples {
            let id = subject.id.map(|id| id.to_string());
            let user = subject.user.as_deref().map(|user| format!("user {}", printable(user)));
            let text = text.as_deref().map(|text| printable(text).into_owned());
            let parts: Vec<String> = [id, user, text].into_iter().flatten().collect();
            output.line(format_args!("  {}", parts.join("  ")))?;
        }
        output.line(format_args!("  > {action}"))
    }
}

impl Tried {
    pub(super) fn not(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: Some(reason.into()), ..Self::default() }
    }

    pub(super) fn until(done: Vec<&'static str>, result: &Result<(), Failed>) -> Self {
        match result {
            Err(Failed::Interrupted) => Self { done, ..Self::not("interrupted") },
            result => Self { ok: Some(result.is_ok()), done, reason: None },
        }
    }

    fn text(&self) -> String {
        let done = self.done.join(", ");
        match (self.ok, &self.reason) {
            (Some(true), _) => format!("ok: {done}"),
            (Some(false), _) => format!("failed after: {done}"),
            (None, Some(reason)) if self.done.is_empty() => format!("not tried: {reason}"),
            (None, Some(reason)) => format!("{reason} after: {done}"),
            (None, None) => "not tried".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{cli::validate::report::*, error::ErrorKind};

    #[test]
    fn a_server_that_replies_and_does_not_work_has_exit_code_5_whatever_the_error() {
        for (kind, exit, finding) in [
            (ErrorKind::Unavailable, Exit::Unavailable, Kind::ServerUnavailable),
            (ErrorKind::Misconfigured, Exit::Unusable, Kind::ServerUnusable),
            (ErrorKind::Corrupt, Exit::Unusable, Kind::ServerUnusable),
        ] {
            let mut report = Report::default();
            report.fails("redis", &Error::new(kind, "no"));
            assert_eq!(report.exit(), exit, "{kind:?}");
            assert!(report.findings.contains_key(&finding), "{kind:?}");
        }
    }
}
