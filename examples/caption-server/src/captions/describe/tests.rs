//! Tests of the sentences.
#![allow(clippy::unwrap_used)]

use image::{DynamicImage, Rgb, RgbImage, Rgba, RgbaImage};

use super::*;
use crate::captions::picture::samples::{BLACK, RED, WHITE, animated_gif, flat, noise, png, split};

fn said(image: &DynamicImage) -> String {
    sentence(&Measure::of(image), 1, &Settings::default())
}

#[test]
fn a_flat_picture_is_entirely_its_colour() {
    assert_eq!(
        said(&flat(64, 64, RED)),
        "A square picture of 64 by 64 pixels, entirely red, of medium brightness and without \
         contrast."
    );
}

#[test]
fn two_halves_are_told_apart() {
    assert_eq!(
        said(&split(160, 90, BLACK, WHITE)),
        "A landscape picture of 160 by 90 pixels (16:9), mostly black (50%) with white (50%), \
         black on the left and white on the right, of medium brightness and with strong contrast."
    );
}

#[test]
fn the_top_and_the_bottom_are_told_apart() {
    let (sky, grass) = (Rgb([135, 206, 235]), Rgb([0, 128, 0]));
    let drawn = RgbImage::from_fn(60, 80, |_, y| if y < 40 { sky } else { grass });
    let said = said(&drawn.into());
    assert!(said.starts_with("A portrait picture of 60 by 80 pixels (3:4), "), "{said}");
    assert!(said.contains("light blue at the top and green at the bottom"), "{said}");
}

#[test]
fn one_pixel_is_a_picture_too() {
    assert_eq!(
        said(&flat(1, 1, WHITE)),
        "A square picture of 1 by 1 pixel, entirely white, very bright and without contrast."
    );
}

#[test]
fn shapes_are_named() {
    for (width, height, start) in [
        (10, 10, "A square picture of"),
        (300, 100, "A panoramic picture of 300 by 100 pixels (3:1),"),
        (100, 300, "A tall, narrow picture of 100 by 300 pixels (1:3),"),
        (400, 300, "A landscape picture of 400 by 300 pixels (4:3),"),
        (1000, 667, "A landscape picture of 1000 by 667 pixels (about 3:2),"),
        (667, 1000, "A portrait picture of 667 by 1000 pixels (about 2:3),"),
        (1000, 87, "A panoramic picture of 1000 by 87 pixels (about 11.5:1),"),
        (1001, 1000, "A landscape picture of 1001 by 1000 pixels (about 1.0:1),"),
    ] {
        let said = said(&flat(width, height, RED));
        assert!(said.starts_with(start), "{said}");
    }
}

#[test]
fn transparency_is_told_and_what_nobody_sees_is_not() {
    let glass = DynamicImage::from(RgbaImage::from_pixel(8, 8, Rgba([255, 0, 0, 0])));
    let said_of_glass = said(&glass);
    assert!(said_of_glass.contains("transparent all over"), "{said_of_glass}");
    assert!(!said_of_glass.contains("red"), "{said_of_glass}");
    assert!(!said_of_glass.contains("NaN"), "{said_of_glass}");

    let half = RgbaImage::from_fn(10, 10, |x, _| Rgba([0, 0, 255, if x < 5 { 0 } else { 255 }]));
    let said_of_half = said(&half.into());
    assert!(said_of_half.contains("entirely blue"), "{said_of_half}");
    assert!(said_of_half.ends_with(", 50% transparent."), "{said_of_half}");
}

#[tokio::test]
async fn an_animation_is_told_with_its_frames() {
    let picture = Picture::decode(&animated_gif(30, 20, 12)).unwrap();
    let said = Describer.caption(Arc::new(picture), &Settings::default()).await.unwrap();
    assert!(said.starts_with("An animated landscape picture of 30 by 20 pixels"), "{said}");
    assert!(said.contains(" in 12 frames, entirely red"), "{said}");
}

#[test]
fn many_colours_get_no_false_majority() {
    let said = said(&noise(300, 200));
    assert!(said.contains("mainly "), "{said}");
    assert!(!said.contains("mostly"), "{said}");
}

#[test]
fn a_picture_one_pixel_wide_is_sampled_all_the_same() {
    let measure = Measure::of(&flat(1, 60_000, RED));
    assert!(!measure.whole.is_empty());
}

#[test]
fn every_sentence_is_a_sentence_of_the_right_length() {
    let limits = [(20, 100, 100), (80, 200, 500), (200, 500, 1000), (20, 100, 1000)];
    for (min, max, longest) in limits {
        let settings = Settings {
            optimal_min_length: min,
            optimal_max_length: max,
            max_caption_length: longest,
            ..Settings::default()
        };
        assert!(settings.clone().checked().is_ok());
        for (name, image) in pictures() {
            for frames in [1, 2, 99_999] {
                let said = sentence(&Measure::of(&image), frames, &settings);
                let length = said.chars().count();
                assert!(length <= usize::from(max), "{name}: {length}: {said}");
                assert!(length >= usize::from(min.min(60)), "{name}: {length}: {said}");
                assert!(said.starts_with("A ") || said.starts_with("An "), "{name}: {said}");
                assert!(said.ends_with('.') && said.matches(". ").count() == 0, "{name}: {said}");
                assert!(!said.contains("  ") && !said.contains(", ,"), "{name}: {said}");
            }
        }
    }
}

#[test]
fn the_default_lengths_are_always_met() {
    for (name, image) in pictures() {
        let length = said(&image).chars().count();
        assert!((80..=200).contains(&length), "{name}: {length}: {}", said(&image));
    }
}

fn pictures() -> Vec<(&'static str, DynamicImage)> {
    let stripes = RgbaImage::from_fn(97, 31, |x, y| {
        let [red, green, blue] = if x % 3 == 0 { [64, 224, 208] } else { [75, 0, 130] };
        Rgba([red, green, blue, u8::try_from(y * 8).unwrap()])
    });
    vec![
        ("one pixel", flat(1, 1, RED)),
        ("flat", flat(50, 50, WHITE)),
        ("split", split(1920, 1080, BLACK, WHITE)),
        ("noise", noise(640, 480)),
        ("stripes", stripes.into()),
        ("panorama", split(4000, 300, Rgb([64, 224, 208]), Rgb([75, 0, 130]))),
        ("column", flat(2, 5000, Rgb([75, 0, 130]))),
        ("glass", RgbaImage::new(33, 44).into()),
        ("grey", image::load_from_memory(&png(&noise(20, 20).grayscale())).unwrap()),
    ]
}
