//! The built-in captioner: says in one sentence what can be measured in the pixels, and nothing
//! that cannot.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::task::spawn_blocking;

use crate::captions::{
    CaptionError, Captioner, measure::Measure, picture::Picture, settings::Settings,
};

/// Needs no model and no network.
#[derive(Debug)]
pub(crate) struct Describer;

impl Captioner for Describer {
    fn source(&self) -> String {
        "Measured from the pixels; no model was asked.".to_owned()
    }

    fn caption<'a>(
        &'a self,
        picture: Arc<Picture>,
        settings: &'a Settings,
    ) -> BoxFuture<'a, Result<String, CaptionError>> {
        Box::pin(async move {
            let measure = move || (Measure::of(picture.image()), picture.frames());
            let (measure, frames) =
                spawn_blocking(measure).await.map_err(|_| CaptionError::Failed)?;
            Ok(sentence(&measure, frames, settings))
        })
    }
}

/// The fullest sentence that stays within the settings' lengths.
pub(crate) fn sentence(measure: &Measure, frames: u32, settings: &Settings) -> String {
    let goal = usize::from(settings.optimal_max_length.min(settings.max_caption_length));
    let facts = Facts::of(measure, frames);
    let mut kept = Vec::new();
    for detail in Detail::BY_WORTH {
        kept.push(detail);
        if facts.sentence(&kept).chars().count() > goal {
            kept.pop();
        }
    }
    facts.sentence(&kept)
}

/// What may be left out when the sentence gets long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Detail {
    MainColour,
    Size,
    Frames,
    Transparency,
    Halves,
    AllColours,
    Light,
    Aspect,
}

impl Detail {
    /// What matters most to somebody who cannot see the picture comes first.
    const BY_WORTH: [Self; 8] = [
        Self::MainColour,
        Self::Size,
        Self::Frames,
        Self::Transparency,
        Self::Halves,
        Self::AllColours,
        Self::Light,
        Self::Aspect,
    ];
}

/// The pieces of the sentence; an empty one has nothing to say.
#[derive(Debug)]
struct Facts {
    start: String,
    size: String,
    aspect: String,
    frames: String,
    main_colour: String,
    all_colours: String,
    halves: String,
    light: String,
    transparency: String,
}

impl Facts {
    fn of(measure: &Measure, frames: u32) -> Self {
        let (width, height) = (measure.width, measure.height);
        let unit = if (width, height) == (1, 1) { "pixel" } else { "pixels" };
        let moves = frames > 1;
        Self {
            start: start(width, height, moves),
            size: format!(" of {width} by {height} {unit}"),
            aspect: aspect(width, height).map(|ratio| format!(" ({ratio})")).unwrap_or_default(),
            frames: if moves { format!(" in {frames} frames") } else { String::new() },
            main_colour: main_colour(measure),
            all_colours: all_colours(measure),
            halves: halves(measure).unwrap_or_default(),
            light: light(measure),
            transparency: transparency(measure),
        }
    }

    fn sentence(&self, kept: &[Detail]) -> String {
        let has = |detail| kept.contains(&detail);
        let mut sentence = self.start.clone();
        for (wanted, piece) in [
            (has(Detail::Size), &self.size),
            (has(Detail::Size) && has(Detail::Aspect), &self.aspect),
            (has(Detail::Frames), &self.frames),
        ] {
            if wanted {
                sentence.push_str(piece);
            }
        }
        for (wanted, piece) in [
            (has(Detail::MainColour) && !has(Detail::AllColours), &self.main_colour),
            (has(Detail::AllColours), &self.all_colours),
            (has(Detail::Halves), &self.halves),
            (has(Detail::Light), &self.light),
            (has(Detail::Transparency), &self.transparency),
        ] {
            if wanted && !piece.is_empty() {
                sentence.push_str(", ");
                sentence.push_str(piece);
            }
        }
        sentence.push('.');
        sentence
    }
}

fn start(width: u32, height: u32, moves: bool) -> String {
    let ratio = f64::from(width) / f64::from(height);
    let shape = if width == height {
        "square"
    } else if ratio >= 2.2 {
        "panoramic"
    } else if ratio <= 1.0 / 2.2 {
        "tall, narrow"
    } else if width > height {
        "landscape"
    } else {
        "portrait"
    };
    if moves { format!("An animated {shape} picture") } else { format!("A {shape} picture") }
}

