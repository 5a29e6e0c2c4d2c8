//! Pictures for tests, drawn here so that no file has to be trusted or kept.
#![allow(clippy::unwrap_used)]

use std::io::Cursor;

use image::{
    DynamicImage, Frame, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage,
    codecs::gif::{GifEncoder, Repeat},
};

pub(crate) const RED: Rgb<u8> = Rgb([255, 0, 0]);
pub(crate) const BLACK: Rgb<u8> = Rgb([0, 0, 0]);
pub(crate) const WHITE: Rgb<u8> = Rgb([255, 255, 255]);

/// One colour all over.
pub(crate) fn flat(width: u32, height: u32, colour: Rgb<u8>) -> DynamicImage {
    RgbImage::from_pixel(width, height, colour).into()
}

/// Two colours side by side.
pub(crate) fn split(width: u32, height: u32, left: Rgb<u8>, right: Rgb<u8>) -> DynamicImage {
    RgbImage::from_fn(width, height, |x, _| if x < width / 2 { left } else { right }).into()
}

/// Noise that is the same each time and compresses badly.
pub(crate) fn noise(width: u32, height: u32) -> DynamicImage {
    let mut state = 0x2545_f491_u32;
    RgbImage::from_fn(width, height, |_, _| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let [red, green, blue, _] = state.to_be_bytes();
        Rgb([red, green, blue])
    })
    .into()
}

/// The file of a picture.
pub(crate) fn file(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, format).unwrap();
    file.into_inner()
}

pub(crate) fn png(image: &DynamicImage) -> Vec<u8> {
    file(image, ImageFormat::Png)
}

pub(crate) fn jpeg(image: &DynamicImage) -> Vec<u8> {
    file(image, ImageFormat::Jpeg)
}

/// An animation that goes from red towards black.
pub(crate) fn animated_gif(width: u32, height: u32, frames: u8) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = GifEncoder::new(&mut file);
    encoder.set_repeat(Repeat::Infinite).unwrap();
    for number in 0..frames {
        let colour = Rgba([255 - number, 0, 0, 255]);
        encoder.encode_frame(Frame::new(RgbaImage::from_pixel(width, height, colour))).unwrap();
    }
    drop(encoder);
    file
}

/// A PNG file whose header claims other sides than its data has.
pub(crate) fn png_that_claims(width: u32, height: u32) -> Vec<u8> {
    let mut file = png(&flat(4, 4, RED));
    let claim = [width.to_be_bytes(), height.to_be_bytes()].concat();
    file.splice(16..24, claim);
    // The header's checksum has to fit the claim, or the lie is found out for the wrong reason.
    let sum = crc32(file.get(12..29).unwrap());
    file.splice(29..33, sum.to_be_bytes());
    file
}

/// A JPEG file with a note on which way up it is.
pub(crate) fn jpeg_turned(image: &DynamicImage, orientation: u8) -> Vec<u8> {
    let mut note = b"\xff\xe1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01".to_vec();
    note.extend(b"\x01\x12\0\x03\0\0\0\x01\0");
    note.extend([orientation, 0, 0, 0, 0, 0, 0]);
    let mut file = jpeg(image);
    file.splice(2..2, note);
    file
}

/// As PNG computes it: <https://www.w3.org/TR/png-3/#5CRC-algorithm>.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 }
        })
    })
}
