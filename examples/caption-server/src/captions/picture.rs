//! An uploaded picture, decoded within bounds.

use std::{fmt, io::Cursor};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Rgb, RgbImage,
    codecs::jpeg::JpegEncoder,
};

use tokio::sync::OwnedSemaphorePermit;

use crate::captions::container::{self, Format};

/// Forty megapixels: more than most cameras give, and 320 MB at worst once decoded.
const MAX_PIXELS: u64 = 40_000_000;
/// The longest side. JPEG ends at 65,535 as well.
const MAX_SIDE: u32 = 65_535;
/// Eight bytes a pixel, and room for the decoder's own rows.
const MAX_ALLOCATION: u64 = MAX_PIXELS * 8 + 64 * 1024 * 1024;

/// A picture whose pixels could be read, upright.
#[derive(Debug)]
pub(crate) struct Picture {
    image: DynamicImage,
    format: Format,
    frames: u32,
    /// Goes back when the last one who works on the picture lets go of it.
    _place: Option<OwnedSemaphorePermit>,
}

impl Picture {
    /// Decodes a file: the first frame, if it moves. Takes long enough for a large one that it
    /// belongs on a thread where blocking is allowed.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, PictureError> {
        let format = Format::sniff(bytes).ok_or(PictureError::Unrecognised)?;
        if format == Format::Jpeg && !container::jpeg_has_its_end(bytes) {
            return Err(PictureError::Damaged(format));
        }
        let image = pixels(bytes, format).map_err(|error| match error {
            ImageError::Limits(_) => PictureError::TooManyPixels,
            _ => PictureError::Damaged(format),
        })?;
        Ok(Self { image, format, frames: format.frames(bytes), _place: None })
    }

    /// The same picture, which takes one of the places that there are for pictures in memory.
    pub(crate) fn in_place(self, place: OwnedSemaphorePermit) -> Self {
        Self { _place: Some(place), ..self }
    }

    pub(crate) fn image(&self) -> &DynamicImage {
        &self.image
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// 1 for a still picture.
    pub(crate) fn frames(&self) -> u32 {
        self.frames
    }

    /// A small copy as a `data:` address, so that the page can show the picture although the
    /// server keeps none.
    pub(crate) fn thumbnail(&self) -> Result<String, ImageError> {
        Ok(format!("data:image/jpeg;base64,{}", BASE64.encode(self.jpeg(480)?)))
    }

    /// A JPEG whose sides are at most `side` long, on white where the picture is transparent.
    pub(crate) fn jpeg(&self, side: u32) -> Result<Vec<u8>, ImageError> {
        let larger = self.image.width() > side || self.image.height() > side;
        let scaled = larger.then(|| self.image.thumbnail(side, side));
        let flat = on_white(scaled.as_ref().unwrap_or(&self.image));
        let mut file = Vec::new();
        flat.write_with_encoder(JpegEncoder::new_with_quality(&mut file, 82))?;
        Ok(file)
    }
}

fn pixels(bytes: &[u8], format: Format) -> Result<DynamicImage, ImageError> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_ALLOCATION);
    let mut reader = ImageReader::with_format(
        Cursor::new(bytes),
        match format {
            Format::Gif => ImageFormat::Gif,
            Format::Jpeg => ImageFormat::Jpeg,
            Format::Png => ImageFormat::Png,
            Format::WebP => ImageFormat::WebP,
        },
    );
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    // Before the first pixel is decoded: a file of a few kilobytes can promise any size.
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(ImageError::Limits(image::error::LimitError::from_kind(
            image::error::LimitErrorKind::DimensionError,
        )));
    }
    // Telephones store the picture as the sensor lay, and how to turn it as a note beside it.
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    Ok(image)
}

fn on_white(image: &DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.to_rgb8();
    }
    let seen = image.to_rgba8();
    let mut flat = RgbImage::new(seen.width(), seen.height());
    for (to, from) in flat.pixels_mut().zip(seen.pixels()) {
        let [red, green, blue, alpha] = from.0.map(u16::from);
        let over_white = |channel: u16| {
            u8::try_from((channel * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX)
        };
        *to = Rgb([red, green, blue].map(over_white));
    }
    flat
}

/// Why a file is not a picture for us. `Display` is written for the person who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PictureError {
    Unrecognised,
    TooManyPixels,
    Damaged(Format),
}

impl fmt::Display for PictureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unrecognised => f.write_str("This file is not a PNG, JPEG, WebP or GIF picture."),
            Self::TooManyPixels => write!(
                f,
                "This picture has too many pixels: the limit is {} megapixels.",
                MAX_PIXELS / 1_000_000
            ),
            Self::Damaged(format) => write!(
                f,
                "This file starts like a {} picture but is damaged or incomplete.",
                format.name()
            ),
        }
    }
}

impl std::error::Error for PictureError {}

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
