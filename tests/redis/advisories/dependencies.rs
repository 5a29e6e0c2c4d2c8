//! Faults of libraries, where the version or the absence of one is the cure.

use std::fs;
use std::path::Path;

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines of a table of `Cargo.toml`, up to the next one.
fn table(manifest: &str, name: &str) -> Vec<String> {
    let lines = manifest.lines().skip_while(|line| *line != name).skip(1);
    lines.take_while(|line| !line.starts_with('[')).map(str::to_owned).collect()
}

/// time RUSTSEC-2026-0009 (CVE-2026-25727): a date of RFC 2822 was parsed by recursion without a
/// bound. The cookie library asks for `time`, and would take an older one.
#[test]
fn rustsec_2026_0009_time_is_new_enough() {
    const FIRST_GOOD: [u64; 3] = [0, 3, 47];
    let version =
        |text: &str| -> Vec<u64> { text.split('.').map(|part| part.parse().unwrap()).collect() };
    let manifest = read("Cargo.toml");
    let asked = table(&manifest, "[dependencies]");
    let asked = asked.iter().find(|line| line.starts_with("time = ")).expect("time is asked for");
    let asked = asked.split("version = \"").nth(1).unwrap().split('"').next().unwrap();
    assert!(version(asked)[..] >= FIRST_GOOD[..], "{asked}");
    let lock = read("Cargo.lock");
    let locked: Vec<_> = lock
        .split("[[package]]\n")
        .filter_map(|package| {
            package.strip_prefix("name = \"time\"\nversion = \"")?.split('"').next()
        })
        .collect();
    assert!(!locked.is_empty(), "time is not in Cargo.lock");
    for locked in locked {
        assert!(version(locked)[..] >= FIRST_GOOD[..], "{locked}");
    }
}

/// rand RUSTSEC-2026-0097: a generator of its own could be read while it was seeded anew. Tokens
/// come from the operating system, by `getrandom`, and by no generator in between.
#[test]
fn rustsec_2026_0097_tokens_come_from_the_operating_system() {
    let dependencies = table(&read("Cargo.toml"), "[dependencies]");
    let names: Vec<_> = dependencies.iter().filter_map(|line| line.split_once(" = ")).collect();
    assert!(names.iter().any(|(name, _)| *name == "getrandom"), "{names:?}");
    for generator in ["rand", "rand_core", "rand_chacha", "fastrand", "uuid", "oorandom"] {
        assert!(!names.iter().any(|(name, _)| *name == generator), "{generator}");
    }
    let token = read("src/session/token.rs");
    assert_eq!(token.matches("getrandom::fill").count(), 1);
}