/// The ratio of the sides as people name it, or with one decimal; a square needs none.
fn aspect(width: u32, height: u32) -> Option<String> {
    if width == height {
        return None;
    }
    let (long, short) = (width.max(height), width.min(height));
    let ratio = f64::from(long) / f64::from(short);
    let in_order = |long: String, short: &str| {
        if width > height { format!("{long}:{short}") } else { format!("{short}:{long}") }
    };
    for (a, b) in [(5, 4), (4, 3), (3, 2), (16, 10), (16, 9), (2, 1), (21, 9), (3, 1), (4, 1)] {
        let name = in_order(a.to_string(), &b.to_string());
        if u64::from(long) * b == u64::from(short) * a {
            return Some(name);
        }
        if (ratio / (a as f64 / b as f64) - 1.0).abs() < 0.01 {
            return Some(format!("about {name}"));
        }
    }
    Some(format!("about {}", in_order(format!("{ratio:.1}"), "1")))
}

/// Shares below this are specks that a caption need not mention.
const WORTH_NAMING: f32 = 0.05;

fn main_colour(measure: &Measure) -> String {
    match measure.whole.colours().as_slice() {
        [] => "with nothing opaque in it".to_owned(),
        [(name, share), ..] if *share > 0.999 => format!("entirely {name}"),
        [(name, share), ..] if *share > 0.97 => format!("almost entirely {name}"),
        [(name, share), ..] if *share >= 0.5 => format!("mostly {name}"),
        [(name, _), ..] => format!("with {name} as the most common of many colours"),
    }
}

fn all_colours(measure: &Measure) -> String {
    let colours = measure.whole.colours();
    let named: Vec<String> = colours
        .iter()
        .filter(|(_, share)| *share >= WORTH_NAMING)
        .take(3)
        .map(|(name, share)| format!("{name} ({:.0}%)", share * 100.0))
        .collect();
    match (colours.as_slice(), named.as_slice()) {
        ([(_, share), ..], [main, others @ ..]) if *share >= 0.5 && !others.is_empty() => {
            format!("mostly {main} with {}", listed(others))
        }
        ([(_, share), ..], [_, _, ..]) if *share < 0.5 => format!("mainly {}", listed(&named)),
        _ => main_colour(measure),
    }
}

fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Where the colours lie, when each half has a clear colour of its own.
fn halves(measure: &Measure) -> Option<String> {
    let pair = |a, b| {
        let ((one, share), (other, other_share)) = (clear_colour(a)?, clear_colour(b)?);
        (one != other).then_some((share.min(other_share), one, other))
    };
    let across = pair(&measure.left, &measure.right);
    let down = pair(&measure.top, &measure.bottom);
    let clearness = |pair: &Option<(f32, String, String)>| pair.as_ref().map_or(0.0, |p| p.0);
    if clearness(&across) >= clearness(&down) {
        across.map(|(_, left, right)| format!("{left} on the left and {right} on the right"))
    } else {
        down.map(|(_, top, bottom)| format!("{top} at the top and {bottom} at the bottom"))
    }
}

fn clear_colour(part: &crate::captions::measure::Tally) -> Option<(String, f32)> {
    part.colours().into_iter().next().filter(|(_, share)| *share >= 0.6)
}

fn light(measure: &Measure) -> String {
    if measure.whole.is_empty() {
        return String::new();
    }
    let brightness = match measure.whole.brightness() {
        ..0.25 => "very dark",
        0.25..0.45 => "dark",
        0.45..0.65 => "of medium brightness",
        0.65..0.85 => "bright",
        _ => "very bright",
    };
    let contrast = match measure.whole.contrast() {
        ..0.01 => "without contrast",
        0.01..0.08 => "with little contrast",
        0.08..0.2 => "with moderate contrast",
        _ => "with strong contrast",
    };
    format!("{brightness} and {contrast}")
}

fn transparency(measure: &Measure) -> String {
    match measure.transparency {
        ..0.0005 => String::new(),
        0.0005..0.01 => "with a trace of transparency".to_owned(),
        0.01..0.9995 => format!("{:.0}% transparent", (measure.transparency * 100.0).min(99.0)),
        _ => "transparent all over, so that whatever lies behind it shows through".to_owned(),
    }
}

#[cfg(test)]
mod tests;
