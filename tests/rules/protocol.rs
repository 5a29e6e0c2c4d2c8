//! The schedules of `docs/protocol.md` and the tests that force them.
//!
//! To see this fail: rename a test of a schedule; change its number; leave a row out.

use std::{collections::BTreeSet, fs, path::Path};

use crate::requirements::is_test;

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The comment lines right above the test.
fn documentation(text: &str, test: &str) -> String {
    let at = text.find(&format!("fn {test}(")).expect(test);
    let above: Vec<_> = text[..at].lines().rev().skip(1).collect();
    let lines = above
        .iter()
        .take_while(|line| ["///", "#["].iter().any(|start| line.trim_start().starts_with(start)));
    lines.filter(|line| line.trim_start().starts_with("///")).copied().collect()
}

#[test]
fn each_schedule_of_the_protocol_names_tests_that_exist_and_name_it() {
    let text = read("docs/protocol.md");
    let (_, schedules) = text.split_once("\n## 8. ").expect("section 8");
    let schedules = schedules.split("\n## ").next().unwrap();
    let (mut file, mut numbers, mut named) = (String::new(), Vec::new(), BTreeSet::new());
    for line in schedules.lines() {
        if let Some(name) = line.strip_prefix("`tests/") {
            file = read(&format!("tests/{}", name.split('`').next().unwrap()));
        }
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let Some(number) = cells.first().and_then(|cell| cell.parse::<u32>().ok()) else {
            continue;
        };
        numbers.push(number);
        let tests: Vec<_> = cells.last().unwrap().split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "schedule {number} has no test");
        for test in tests {
            assert!(is_test(&file, test), "schedule {number}: there is no test {test}");
            let says = documentation(&file, test);
            let mut words = says.split(|c: char| !c.is_ascii_digit());
            let says_it = words.any(|word| word == number.to_string());
            assert!(says_it, "{test} does not say that it is schedule {number}: {says}");
            let _ = named.insert(test.to_owned());
        }
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=40).collect::<Vec<_>>());
    for entry in
        fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/durable/schedules")).unwrap()
    {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        for head in text.split("\nasync fn ").skip(1) {
            let name = head.split('(').next().unwrap();
            assert!(named.contains(name) || !is_test(&text, name), "no schedule names {name}");
        }
    }
}
