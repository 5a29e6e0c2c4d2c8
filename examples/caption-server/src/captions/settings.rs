//! How captions are to be written: a user's settings, with their defaults and bounds.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::web::form::Fields;

/// The settings of one user. Every value is inside its bounds once [`Settings::checked`] let it
/// pass, so nothing that takes a `Settings` looks at bounds again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// How many pictures one run takes, 1 to 500. Defaults to 50.
    pub(crate) max_posts_per_run: u16,
    /// No caption is longer, in characters, 50 to 1,000. Defaults to 500.
    pub(crate) max_caption_length: u16,
    /// A caption shorter than this says too little, 20 to 200. Defaults to 80.
    pub(crate) optimal_min_length: u16,
    /// A caption longer than this tires the listener, 100 to 500. Defaults to 200.
    pub(crate) optimal_max_length: u16,
    /// Whether pictures that already have a caption get a new one. Defaults to off.
    pub(crate) reprocess_existing: bool,
    /// The pause between two pictures, in seconds, 0.0 to 10.0. Defaults to 1.0.
    pub(crate) processing_delay: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_posts_per_run: 50,
            max_caption_length: 500,
            optimal_min_length: 80,
            optimal_max_length: 200,
            reprocess_existing: false,
            processing_delay: 1.0,
        }
    }
}

impl Settings {
    /// The settings, if every value is inside its bounds; otherwise every complaint, not only the
    /// first, so that a form can show them all at once.
    pub(crate) fn checked(self) -> Result<Self, Rejected> {
        let mut rejected = Rejected::default();
        for (field, value, low, high) in [
            ("max_posts_per_run", self.max_posts_per_run, 1, 500),
            ("max_caption_length", self.max_caption_length, 50, 1000),
            ("optimal_min_length", self.optimal_min_length, 20, 200),
            ("optimal_max_length", self.optimal_max_length, 100, 500),
        ] {
            if !(low..=high).contains(&value) {
                rejected.add(field, format!("must be from {low} to {high}"));
            }
        }
        // A range also refuses NaN, which a comparison turned the other way round would let pass.
        if !(0.0..=10.0).contains(&self.processing_delay) {
            rejected.add("processing_delay", "must be from 0.0 to 10.0");
        }
        if self.optimal_min_length >= self.optimal_max_length {
            rejected.add("optimal_min_length", "must be below the longest good length");
        }
        if self.optimal_max_length > self.max_caption_length {
            rejected.add("optimal_max_length", "must not be above the longest length");
        }
        rejected.or(self)
    }
}

/// Some of the settings, as somebody sent them: what is not named stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SettingsPatch(BTreeMap<&'static str, Value>);

const NUMBERS: [&str; 4] =
    ["max_posts_per_run", "max_caption_length", "optimal_min_length", "optimal_max_length"];
const SWITCH: &str = "reprocess_existing";
const DELAY: &str = "processing_delay";
/// Stands in the form beside the switch, since browsers do not send one that is off.
const SWITCH_SHOWN: &str = "reprocess_existing_shown";

impl SettingsPatch {
    /// From a form. What is no number is kept as the text that it is, and refused when it is
    /// applied.
    pub(crate) fn of_form(fields: &Fields) -> Self {
        let mut patch = Self::default();
        for name in NUMBERS.into_iter().chain([DELAY]) {
            if let Some(text) = fields.get(name) {
                patch.set(name, text.trim());
            }
        }
        match fields.get(SWITCH) {
            Some(text) => patch.set(SWITCH, text),
            None if fields.get(SWITCH_SHOWN).is_some() => {
                let _ = patch.0.insert(SWITCH, Value::Bool(false));
            }
            None => {}
        }
        patch
    }

    fn set(&mut self, name: &'static str, text: &str) {
        let value = match text {
            "on" | "true" if name == SWITCH => Value::Bool(true),
            "off" | "false" if name == SWITCH => Value::Bool(false),
            _ if name == SWITCH => Value::String(text.to_owned()),
            _ => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
        };
        let _ = self.0.insert(name, value);
    }

    /// From a JSON object. A name that is no setting is refused, since it is a misspelt one.
    pub(crate) fn of_json(json: &Value) -> Result<Self, Rejected> {
        let Some(object) = json.as_object() else {
            return Err(Rejected::one("body", "must be a JSON object"));
        };
        let (mut patch, mut rejected) = (Self::default(), Rejected::default());
        for (name, value) in object {
            match NUMBERS.into_iter().chain([DELAY, SWITCH]).find(|known| known == name) {
                Some(known) => drop(patch.0.insert(known, value.clone())),
                None => rejected.add(name, "is no setting"),
            }
        }
        rejected.or(patch)
    }

    /// What a form shows again: what was sent, and `settings` for the rest.
    pub(crate) fn over(&self, settings: &Settings) -> Value {
        let mut shown = serde_json::to_value(settings).unwrap_or_default();
        if let Some(shown) = shown.as_object_mut() {
            shown.extend(self.0.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        }
        shown
    }

    /// What becomes of `settings`, if all of it is inside its bounds.
    pub(crate) fn applied_to(&self, mut settings: Settings) -> Result<Settings, Rejected> {
        let mut rejected = Rejected::default();
        for (name, value) in &self.0 {
            match (*name, value.as_u64().and_then(|number| u16::try_from(number).ok()), value) {
                (SWITCH, _, Value::Bool(on)) => settings.reprocess_existing = *on,
                (SWITCH, ..) => rejected.add(name, "must be true or false"),
                (DELAY, _, value) => match value.as_f64() {
                    Some(delay) => settings.processing_delay = delay,
                    None => rejected.add(name, "must be a number"),
                },
                ("max_posts_per_run", Some(number), _) => settings.max_posts_per_run = number,
                ("max_caption_length", Some(number), _) => settings.max_caption_length = number,
                ("optimal_min_length", Some(number), _) => settings.optimal_min_length = number,
                ("optimal_max_length", Some(number), _) => settings.optimal_max_length = number,
                _ => rejected.add(name, "must be a whole number"),
            }
        }
        match settings.checked() {
            Ok(settings) => rejected.or(settings),
            Err(more) => Err(rejected.and(more)),
        }
    }
}

/// Why something was refused: a sentence for each field, by its name.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub(crate) struct Rejected(pub(crate) BTreeMap<String, String>);

impl Rejected {
    pub(crate) fn one(field: &str, sentence: &str) -> Self {
        let mut rejected = Self::default();
        rejected.add(field, sentence);
        rejected
    }

