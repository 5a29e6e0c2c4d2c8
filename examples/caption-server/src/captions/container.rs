//! The outside of picture files: which format the first bytes announce, how many frames the blocks
//! hold, and whether a JPEG has its end.
//!
//! Frames are counted by walking over the blocks and never by decoding them: a small file may hold
//! thousands of frames of a huge canvas, and drawing each one would be a gift to an attacker.

/// A picture format that the server accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Gif,
    Jpeg,
    Png,
    WebP,
}

impl Format {
    /// What the first bytes say. The file's name and the declared type are the sender's claim and
    /// are not looked at.
    pub(crate) fn sniff(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            return Some(Self::Png);
        }
        if bytes.starts_with(b"\xff\xd8\xff") {
            return Some(Self::Jpeg);
        }
        if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
            return Some(Self::Gif);
        }
        if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
            return Some(Self::WebP);
        }
        None
    }

    /// The format's name, for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gif => "GIF",
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
        }
    }

    /// How many frames the file holds: 1 for a still picture.
    pub(crate) fn frames(self, bytes: &[u8]) -> u32 {
        let mut found = 0;
        let rest = Blocks(bytes);
        // `None` means that the file ended inside a block; what was found until then stands.
        let _ = match self {
            Self::Gif => gif_frames(rest, &mut found),
            Self::Png => png_frames(rest, &mut found),
            Self::WebP => webp_frames(rest, &mut found),
            Self::Jpeg => None,
        };
        found.max(1)
    }
}

/// Whether a JPEG goes on to its end marker. The decoder fills what is missing with grey, and a
/// caption of that grey would be a lie.
pub(crate) fn jpeg_has_its_end(bytes: &[u8]) -> bool {
    jpeg_end(Blocks(bytes)).is_some()
}

fn jpeg_end(mut rest: Blocks<'_>) -> Option<()> {
    rest.skip(2)?;
    loop {
        // Inside the entropy-coded data 0xff is always followed by 0 or by a restart marker;
        // between segments, fill bytes of 0xff may stand before a marker.
        while rest.byte()? != 0xff {}
        let mut marker = rest.byte()?;
        while marker == 0xff {
            marker = rest.byte()?;
        }
        match marker {
            0xd9 => return Some(()),
            0x00 | 0x01 | 0xd0..=0xd8 => {}
            // A segment: its length counts its own two bytes. A thumbnail inside it may have an
            // end marker of its own, so the contents are stepped over.
            _ => {
                let length = u16::from_be_bytes([rest.byte()?, rest.byte()?]);
                rest.skip(usize::from(length).checked_sub(2)?)?;
            }
        }
    }
}

fn gif_frames(mut rest: Blocks<'_>, found: &mut u32) -> Option<()> {
    rest.skip(10)?;
    let packed = rest.byte()?;
    rest.skip(2)?;
    rest.skip_colour_table(packed)?;
    loop {
        match rest.byte()? {
            // An extension: a label, then data.
            0x21 => rest.skip(1)?,
            // An image: place and size, its own colours, the code size, then data.
            0x2c => {
                rest.skip(8)?;
                let packed = rest.byte()?;
                rest.skip_colour_table(packed)?;
                rest.skip(1)?;
                *found += 1;
            }
            _ => return Some(()),
        }
        loop {
            match rest.byte()? {
                0 => break,
                length => rest.skip(usize::from(length))?,
            }
        }
    }
}

fn png_frames(mut rest: Blocks<'_>, found: &mut u32) -> Option<()> {
    rest.skip(8)?;
    loop {
        let length = u32::from_be_bytes(rest.four()?);
        // Counting the frames' own headers, because the number in the animation's header may lie.
        if &rest.four()? == b"fcTL" {
            *found += 1;
        }
        rest.skip(usize::try_from(length).ok()?.checked_add(4)?)?;
    }
}

fn webp_frames(mut rest: Blocks<'_>, found: &mut u32) -> Option<()> {
    rest.skip(12)?;
    loop {
        if &rest.four()? == b"ANMF" {
            *found += 1;
        }
        let length = usize::try_from(u32::from_le_bytes(rest.four()?)).ok()?;
        rest.skip(length.checked_add(length % 2)?)?;
    }
}

/// What is left of a file.
struct Blocks<'a>(&'a [u8]);

impl Blocks<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn four(&mut self) -> Option<[u8; 4]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.0 = self.0.get(count..)?;
        Some(())
    }

    fn skip_colour_table(&mut self, packed: u8) -> Option<()> {
        if packed & 0x80 == 0 {
            return Some(());
        }
        self.skip(3 << ((packed & 0x07) + 1))
    }
}
