//! The documents that users read first: their links, their length and their words. The words of
//! comments, errors and log lines in `src`.
//!
//! To see these fail: link `docs/features.md` in the README; put a section before the quick starts;
//! write "nobody" into one of them, or "is away" into a log line; remove "# Errors" from a public
//! function.

use std::{fs, path::Path};

use crate::source::sources;

/// Words on the right of the table in CONTRIBUTING.md that have no other meaning.
const AVOIDED: &[&str] = &[
    "nobody",
    "somebody",
    "everybody",
    "whoever",
    "meanwhile",
    "anew",
    "for ever",
    "to and fro",
    "its kin",
    "believes",
    "believed",
    "disowns",
    "is told",
];

/// Those that have none in comments and texts of `src`.
const AVOIDED_IN_SOURCE: &[&str] = &[
    "anybody",
    "afresh",
    "told",
    "tells",
    "refuses",
    "is away",
    "is back",
    "is asked for",
    "will do",
    "written down",
    "given up",
    "looked at",
    "hands out",
    "under way",
    "on the way",
    "begun",
    "stands",
    "dies",
    "lives on",
    "proved",
    "no longer ago",
    "so many",
];

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// Targets of `[text](target)`, `[name]: target` and pictures, outside of code.
fn links(text: &str) -> Vec<&str> {
    let prose = text.split("```").step_by(2);
    let mut found: Vec<_> = prose
        .flat_map(|part| part.split("](").skip(1))
        .filter_map(|rest| rest.split(')').next())
        .collect();
    found.extend(
        text.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: ")).map(|l| l.1),
    );
    found
}

/// A registry shows the README without the repository's files.
#[test]
fn every_link_of_the_readme_resolves_on_a_registry_page() {
    const SOURCE: &str = "https://docs.rs/crate/tower-redis-session/latest/source/";
    let (readme, manifest) = (read("README.md"), read("Cargo.toml"));
    let mut files = 0;
    for link in links(&readme) {
        assert!(link.starts_with("https://"), "README.md links {link}");
        let Some(file) = link.strip_prefix(SOURCE) else { continue };
        files += 1;
        assert!(manifest.contains(&format!("\"/{file}\"")), "{file} is not in the package");
        assert!(!read(file).is_empty());
    }
    assert!(files > 0);
}

/// Two screens: how to add it, two programs, the stores, what is different, the two commands.
#[test]
fn the_readme_begins_with_what_a_new_user_needs() {
    let readme = read("README.md");
    let start: Vec<_> = readme.lines().take(100).collect();
    let start = start.join("\n");
    for part in [
        "cargo add tower-redis-session",
        "## Quick start: axum",
        "## Quick start: hyper",
        "## Stores",
        "## What is different",
        "cargo run -p caption-server",
        "bash scripts/test.sh",
    ] {
        assert!(start.contains(part), "the first 100 lines have no {part:?}");
    }
}

/// Those of `avoided` that `line` has.
fn avoided_in<'a>(line: &str, avoided: impl Iterator<Item = &'a &'a str>) -> Vec<&'a str> {
    let words = line.to_lowercase();
    let words: Vec<_> =
        words.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
    let words = format!(" {} ", words.join(" "));
    avoided.copied().filter(|word| words.contains(&format!(" {word} "))).collect()
}

#[test]
fn the_first_documents_keep_to_the_word_list() {
    let listed = read("CONTRIBUTING.md");
    let mut found = Vec::new();
    for name in [
        "README.md",
        "SECURITY.md",
        "docs/run-book.md",
        "docs/cook-book.md",
        "docs/scale.md",
        "src/lib.rs",
    ] {
        for (at, line) in read(name).lines().enumerate() {
            for word in avoided_in(line, AVOIDED.iter()) {
                found.push(format!("{name}:{}: {word}", at + 1));
            }
        }
    }
    assert!(found.is_empty(), "words to avoid: {found:#?}");
    assert!(listed.contains("| write | not |"));
}

/// Comments, and texts in code: errors, log lines, messages.
#[test]
fn comments_and_texts_of_the_source_keep_to_the_word_list() {
    let mut found = Vec::new();
    for source in &sources() {
        for (at, line) in source.text.lines().enumerate() {
            let is_comment = line.trim_start().starts_with("//");
            let texts: Vec<_> = line.split('"').skip(1).step_by(2).collect();
            let text = if is_comment { line.to_owned() } else { texts.join(" ") };
            for word in avoided_in(&text, AVOIDED.iter().chain(AVOIDED_IN_SOURCE)) {
                found.push(format!("{}:{}: {word}", source.name, at + 1));
            }
        }
    }
    assert!(found.is_empty(), "words to avoid: {found:#?}");
}

/// C-FAILURE of the API guidelines: a heading, below which the errors are listed or linked.
#[test]
fn every_public_function_that_returns_a_result_documents_its_errors() {
    let (mut checked, mut missing) = (0, Vec::new());
    for source in sources() {
        let lines: Vec<_> = source.text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let declared = line.trim_start().strip_prefix("pub ").filter(|rest| {
                let rest = rest.trim_start_matches("const ").trim_start_matches("async ");
                rest.starts_with("fn ")
            });
            let Some(declared) = declared else { continue };
            let rest = lines[at..].iter();
            let end = rest.clone().position(|line| line.ends_with('{')).unwrap();
            let signature = rest.take(end + 1).copied().collect::<Vec<_>>().join(" ");
            let returned = signature.split(" where ").next().unwrap().rsplit_once("-> ");
            if !returned.is_some_and(|(_, returned)| returned.contains("Result<")) {
                continue;
            }
            checked += 1;
            let above = lines[..at].iter().rev().map(|line| line.trim_start());
            let mut docs = above.take_while(|line| line.starts_with("//") || line.starts_with('#'));
            if !docs.any(|line| line == "/// # Errors") {
                missing.push(format!("{}: {declared}", source.name));
            }
        }
    }
    assert!(checked > 50, "{checked}");
    assert!(missing.is_empty(), "without `# Errors`: {missing:#?}");
}

/// C-LINK.
#[test]
fn the_crates_documentation_links_the_types_it_names() {
    let text = read("src/lib.rs");
    let docs: Vec<_> = text.lines().filter(|line| line.starts_with("//!")).collect();
    for name in ["DurableStore", "DatabaseStore", "CachedDirectory", "KeyRing", "RedisStore"] {
        let linked = format!("[`{name}`]");
        let found = docs.iter().filter(|line| line.contains(&format!("`{name}`")));
        let plain: Vec<_> = found.filter(|line| !line.contains(&linked)).collect();
        assert!(docs.iter().any(|line| line.contains(&linked)), "{name} is not linked");
        assert!(plain.is_empty(), "{plain:?}");
    }
}

/// What `examples/README.md` says of an example for a framework.
#[test]
fn the_main_file_of_a_frameworks_example_has_at_most_80_lines() {
    for framework in ["axum", "hyper", "tonic", "poem", "salvo", "warp"] {
        let main = read(&format!("examples/{framework}/src/main.rs"));
        assert!(main.lines().count() <= 80, "{framework}: {} lines", main.lines().count());
    }
}
