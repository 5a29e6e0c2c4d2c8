//! Each requirement of the security bar, by its number, and the tests that hold it: the one table
//! of them, from which `docs/requirements.md` is made.
//!
//! To bring that file up to date: `UPDATE_REQUIREMENTS=1 cargo test --test rules`.
//!
//! To see these fail: rename a test that is named here; leave a number out; change a word of the
//! table in `docs/requirements.md`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

mod life_cycle;
mod reliability;
mod secrets;

const START: &str = "<!-- requirements: start -->\n";
const END: &str = "<!-- requirements: end -->\n";

/// A requirement.
#[derive(Debug)]
pub struct Row {
    pub number: usize,
    /// What has to hold.
    pub must: &'static str,
    /// Who would notice if it did not: `path::name`, below the root of the crate.
    pub tests: &'static [&'static str],
    /// What is not there yet, or is done in another way; empty if nothing.
    pub open: &'static str,
}

fn table() -> Vec<&'static Row> {
    [secrets::ROWS, life_cycle::ROWS, reliability::ROWS].into_iter().flatten().collect()
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn every_requirement_is_there_once_and_in_order() {
    let numbers: Vec<_> = table().iter().map(|row| row.number).collect();
    assert_eq!(numbers, (1..=68).collect::<Vec<_>>());
    for row in table() {
        assert!(!row.must.is_empty(), "{}", row.number);
        let accounted_for = !row.tests.is_empty() || !row.open.is_empty();
        assert!(accounted_for, "{} has neither a test nor a reason", row.number);
        for text in [row.must, row.open] {
            assert!(!text.contains(['|', '\n']), "{}: {text}", row.number);
        }
    }
}

#[test]
fn every_test_that_is_named_exists_and_runs() {
    let mut files: BTreeMap<&str, String> = BTreeMap::new();
    for row in table() {
        for test in row.tests {
            let (file, name) = test.split_once("::").expect(test);
            let text = files.entry(file).or_insert_with(|| {
                fs::read_to_string(path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
            });
            assert!(is_test(text, name), "{}: there is no test {test}", row.number);
        }
    }
    assert!(files.len() > 20, "{:?}", files.keys());
}

/// Whether `text` has a test of that name that is not left out.
pub fn is_test(text: &str, name: &str) -> bool {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let head = |line: &str| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        let rest = line.strip_prefix("fn ").and_then(|line| line.strip_prefix(name));
        rest.is_some_and(|rest| rest.starts_with('('))
    };
    let Some(at) = lines.iter().position(|line| head(line)) else { return false };
    let above = lines[..at].iter().rev();
    let attributes: Vec<_> =
        above.take_while(|line| line.starts_with("#[") || line.starts_with("//")).collect();
    let marked = |mark: &str| attributes.iter().any(|line| line.starts_with(mark));
    (marked("#[test]") || marked("#[tokio::test")) && !marked("#[ignore")
}

#[test]
fn every_row_of_the_feature_table_is_there_with_tests_that_exist() {
    let text = fs::read_to_string(path("docs/features.md")).unwrap();
    let mut numbers = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("| F")) {
        let cells: Vec<_> = line.split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect();
        let [rows, _, state, ref tests @ ..] = cells[..] else { panic!("{line}") };
        numbers.extend(rows.split(", ").map(|row| row[1..].parse::<u32>().unwrap()));
        let tests: Vec<_> = tests.concat().split("<br>").map(str::to_owned).collect();
        let tests: Vec<_> = tests.iter().filter(|test| !test.is_empty()).collect();
        match state {
            "there" => assert!(!tests.is_empty(), "{rows}"),
            "**not yet**" => assert!(tests.is_empty(), "{rows}"),
            state => panic!("{rows}: {state}"),
        }
        for test in tests {
            let (file, name) = test.trim_matches('`').split_once("::").expect(test);
            let text =
                fs::read_to_string(path(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(is_test(&text, name), "{rows}: there is no test {test}");
        }
    }
    assert_eq!(numbers, (1..=40).collect::<Vec<_>>());
}

#[test]
fn the_finder_of_tests_finds_tests() {
    for (name, text, found) in [
        ("plain", "#[test]\nfn a() {}", true),
        ("async", "#[tokio::test(flavor = \"x\")]\nasync fn a() {}", true),
        ("documented", "/// Why.\n#[test]\n// More.\nfn a() {}", true),
        ("in a macro", "proptest! {\n    #[test]\n    fn a(bytes: Vec<u8>) {}\n}", true),
        ("no test", "fn a() {}", false),
        ("the test above it", "#[test]\nfn b() {}\nfn a() {}", false),
        ("a longer name", "#[test]\nfn ab() {}", false),
        ("only called", "#[test]\nfn b() { a() }", false),
        ("commented out", "// #[test]\n// fn a() {}", false),
        ("left out", "#[test]\n#[ignore = \"slow\"]\nfn a() {}", false),
    ] {
        assert_eq!(is_test(text, "a"), found, "{name}");
    }
}

/// The table as it stands in `docs/requirements.md`.
fn markdown() -> String {
    let mut text =
        "| | what must hold | tests that fail if it does not |\n|---|---|---|\n".to_owned();
    for row in table() {
        let mut cells: Vec<_> = row.tests.iter().map(|test| format!("`{test}`")).collect();
        if !row.open.is_empty() {
            let open = if cells.is_empty() { "**open**: " } else { "But: " };
            cells.push(format!("{open}{}", row.open));
        }
        text += &format!("| {} | {} | {} |\n", row.number, row.must, cells.join("<br>"));
    }
    text
}

#[test]
fn the_document_of_the_requirements_has_this_very_table() {
    let file = path("docs/requirements.md");
    let text = fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once(START).expect("the mark of the table's start");
    let (there, after) = rest.split_once(END).expect("the mark of the table's end");
    let wanted = markdown();
    if there == wanted {
        return;
    }
    if std::env::var_os("UPDATE_REQUIREMENTS").is_some_and(|value| value == "1") {
        fs::write(file, format!("{before}{START}{wanted}{END}{after}")).unwrap();
        return;
    }
    let differs = wanted.lines().find(|line| !there.lines().any(|other| other == *line));
    panic!(
        "docs/requirements.md has another table of requirements: run this test once more with \
         UPDATE_REQUIREMENTS=1 in the environment, which writes it anew.\n{}",
        differs.unwrap_or("a line too many")
    );
}
