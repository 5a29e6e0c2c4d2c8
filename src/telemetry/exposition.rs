//! Text format of Prometheus, version 0.0.4: families of samples, of one layer or of several.

use std::fmt::{Display, Write as _};

use crate::telemetry::health::{BackendHealth, CacheHealth, Health};

/// What is known about one layer.
pub(super) struct Layer<'a> {
    /// Value of the label `layer`, if it has one.
    pub(super) name: Option<String>,
    pub(super) status: &'a Health,
    pub(super) counts: &'a [(&'static str, u64)],
}

/// One sample of a layer: a label of its own, if it has one, and a value.
type Sample = (Option<(&'static str, &'static str)>, String);

/// Families, each with its help and type once, whatever the number of layers.
pub(super) fn exposition(layers: &[Layer<'_>]) -> String {
    let mut text = Text { layers, text: String::new() };
    text.family(
        "session_events_total",
        "counter",
        "Events in the lives of sessions and stores since the start of the process.",
        |layer| {
            let event = |(name, count): &(&'static str, u64)| sample("event", name, count);
            layer.counts.iter().map(event).collect()
        },
    );
    text.family("session_ready", "gauge", "Whether requests are served at all.", |layer| {
        vec![(None, flag(layer.status.is_ready()))]
    });
    text.stores();
    text.copies();
    text.text
}

struct Text<'a> {
    layers: &'a [Layer<'a>],
    text: String,
}

impl Text<'_> {
    fn stores(&mut self) {
        self.of_stores("session_store_up", "Whether requests reach the store.", |store| {
            Some(flag(store.answers && store.unavailable_for.is_none()))
        });
        self.of_stores(
            "session_store_accepts_writes",
            "Whether the store accepts writes: 0 while it is full, read-only or lacks a right.",
            |store| Some(flag(!store.rejects_writes)),
        );
        self.of_stores("session_store_connections", "Open connections to the store.", |store| {
            Some(store.connections.to_string())
        });
        self.of_stores(
            "session_store_connections_max",
            "Maximum number of connections to the store.",
            |store| Some(store.pool_size.to_string()),
        );
        self.of_stores(
            "session_store_clock_offset_seconds",
            "How far the store's clock is ahead of this process' own, where it was measured.",
            |store| Some((Millis(store.clock_ahead?)).to_string()),
        );
    }

    fn copies(&mut self) {
        self.of_copies(
            "session_copies_trusted",
            "Whether the copies in Redis are read at all.",
            |copies| flag(copies.trusted),
        );
        self.of_copies(
            "session_copies_bypassed",
            "Sessions that are read from the database, since Redis may have missed a change.",
            |copies| copies.bypassed.to_string(),
        );
        self.of_copies(
            "session_copies_pending",
            "Changes that Redis has not confirmed, at the last poll of the database.",
            |copies| copies.pending.to_string(),
        );
    }

    fn of_stores(
        &mut self,
        name: &str,
        help: &str,
        value: impl Fn(&BackendHealth) -> Option<String>,
    ) {
        self.family(name, "gauge", help, |layer| {
            let Health { redis, database, .. } = layer.status;
            let stores = [("redis", redis), ("database", database)];
            let one = |(name, store): (&'static str, &Option<BackendHealth>)| {
                Some(sample("store", name, value(store.as_ref()?)?))
            };
            stores.into_iter().filter_map(one).collect()
        });
    }

    fn of_copies(&mut self, name: &str, help: &str, value: impl Fn(&CacheHealth) -> String) {
        self.family(name, "gauge", help, |layer| {
            layer.status.copies.iter().map(|copies| (None, value(copies))).collect()
        });
    }

    /// The samples of all layers, if there are any. Writing to a string cannot fail.
    fn family(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        samples: impl Fn(&Layer<'_>) -> Vec<Sample>,
    ) {
        let mut introduced = false;
        for layer in self.layers {
            for (label, value) in samples(layer) {
                if !std::mem::replace(&mut introduced, true) {
                    let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
                }
                let layer = layer.name.as_deref().map(|layer| ("layer", layer));
                let _ = writeln!(self.text, "{name}{} {value}", labels([layer, label]));
            }
        }
    }
}

fn sample(label: &'static str, of: &'static str, value: impl Display) -> Sample {
    (Some((label, of)), value.to_string())
}

fn flag(is: bool) -> String {
    u8::from(is).to_string()
}

fn labels(labels: [Option<(&str, &str)>; 2]) -> String {
    let each = labels.into_iter().flatten();
    let each: Vec<_> = each.map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    if each.is_empty() { String::new() } else { format!("{{{}}}", each.join(",")) }
}

/// A label's value: in the format backslash, quote and line feed have to be escaped.
fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

/// Milliseconds, as seconds.
struct Millis(i64);

impl Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (sign, millis) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        write!(f, "{sign}{}.{:03}", millis / 1_000, millis % 1_000)
    }
}

#[cfg(test)]
mod tests {
    use crate::telemetry::exposition::*;

    #[test]
    fn a_label_is_escaped() {
        let name = Some(("layer", "a\"b\\c\nd"));
        assert_eq!(
            labels([name, Some(("store", "redis"))]),
            r#"{layer="a\"b\\c\nd",store="redis"}"#
        );
        assert_eq!(labels([None, None]), "");
    }

    #[test]
    fn a_clock_behind_is_negative() {
        for (millis, text) in [(-1_500, "-1.500"), (-7, "-0.007"), (0, "0.000"), (2_001, "2.001")] {
            assert_eq!(Millis(millis).to_string(), text);
        }
    }
}
