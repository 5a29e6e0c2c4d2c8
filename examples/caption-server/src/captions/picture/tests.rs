//! Tests of decoding, and of the files that try to get round it.
#![allow(clippy::unwrap_used)]

use image::{GenericImageView as _, ImageFormat, RgbaImage};

use super::{samples::*, *};

fn refusal(bytes: &[u8]) -> PictureError {
    Picture::decode(bytes).unwrap_err()
}

#[test]
fn the_four_formats_are_decoded() {
    let drawn = split(40, 30, BLACK, WHITE);
    for (wanted, format) in [
        (Format::Png, ImageFormat::Png),
        (Format::Jpeg, ImageFormat::Jpeg),
        (Format::Gif, ImageFormat::Gif),
        (Format::WebP, ImageFormat::WebP),
    ] {
        let picture = Picture::decode(&file(&drawn, format)).unwrap();
        assert_eq!(picture.format(), wanted);
        assert_eq!(picture.image().dimensions(), (40, 30), "{wanted:?}");
        assert_eq!(picture.frames(), 1, "{wanted:?}");
    }
}

#[test]
fn what_is_not_one_of_them_is_not_recognised() {
    let mut half_riff = b"RIFF\x10\0\0\0WAVEfmt ".to_vec();
    half_riff.resize(64, 0);
    for (name, bytes) in [
        ("nothing", &b""[..]),
        ("one byte", b"\x89"),
        ("text", b"just a text that was renamed to picture.png"),
        ("SVG", b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>"),
        ("HTML", b"<!doctype html><script>alert(1)</script>"),
        ("BMP", b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"),
        ("a sound in the same container as WebP", &half_riff),
    ] {
        assert_eq!(refusal(bytes), PictureError::Unrecognised, "{name}");
    }
}

#[test]
fn a_file_that_ends_early_is_damaged() {
    let drawn = noise(64, 64);
    for (wanted, format) in [
        (Format::Png, ImageFormat::Png),
        (Format::Jpeg, ImageFormat::Jpeg),
        (Format::Gif, ImageFormat::Gif),
        (Format::WebP, ImageFormat::WebP),
    ] {
        let whole = file(&drawn, format);
        for share in [2, 3, 20, 50, 90] {
            let cut = whole.get(..whole.len() * share / 100).unwrap();
            let found = Picture::decode(cut).map(|_| ()).unwrap_err();
            let early = [PictureError::Damaged(wanted), PictureError::Unrecognised];
            assert!(early.contains(&found), "{share}% of a {wanted:?}: {found:?}");
        }
    }
}

#[test]
fn the_first_bytes_of_a_format_alone_are_a_damaged_file() {
    for (name, bytes) in [
        ("PNG", &b"\x89PNG\r\n\x1a\n and then a poem"[..]),
        ("JPEG", b"\xff\xd8\xff\xe0 and then a poem"),
        ("GIF", b"GIF89a\x04\0\x04\0\0\0\0 and then a poem"),
        ("WebP", b"RIFF\xff\xff\xff\xffWEBPVP8 and then a poem"),
    ] {
        assert!(matches!(refusal(bytes), PictureError::Damaged(_)), "{name}");
    }
}

#[test]
fn a_small_file_that_claims_a_huge_picture_is_refused_before_it_is_decoded() {
    for (width, height) in [(40_000, 40_000), (8_000, 5_001), (65_536, 1), (u32::MAX / 2, 1)] {
        let found = refusal(&png_that_claims(width, height));
        assert_eq!(found, PictureError::TooManyPixels, "{width} by {height}");
    }
    // Forty megapixels are within the limit; the data is not there, though.
    assert_eq!(refusal(&png_that_claims(8_000, 5_000)), PictureError::Damaged(Format::Png));
}

#[test]
fn a_photograph_is_turned_the_way_it_was_taken() {
    let lying = split(32, 16, BLACK, WHITE);
    let upright = Picture::decode(&jpeg_turned(&lying, 6)).unwrap();
    assert_eq!(upright.image().dimensions(), (16, 32));
    assert!(upright.image().get_pixel(8, 2).0.iter().take(3).all(|channel| *channel < 60));
    assert!(upright.image().get_pixel(8, 29).0.iter().all(|channel| *channel > 195));
}

#[test]
fn frames_are_counted() {
    assert_eq!(Picture::decode(&animated_gif(8, 8, 7)).unwrap().frames(), 7);
    // The blocks of an animated WebP and PNG, without pictures in them.
    let mut webp = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0..........".to_vec();
    for _ in 0..3 {
        webp.extend(b"ANMF\x03\0\0\0abc\0");
    }
    assert_eq!(Format::WebP.frames(&webp), 3);
    let mut png = png(&flat(4, 4, RED));
    let end = png.len() - 12;
    for _ in 0..2 {
        png.splice(end..end, *b"\0\0\0\x01fcTL.crc4");
    }
    assert_eq!(Format::Png.frames(&png), 2);
}

#[test]
fn a_count_of_frames_needs_no_complete_file() {
    let whole = animated_gif(8, 8, 7);
    for length in 0..whole.len() {
        let frames = Format::Gif.frames(whole.get(..length).unwrap());
        assert!((1..=7).contains(&frames), "{frames} frames in {length} bytes");
    }
}

#[test]
fn a_jpeg_inside_a_jpeg_does_not_stand_for_its_end() {
    let whole = jpeg(&noise(32, 32));
    let mut note = b"\xff\xe1\x00\x06\xff\xd8\xff\xd9".to_vec();
    note.truncate(8);
    let mut cut = whole.clone();
    cut.splice(2..2, note);
    assert!(container::jpeg_has_its_end(&cut));
    cut.truncate(cut.len() - 2);
    assert!(!container::jpeg_has_its_end(&cut));
}

#[test]
fn a_thumbnail_is_small_and_white_where_the_picture_is_transparent() {
    let large = Picture::decode(&jpeg(&flat(1000, 500, RED))).unwrap();
    assert!(large.thumbnail().unwrap().starts_with("data:image/jpeg;base64,/9j/"));
    let small = image::load_from_memory(&large.jpeg(480).unwrap()).unwrap();
    assert_eq!(small.dimensions(), (480, 240));

    let glass = DynamicImage::from(RgbaImage::new(10, 10));
    let glass = Picture::decode(&png(&glass)).unwrap();
    let flat = image::load_from_memory(&glass.jpeg(480).unwrap()).unwrap();
    assert!(flat.get_pixel(5, 5).0.iter().all(|channel| *channel > 250));
}
