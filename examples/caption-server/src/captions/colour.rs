//! Names for colours.
//!
//! A pixel is named in Oklab (<https://bottosson.github.io/posts/oklab/>), where equal distances
//! look about equally different; in RGB or HSV, "dark" would mean another thing for yellow than
//! for blue.

/// A colour as the eye weighs it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tone {
    /// 0 is black, 1 is white.
    pub(crate) lightness: f32,
    /// 0 is grey; the most vivid colours of a screen are near 0.3.
    chroma: f32,
    /// Degrees: red is near 29, yellow near 110, green near 142, blue near 264.
    hue: f32,
}

impl Tone {
    pub(crate) fn of_rgb(rgb: [u8; 3]) -> Self {
        let [r, g, b] = rgb.map(linear);
        let long = (0.412_221_46 * r + 0.536_332_55 * g + 0.051_445_995 * b).cbrt();
        let medium = (0.211_903_5 * r + 0.680_699_5 * g + 0.107_396_96 * b).cbrt();
        let short = (0.088_302_46 * r + 0.281_718_85 * g + 0.629_978_7 * b).cbrt();
        let lightness = 0.210_454_26 * long + 0.793_617_8 * medium - 0.004_072_047 * short;
        let red = 1.977_998_5 * long - 2.428_592_2 * medium + 0.450_593_7 * short;
        let yellow = 0.025_904_037 * long + 0.782_771_77 * medium - 0.808_675_77 * short;
        Self {
            lightness,
            chroma: red.hypot(yellow),
            hue: yellow.atan2(red).to_degrees().rem_euclid(360.0),
        }
    }

    /// The family that most people would put this colour in.
    pub(crate) fn family(self) -> Family {
        let Self { lightness, chroma, hue } = self;
        if lightness < 0.2 {
            return Family::Black;
        }
        if chroma < 0.032 {
            return match lightness {
                ..0.27 => Family::Black,
                0.27..0.93 => Family::Grey,
                _ => Family::White,
            };
        }
        match hue {
            ..40.0 => self.reddish(),
            40.0..80.0 => self.tawny(),
            80.0..118.0 => self.yellowish(),
            118.0..170.0 => Family::Green,
            170.0..215.0 => Family::Turquoise,
            215.0..285.0 => Family::Blue,
            285.0..322.0 => Family::Purple,
            _ if lightness < 0.5 => Family::Purple,
            ..345.0 if chroma > 0.2 => Family::Magenta,
            _ => Family::Pink,
        }
    }

    fn reddish(self) -> Family {
        if self.lightness > 0.72 || (self.lightness > 0.62 && self.chroma < 0.1) {
            Family::Pink
        } else if self.chroma < 0.08 {
            Family::Brown
        } else {
            Family::Red
        }
    }

    fn tawny(self) -> Family {
        if self.lightness < 0.62 {
            Family::Brown
        } else if self.chroma < 0.11 {
            Family::Beige
        } else {
            Family::Orange
        }
    }

    fn yellowish(self) -> Family {
        if self.lightness < 0.65 {
            if self.hue < 100.0 { Family::Brown } else { Family::Green }
        } else if self.chroma < 0.08 {
            Family::Beige
        } else {
            Family::Yellow
        }
    }
}

/// The sRGB curve undone.
fn linear(channel: u8) -> f32 {
    let value = f32::from(channel) / 255.0;
    if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
}

/// A family of colours, called by one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    Black,
    Grey,
    White,
    Red,
    Orange,
    Brown,
    Beige,
    Yellow,
    Green,
    Turquoise,
    Blue,
    Purple,
    Magenta,
    Pink,
}

impl Family {
    pub(crate) const COUNT: usize = 14;

    fn word(self) -> &'static str {
        match self {
            Self::Black => "black",
            Self::Grey => "grey",
            Self::White => "white",
            Self::Red => "red",
            Self::Orange => "orange",
            Self::Brown => "brown",
            Self::Beige => "beige",
            Self::Yellow => "yellow",
            Self::Green => "green",
            Self::Turquoise => "turquoise",
            Self::Blue => "blue",
            Self::Purple => "purple",
            Self::Magenta => "magenta",
            Self::Pink => "pink",
        }
    }

    /// Below the first lightness a member of the family is called dark, above the second light.
    /// Pure blue is far darker than pure yellow, so each family has bounds of its own.
    fn bounds(self) -> (f32, f32) {
        match self {
            Self::Grey => (0.45, 0.75),
            Self::Red => (0.47, 2.0),
            Self::Brown => (0.37, 0.58),
            Self::Yellow => (0.72, 2.0),
            Self::Green => (0.46, 0.89),
            Self::Turquoise => (0.48, 0.92),
            Self::Blue => (0.34, 0.72),
            Self::Purple => (0.34, 0.72),
            Self::Magenta => (0.5, 0.8),
            Self::Black | Self::White | Self::Orange | Self::Beige | Self::Pink => (0.0, 2.0),
        }
    }

    /// The family's name for members of this lightness, such as "dark blue".
    pub(crate) fn shade(self, lightness: f32) -> String {
        let (dark, light) = self.bounds();
        let word = self.word();
        if lightness < dark {
            format!("dark {word}")
        } else if lightness > light {
            format!("light {word}")
        } else {
            word.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_colours_of_style_sheets_are_called_by_their_names() {
        for (name, rgb) in [
            ("black", [0, 0, 0]),
            ("black", [25, 25, 25]),
            ("dark grey", [70, 70, 70]),
            ("grey", [128, 128, 128]),
            ("light grey", [211, 211, 211]),
            ("white", [255, 255, 255]),
            ("red", [255, 0, 0]),
            ("red", [220, 20, 60]),
            ("dark red", [139, 0, 0]),
            ("orange", [255, 165, 0]),
            ("orange", [255, 127, 80]),
            ("yellow", [255, 255, 0]),
            ("yellow", [255, 215, 0]),
            ("green", [0, 255, 0]),
            ("green", [0, 128, 0]),
            ("dark green", [0, 80, 0]),
            ("turquoise", [64, 224, 208]),
            ("turquoise", [0, 139, 139]),
            ("blue", [0, 0, 255]),
            ("blue", [65, 105, 225]),
            ("dark blue", [0, 0, 128]),
            ("light blue", [135, 206, 235]),
            ("purple", [128, 0, 128]),
            ("dark purple", [75, 0, 130]),
            ("magenta", [255, 0, 255]),
            ("pink", [255, 192, 203]),
            ("pink", [255, 105, 180]),
            ("brown", [139, 69, 19]),
            ("beige", [210, 180, 140]),
            ("beige", [245, 245, 220]),
        ] {
            let tone = Tone::of_rgb(rgb);
            assert_eq!(tone.family().shade(tone.lightness), name, "{rgb:?} is {tone:?}");
        }
    }

    #[test]
    fn lightness_runs_from_black_to_white() {
        assert!(Tone::of_rgb([0, 0, 0]).lightness.abs() < 1e-4);
        assert!((Tone::of_rgb([255, 255, 255]).lightness - 1.0).abs() < 1e-4);
    }
}
