//! How captions are to be written: the user's settings, with their defaults and bounds.

use std::fmt;

use serde::Serialize;

/// The settings of one user. Every value is inside its bounds once [`Settings::checked`] let it
/// pass, so nothing that takes a `Settings` looks at bounds again.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Settings {
    /// How many posts one run looks at. Defaults to 50.
    pub(crate) max_posts_per_run: u16,
    /// No caption is longer, in characters. Defaults to 500.
    pub(crate) max_caption_length: u16,
    /// A caption shorter than this says too little. Defaults to 80.
    pub(crate) optimal_min_length: u16,
    /// A caption longer than this tires the listener. Defaults to 200.
    pub(crate) optimal_max_length: u16,
    /// Whether pictures that already have a caption get a new one. Defaults to off.
    pub(crate) reprocess_existing: bool,
    /// The pause between two pictures, in seconds. Defaults to 1.0.
    pub(crate) processing_delay: f32,
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
        let mut complaints = Vec::new();
        for (field, value, low, high) in [
            ("max_posts_per_run", self.max_posts_per_run, 1, 500),
            ("max_caption_length", self.max_caption_length, 50, 1000),
            ("optimal_min_length", self.optimal_min_length, 20, 200),
            ("optimal_max_length", self.optimal_max_length, 100, 500),
        ] {
            if !(low..=high).contains(&value) {
                complaints.push(format!("{field} is {value}, not within {low} to {high}"));
            }
        }
        // A range also refuses NaN, which a comparison turned the other way round would let pass.
        if !(0.0..=10.0).contains(&self.processing_delay) {
            complaints.push(format!(
                "processing_delay is {}, not within 0.0 to 10.0",
                self.processing_delay
            ));
        }
        if self.optimal_min_length >= self.optimal_max_length {
            complaints.push("optimal_min_length is not below optimal_max_length".to_owned());
        }
        if self.optimal_max_length > self.max_caption_length {
            complaints.push("optimal_max_length is above max_caption_length".to_owned());
        }
        if complaints.is_empty() { Ok(self) } else { Err(Rejected { complaints }) }
    }
}

/// Why settings were refused, one sentence for each value.
#[derive(Debug, PartialEq)]
pub(crate) struct Rejected {
    complaints: Vec<String>,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.complaints.join("; "))
    }
}

impl std::error::Error for Rejected {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

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
        let complaints = Settings {
            max_posts_per_run: 0,
            max_caption_length: 1001,
            optimal_min_length: 201,
            optimal_max_length: 99,
            reprocess_existing: true,
            processing_delay: f32::NAN,
        }
        .checked()
        .unwrap_err()
        .complaints;
        assert_eq!(complaints.len(), 6, "{complaints:?}");
    }

    #[test]
    fn an_optimum_above_the_maximum_is_refused() {
        let settings = Settings { max_caption_length: 150, ..Settings::default() };
        assert_eq!(
            settings.checked().unwrap_err().to_string(),
            "optimal_max_length is above max_caption_length"
        );
    }
}
