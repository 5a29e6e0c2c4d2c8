//! Captions: from a vision model over HTTP, or from measurements of the pixels.
//!
//! - [`container`], [`picture`]: uploaded files, checked and decoded within bounds
//! - [`describe`], [`measure`], [`colour`]: the built-in captioner
//! - [`ollama`]: the captioner that asks a vision model
//! - [`settings`]: how a user wants captions to be written
//! - [`tasks`]: the queue that works on caption tasks

use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;
use http::StatusCode;

use self::{picture::Picture, settings::Settings};

mod colour;
pub(crate) mod container;
mod describe;
mod measure;
mod ollama;
pub(crate) mod picture;
pub(crate) mod settings;
pub(crate) mod tasks;

pub(crate) use describe::Describer;
pub(crate) use ollama::Ollama;

/// Writes the alternative text of a picture.
pub(crate) trait Captioner: Send + Sync {
    /// One sentence for the page on where the captions come from.
    fn source(&self) -> String;

    /// A caption of at most `settings.max_caption_length` characters.
    fn caption<'a>(
        &'a self,
        picture: Arc<Picture>,
        settings: &'a Settings,
    ) -> BoxFuture<'a, Result<String, CaptionError>>;
}

/// Why there is no caption. `Display` is written for the person who waits for it; the log has the
/// cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CaptionError {
    /// The model's server did not accept the connection, or broke it off.
    Unreachable,
    /// The model did not answer in time.
    TimedOut,
    /// The model's server answered with an error.
    Refused(StatusCode),
    /// The answer was longer than any caption.
    Oversized,
    /// The answer was not understood, or held no text.
    Garbled,
    /// The picture could not be prepared here.
    Failed,
}

impl CaptionError {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unreachable | Self::Refused(_) | Self::Oversized | Self::Garbled => {
                StatusCode::BAD_GATEWAY
            }
        }
    }
}

impl fmt::Display for CaptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "The caption model cannot be reached. Please try again later.",
            Self::TimedOut => "The caption model took too long to respond. Please try again.",
            Self::Refused(_) => "The caption model rejected the picture. Please try again later.",
            Self::Oversized | Self::Garbled => {
                "The caption model returned a response that is not a caption. Please try again."
            }
            Self::Failed => "The picture could not be prepared for captioning.",
        })
    }
}

impl std::error::Error for CaptionError {}

/// The text on one line and at most `longest` characters long, cut between words if it must be.
fn fit(text: &str, longest: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= longest {
        return line;
    }
    // One character is kept for the ellipsis.
    let room: String = line.chars().take(longest.saturating_sub(1)).collect();
    let between_words = line.chars().nth(longest.saturating_sub(1)) == Some(' ');
    let kept = match room.rfind(' ') {
        Some(end) if !between_words => room.get(..end).unwrap_or(&room),
        _ => &room,
    };
    let kept = kept.trim_end_matches(|c: char| c == ' ' || c.is_ascii_punctuation());
    format!("{kept}\u{2026}")
}

#[cfg(test)]
mod tests {
    use super::fit;

    #[test]
    fn a_text_is_cut_between_words() {
        for (name, text, longest, expected) in [
            ("short enough", "A red barn.", 11, "A red barn."),
            ("in a word", "A red barn in snow", 13, "A red barn\u{2026}"),
            ("after a word", "A red barn in snow", 11, "A red barn\u{2026}"),
            ("no half punctuation", "A barn, red and old", 8, "A barn\u{2026}"),
            ("one long word", "Donaudampfschiff", 6, "Donau\u{2026}"),
            ("lines become one", " A\n red\t barn ", 50, "A red barn"),
            ("characters, not bytes", "äöü äöü äöü", 8, "äöü äöü\u{2026}"),
        ] {
            assert_eq!(fit(text, longest), expected, "{name}");
            assert!(fit(text, longest).chars().count() <= longest, "{name}");
        }
    }
}
