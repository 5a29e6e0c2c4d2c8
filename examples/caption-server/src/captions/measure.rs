//! What can be measured in a picture without knowing what it shows.

use image::{DynamicImage, GenericImageView};

use crate::captions::colour::{Family, Tone};

/// Enough samples for shares in whole per cent, few enough for a picture of any size.
const SAMPLES: u64 = 250_000;

/// The measurements of one picture.
#[derive(Debug)]
pub(crate) struct Measure {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// What is seen, each pixel weighed by how opaque it is.
    pub(crate) whole: Tally,
    pub(crate) left: Tally,
    pub(crate) right: Tally,
    pub(crate) top: Tally,
    pub(crate) bottom: Tally,
    /// The share of the area that shows what is behind: 0 to 1.
    pub(crate) transparency: f32,
}

impl Measure {
    pub(crate) fn of(image: &DynamicImage) -> Self {
        let (width, height) = image.dimensions();
        let mut measure = Self {
            width,
            height,
            whole: Tally::default(),
            left: Tally::default(),
            right: Tally::default(),
            top: Tally::default(),
            bottom: Tally::default(),
            transparency: 0.0,
        };
        let step = (u64::from(width) * u64::from(height)).div_ceil(SAMPLES).isqrt().max(1);
        let step = usize::try_from(step).unwrap_or(usize::MAX);
        let mut samples = 0.0;
        let mut opaque = 0.0;
        for y in places(height, step) {
            for x in places(width, step) {
                let [red, green, blue, alpha] = image.get_pixel(x, y).0;
                let weight = f64::from(alpha) / 255.0;
                samples += 1.0;
                opaque += weight;
                if weight > 0.0 {
                    measure.add(x, y, Tone::of_rgb([red, green, blue]), weight);
                }
            }
        }
        measure.transparency = (1.0 - opaque / f64::max(samples, 1.0)) as f32;
        measure
    }

    fn add(&mut self, x: u32, y: u32, tone: Tone, weight: f64) {
        let family = tone.family();
        self.whole.add(family, tone.lightness, weight);
        let side = if x < self.width / 2 { &mut self.left } else { &mut self.right };
        side.add(family, tone.lightness, weight);
        let side = if y < self.height / 2 { &mut self.top } else { &mut self.bottom };
        side.add(family, tone.lightness, weight);
    }
}

/// Starts half a step in, so that the edges do not count more than the middle; a side shorter than
/// that is looked at in its middle.
fn places(side: u32, step: usize) -> impl Iterator<Item = u32> {
    let middle = usize::try_from(side / 2).unwrap_or(usize::MAX);
    (0..side).skip(middle.min(step / 2)).step_by(step)
}

/// The colours of one part of a picture.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    families: [Share; Family::COUNT],
    weight: f64,
    light: f64,
    light_squared: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Share {
    family: Option<Family>,
    weight: f64,
    light: f64,
}

impl Tally {
    fn add(&mut self, family: Family, lightness: f32, weight: f64) {
        let light = f64::from(lightness);
        self.weight += weight;
        self.light += light * weight;
        self.light_squared += light * light * weight;
        if let Some(share) = self.families.get_mut(family as usize) {
            share.family = Some(family);
            share.weight += weight;
            share.light += light * weight;
        }
    }

    /// Whether anything can be seen here.
    pub(crate) fn is_empty(&self) -> bool {
        self.weight <= 0.0
    }

    /// Names and shares (0 to 1) of the colours, the largest first.
    pub(crate) fn colours(&self) -> Vec<(String, f32)> {
        let mut shares = self.families;
        shares.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        let named = |share: &Share| {
            let lightness = (share.light / share.weight) as f32;
            Some((share.family?.shade(lightness), (share.weight / self.weight) as f32))
        };
        shares.iter().filter_map(named).collect()
    }

    /// The mean lightness, 0 to 1.
    pub(crate) fn brightness(&self) -> f32 {
        (self.light / self.weight) as f32
    }

    /// The standard deviation of the lightness: 0 for one flat colour, 0.5 for half black and half
    /// white.
    pub(crate) fn contrast(&self) -> f32 {
        let mean = self.light / self.weight;
        // Rounding may push the variance of a flat picture just below zero.
        (self.light_squared / self.weight - mean * mean).max(0.0).sqrt() as f32
    }
}