    /// The first complaint about a field stands.
    pub(crate) fn add(&mut self, field: &str, sentence: impl Into<String>) {
        let _ = self.0.entry(field.to_owned()).or_insert_with(|| sentence.into());
    }

    /// `value`, if there is nothing to complain about.
    pub(crate) fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }

    pub(crate) fn and(mut self, more: Self) -> Self {
        for (field, sentence) in more.0 {
            self.add(&field, sentence);
        }
        self
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (field, sentence)) in self.0.iter().enumerate() {
            let gap = if at == 0 { "" } else { "; " };
            write!(f, "{gap}{field} {sentence}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Rejected {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn the_defaults_are_within_their_own_bounds() {
        assert_eq!(Settings::default().checked().unwrap(), Settings::default());
    }

    #[test]
    fn the_outermost_values_are_accepted() {
        let least = Settings {
            max_posts_per_run: 1,
            max_caption_length: 100,
            optimal_min_length: 20,
            optimal_max_length: 100,
            processing_delay: 0.0,
            ..Settings::default()
        };
        let most = Settings {
            max_posts_per_run: 500,
            max_caption_length: 1000,
            optimal_min_length: 200,
            optimal_max_length: 500,
            processing_delay: 10.0,
            ..Settings::default()
        };
        assert!(least.checked().is_ok());
        assert!(most.checked().is_ok());
    }

    #[test]
    fn every_fault_is_named() {
        let rejected = Settings {
            max_posts_per_run: 0,
            max_caption_length: 1001,
            optimal_min_length: 201,
            optimal_max_length: 99,
            reprocess_existing: true,
            processing_delay: f64::NAN,
        };
        assert_eq!(rejected.checked().unwrap_err().0.len(), 5);
    }

    #[test]
    fn a_patch_changes_what_it_names() {
        for (name, patch, expected) in [
            ("nothing", json!({}), Ok(Settings::default())),
            (
                "one",
                json!({ "processing_delay": 0 }),
                Ok(Settings { processing_delay: 0.0, ..Settings::default() }),
            ),
            (
                "the switch",
                json!({ "reprocess_existing": true }),
                Ok(Settings { reprocess_existing: true, ..Settings::default() }),
            ),
            ("a text", json!({ "max_caption_length": "100" }), Err("max_caption_length")),
            ("half", json!({ "max_posts_per_run": 1.5 }), Err("max_posts_per_run")),
            ("negative", json!({ "max_posts_per_run": -1 }), Err("max_posts_per_run")),
            ("too much", json!({ "max_posts_per_run": 70_000 }), Err("max_posts_per_run")),
            ("no switch", json!({ "reprocess_existing": 1 }), Err("reprocess_existing")),
            ("misspelt", json!({ "max_caption_lenght": 100 }), Err("max_caption_lenght")),
            ("no object", json!([1]), Err("body")),
            ("the order", json!({ "optimal_min_length": 200 }), Err("optimal_min_length")),
            ("above all", json!({ "max_caption_length": 150 }), Err("optimal_max_length")),
        ] {
            let patched = SettingsPatch::of_json(&patch)
                .and_then(|patch| patch.applied_to(Settings::default()));
            match expected {
                Ok(settings) => assert_eq!(patched.unwrap(), settings, "{name}"),
                Err(field) => {
                    let rejected = patched.unwrap_err();
                    assert_eq!(rejected.0.keys().collect::<Vec<_>>(), [field], "{name}");
                }
            }
        }
    }

    #[test]
    fn a_form_says_the_same() {
        let patch = |form: &str| {
            SettingsPatch::of_form(&Fields::of_query(Some(form)))
                .applied_to(Settings { reprocess_existing: true, ..Settings::default() })
        };
        assert!(patch("").unwrap().reprocess_existing);
        assert!(!patch("reprocess_existing_shown=1").unwrap().reprocess_existing);
        assert!(
            patch("reprocess_existing_shown=1&reprocess_existing=on").unwrap().reprocess_existing
        );
        assert_eq!(patch("processing_delay=0.0").unwrap().processing_delay, 0.0);
        assert_eq!(patch("max_posts_per_run=+7+").unwrap().max_posts_per_run, 7);
        for (form, field) in [
            ("processing_delay=soon", "processing_delay"),
            ("processing_delay=", "processing_delay"),
            ("processing_delay=1e999", "processing_delay"),
            ("max_posts_per_run=many", "max_posts_per_run"),
            ("max_posts_per_run=%22", "max_posts_per_run"),
            ("reprocess_existing=perhaps", "reprocess_existing"),
        ] {
            let rejected = patch(form).unwrap_err();
            assert_eq!(rejected.0.keys().collect::<Vec<_>>(), [field], "{form}");
        }
    }
}
