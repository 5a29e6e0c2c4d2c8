//! The rules of the source tree that no compiler checks: what may name what, how long a file or a
//! function may be.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a panic is the report"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Files that compute: nothing in them waits, logs, asks the time or knows HTTP.
const PURE: &[&str] = &[
    "token.rs",
    "values.rs",
    "record.rs",
    "record/",
    "expiry.rs",
    "changes.rs",
    "timestamp.rs",
    "depth.rs",
    "guard/next.rs",
    "device.rs",
    "device/address.rs",
    "cookie/find.rs",
    "cookie/check.rs",
    "csrf/form.rs",
    "csrf/origin.rs",
    "csrf/token.rs",
    "store/database/row.rs",
    "moment.rs",
    "directory/active.rs",
    "directory/info.rs",
    "directory/credentials.rs",
    "directory/cached/doubts.rs",
    "directory/cached/envelope.rs",
    "directory/cached/outage.rs",
    "store/redis/incarnation.rs",
    "store/durable/breaker.rs",
    "store/durable/journal.rs",
    "store/durable/trust.rs",
];

/// Crates that only some files may name.
const RESERVED: &[(&[&str], &[&str])] = &[
    (&["redis", "bb8", "bb8_redis"], &["store/redis.rs", "store/redis/"]),
    (&["cookie"], &["cookie.rs", "cookie/"]),
    (
        &["tower_layer", "tower_service", "tower"],
        &[
            "layer.rs",
            "service.rs",
            "compat.rs",
            "doc.rs",
            "guard.rs",
            "guard/service.rs",
            "state_api.rs",
            "csrf/layer.rs",
            "csrf/service.rs",
            "csrf/future.rs",
        ],
    ),
    (
        &["getrandom"],
        &["token.rs", "error.rs", "mark.rs", "seal.rs", "key_ring.rs", "csrf/token.rs"],
    ),
    (&["sha2"], &["token.rs", "csrf/token.rs"]),
    (&["base64"], &["token.rs", "key_ring.rs", "csrf/token.rs"]),
    (&["chacha20poly1305"], &["seal.rs", "key_ring.rs"]),
    (&["hmac"], &["csrf/token.rs"]),
    (&["sqlx"], &["store/database.rs", "store/database/"]),
    (&["rustix"], &["uptime.rs"]),
    (
        &["pin_project"],
        &[
            "future.rs",
            "body.rs",
            "guard/service.rs",
            "csrf/future.rs",
            "csrf/body.rs",
            "csrf/reading.rs",
        ],
    ),
];

/// Names of stores, which only those who choose one may know.
const STORES: &[&str] = &[
    "MemoryStore",
    "RedisStore",
    "RedisConfig",
    "DatabaseStore",
    "DatabaseConfig",
    "DurableStore",
];
const CHOOSERS: &[&str] = &[
    "lib.rs",
    "config.rs",
    "config/",
    "compat.rs",
    "directory/cached/builder.rs",
    "doc.rs",
    "store/",
];

/// What a pure file may not name, besides the reserved crates.
const IMPURE: &[&str] = &[
    "tokio",
    "tokio_util",
    "tracing",
    "http",
    "http_body",
    "pin_project",
    "tower_layer",
    "tower_service",
];

const LONGEST_FILE: usize = 300;
const LONGEST_FUNCTION: usize = 40;

struct Source {
    /// Below `src`.
    name: String,
    /// Without its tests.
    text: String,
    tokens: Vec<String>,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            if !name.ends_with(".rs") || name.ends_with("tests.rs") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("\n#[cfg(test)]\n").next().unwrap().to_owned();
            let tokens = tokens(&text);
            found.push(Source { name, text, tokens });
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    assert!(found.len() > 20, "the sources of the crate are under src/");
    found
}

impl Source {
    fn is_one_of(&self, files: &[&str]) -> bool {
        files.iter().any(|file| match file.strip_suffix('/') {
            Some(_) => self.name.starts_with(file),
            None => self.name == *file,
        })
    }

    fn names(&self, word: &str) -> bool {
        self.tokens.iter().any(|token| token == word)
    }

    /// Crates that the file names: roots of paths that are no name of this crate's own.
    fn crates(&self) -> BTreeSet<String> {
        let (imports, rest) = self.imports();
        let own = |root: &str| matches!(root, "crate" | "self" | "super" | "Self");
        let mut local: BTreeSet<String> = BTreeSet::new();
        for pair in self.tokens.windows(2).filter(|pair| pair[0] == "mod") {
            local.insert(pair[1].clone());
        }
        for path in imports.iter().filter(|path| own(&path[0])) {
            // `use crate::cookie` and `use crate::cookie::{self, ..}` bring in a name.
            let name = path.iter().rev().find(|part| *part != "self");
            local.extend(name.cloned());
        }
        let used = imports.into_iter().map(|path| path[0].clone());
        let paths = rest.windows(3).filter(|three| three[0] != "::" && three[2] == "::");
        let roots = used.chain(paths.map(|three| three[1].clone()));
        roots.filter(|root| !own(root) && !local.contains(root)).collect()
    }

    /// Every path of every `use`, and all tokens but those.
    fn imports(&self) -> (Vec<Vec<String>>, Vec<String>) {
        let (mut imports, mut rest) = (Vec::new(), vec![";".to_owned()]);
        let mut tokens = self.tokens.iter();
        while let Some(token) = tokens.next() {
            if token == "use" {
                let tree: Vec<String> =
                    tokens.by_ref().take_while(|token| *token != ";").cloned().collect();
                expand(&[], &tree, &mut imports);
            } else {
                rest.push(token.clone());
            }
        }
        (imports, rest)
    }
}

/// `a::{b, c::d}` becomes `a::b` and `a::c::d`.
fn expand(prefix: &[String], tree: &[String], paths: &mut Vec<Vec<String>>) {
    let mut path = prefix.to_vec();
    let mut at = 0;
    while at < tree.len() {
        match tree[at].as_str() {
            "::" => {}
            "{" => {
                let mut depth = 0;
                let mut from = at + 1;
                for (index, token) in tree.iter().enumerate().skip(at) {
                    match token.as_str() {
                        "{" => depth += 1,
                        "}" => depth -= 1,
                        _ => {}
                    }
                    let ends = depth == 0 || depth == 1 && token == ",";
                    if ends && index > from {
                        expand(&path, &tree[from..index], paths);
                    }
                    if ends {
                        from = index + 1;
                    }
                    if depth == 0 {
                        return;
                    }
                }
            }
            // A new name for it changes nothing about what is named.
            "as" => break,
            word => path.push(word.to_owned()),
        }
        at += 1;
    }
    if path.len() > prefix.len() {
        paths.push(path);
    }
}

/// Names, `::` and single signs; no comments, strings, characters or lifetimes.
fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let mut found = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let c = chars[i];
        if c == '/' && at(i + 1) == '/' {
            while i < chars.len() && chars[i] != '\n' {
                i += 1;
            }
        } else if c == '/' && at(i + 1) == '*' {
            while i < chars.len() && !(chars[i] == '*' && at(i + 1) == '/') {
                i += 1;
            }
            i += 2;
        } else if c == '"' {
            i += 1;
            while i < chars.len() && chars[i] != '"' {
                i += if chars[i] == '\\' { 2 } else { 1 };
            }
            i += 1;
        } else if c == '\'' {
            // A character, or a lifetime.
            let closes = if at(i + 1) == '\\' {
                (i + 3..i + 12).find(|i| at(*i) == '\'')
            } else {
                (at(i + 2) == '\'').then_some(i + 2)
            };
            i = closes.unwrap_or(i) + 1;
        } else if c.is_alphanumeric() || c == '_' {
            let start = i;
            while at(i).is_alphanumeric() || at(i) == '_' {
                i += 1;
            }
            found.push(chars[start..i].iter().collect());
        } else if c == ':' && at(i + 1) == ':' {
            found.push("::".into());
            i += 2;
        } else {
            if !c.is_whitespace() {
                found.push(c.into());
            }
            i += 1;
        }
    }
    found
}

#[test]
fn only_its_own_files_name_a_reserved_crate() {
    let mut wrong = Vec::new();
    for source in sources() {
        let crates = source.crates();
        for (reserved, files) in RESERVED {
            for name in reserved.iter().filter(|name| crates.contains(**name)) {
                if !source.is_one_of(files) {
                    wrong.push(format!("{} names {name}, which is for {files:?}", source.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Whether the path leads into a pure file.
fn is_pure(path: &[String]) -> bool {
    (2..=path.len()).any(|end| PURE.contains(&format!("{}.rs", path[1..end].join("/")).as_str()))
}

#[test]
fn pure_files_name_no_runtime_no_log_no_http_and_no_clock() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for source in sources().iter().filter(|source| source.is_one_of(PURE)) {
        seen += 1;
        for name in source.crates().iter().filter(|name| IMPURE.contains(&name.as_str())) {
            wrong.push(format!("{} names {name}", source.name));
        }
        let (imports, _) = source.imports();
        for path in &imports {
            let shell = ["clock", "store", "backend", "request", "context", "layer", "service"];
            if path[0] == "crate"
                && !is_pure(path)
                && path.iter().any(|part| shell.contains(&part.as_str()))
            {
                wrong.push(format!("{} imports {}", source.name, path.join("::")));
            }
        }
        for clock in ["SystemTime", "Instant", "OffsetDateTime"] {
            let asks = source
                .tokens
                .windows(3)
                .any(|three| three[0] == clock && three[1] == "::" && three[2].starts_with("now"));
            if asks {
                wrong.push(format!("{} asks {clock} for the time", source.name));
            }
        }
        for word in ["async", "await"] {
            if source.names(word) {
                wrong.push(format!("{} has {word}", source.name));
            }
        }
    }
    assert!(seen >= PURE.len(), "every pure file is there");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn only_who_chooses_a_store_knows_one() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| !source.is_one_of(CHOOSERS)) {
        for name in STORES.iter().filter(|name| source.names(name)) {
            wrong.push(format!("{} names {name}", source.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_file_is_longer_than_300_lines_without_its_tests() {
    let long = sources().into_iter().filter(|source| source.text.lines().count() > LONGEST_FILE);
    let long: Vec<_> = long.map(|file| (file.name, file.text.lines().count())).collect();
    assert!(long.is_empty(), "{long:#?}");
}

/// By the indentation that rustfmt gives.
#[test]
fn no_function_is_longer_than_40_lines() {
    let mut long = Vec::new();
    for source in sources() {
        let lines: Vec<&str> = source.text.lines().collect();
        for (start, line) in lines.iter().enumerate() {
            let code = line.trim_start();
            let words: Vec<&str> = code.split(' ').take(5).collect();
            let head = lines[start..].iter().find(|line| line.ends_with(['{', '}', ';']));
            let bodiless = head.is_none_or(|line| line.ends_with(';'));
            if code.starts_with("//") || !words.contains(&"fn") || bodiless {
                continue;
            }
            let close = format!("{}}}", " ".repeat(line.len() - code.len()));
            let one_line = code.ends_with('}');
            let length = lines[start..].iter().position(|line| *line == close);
            let length = if one_line { 1 } else { length.map_or(0, |length| length + 1) };
            if length > LONGEST_FUNCTION {
                long.push(format!("{}:{}: {length} lines", source.name, start + 1));
            }
        }
    }
    assert!(long.is_empty(), "{long:#?}");
}

/// The derived comparison of bytes is no constant-time one; nothing compares tokens but the store,
/// and that by their hashes.
#[test]
fn the_bytes_of_a_token_are_never_compared_or_printed() {
    let sources = sources();
    let token = sources.iter().find(|source| source.name == "token.rs").unwrap();
    let at = token.text.find("struct Token(").expect("struct Token");
    let attributes = token.text[..at].rsplit("\n\n").next().unwrap();
    for derived in ["PartialEq", "Debug", "Serialize", "Hash"] {
        assert!(!attributes.contains(derived), "Token derives {derived}");
    }
    for banned in ["PartialEq for Token", "Display for Token", "Serialize for Token"] {
        for source in &sources {
            assert!(!source.text.contains(banned), "{}: {banned}", source.name);
        }
    }
    // Inside of its file the bytes are within reach: they are hashed and encoded, nothing else.
    let uses = token.tokens.windows(4).filter(|four| four[..3] == ["self", ".", "0"]);
    for four in uses {
        assert!(!["=", "!", "<", ">"].contains(&four[3].as_str()), "bytes are compared: {four:?}");
    }
}

/// A CSRF token is compared by its mac alone, and that by the crate that does it in constant time.
#[test]
fn no_part_of_a_csrf_token_is_compared_or_printed() {
    let sources = sources();
    let token = sources.iter().find(|source| source.name == "csrf/token.rs").unwrap();
    for name in ["struct CsrfToken(", "struct CsrfKey(", "struct Claim {"] {
        let at = token.text.find(name).expect(name);
        let attributes = token.text[..at].rsplit("\n\n").next().unwrap().lines();
        for derive in attributes.filter(|line| line.starts_with("#[derive")) {
            for derived in ["PartialEq", "Debug", "Serialize", "Hash"] {
                assert!(!derive.contains(derived), "{name} derives {derived}");
            }
        }
    }
    assert!(token.names("verify_slice") && token.tokens.iter().all(|token| token != "ct_eq"));
    for three in token.tokens.windows(3).filter(|three| three[0] == "." && three[1] == "mac") {
        assert!(!["=", "!", "<", ">"].contains(&three[2].as_str()), "a mac is compared: {three:?}");
    }
}

#[test]
fn the_build_denies_what_is_promised_to_be_absent() {
    let read = |name: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name));
    let manifest = read("Cargo.toml").unwrap();
    for line in [
        "[lints]\nworkspace = true\n",
        "unsafe_code = \"forbid\"",
        "unwrap_used = \"deny\"",
        "expect_used = \"deny\"",
        "panic = \"deny\"",
        "indexing_slicing = \"deny\"",
        "await_holding_lock = \"deny\"",
        "incompatible_msrv = \"deny\"",
    ] {
        assert!(manifest.contains(line), "{line}");
    }
    assert!(manifest.contains("\nrust-version = "), "the oldest compiler is named");
    assert!(read("Cargo.lock").is_ok(), "what is tested with is written down");
    let deny = read("deny.toml").unwrap();
    let allowed = ["ignore", "unmaintained = \"none\"", "yanked = \"allow\""];
    assert!(deny.contains("[advisories]"), "{deny}");
    assert!(!allowed.iter().any(|word| deny.contains(word)), "{deny}");
    let sources = sources();
    let lib = sources.iter().find(|source| source.name == "lib.rs").unwrap();
    assert!(lib.text.contains("#![forbid(unsafe_code)]"));
    for source in &sources {
        assert!(!source.names("unsafe"), "{}", source.name);
        for lint in
            ["unwrap_used", "expect_used", "panic", "indexing_slicing", "await_holding_lock"]
        {
            // What checks a store for its author reports by a panic.
            let may = source.name == "testing.rs" && lint == "panic";
            let lets = source.text.contains(&format!("clippy::{lint}"));
            assert!(may || !lets, "{} allows {lint}", source.name);
        }
    }
}

#[test]
fn nothing_in_src_is_for_later_and_no_name_says_nothing() {
    for source in sources() {
        for word in ["TODO", "FIXME", "XXX", "HACK", "todo!", "unimplemented!", "dbg!"] {
            assert!(!source.text.contains(word), "{}: {word}", source.name);
        }
        for part in source.name.trim_end_matches(".rs").split('/') {
            let empty = ["utils", "util", "helpers", "types", "common", "manager", "misc", "mod"];
            assert!(!empty.contains(&part), "{}: a name that says nothing", source.name);
        }
    }
}

#[test]
fn the_reader_of_this_test_reads_rust() {
    let source =
        |text: &str| Source { name: "x.rs".into(), text: text.into(), tokens: tokens(text) };
    for (name, text, crates) in [
        ("use", "use redis::Client;", &["redis"][..]),
        ("group", "use std::{fmt, io};", &["std"]),
        ("nested group", "use crate::{a::{b, c}, cookie::find};", &[]),
        ("own module", "mod cookie; pub use cookie::Config;", &[]),
        ("imported module", "use crate::cookie; fn f() { cookie::find() }", &[]),
        ("imported with self", "use crate::cookie::{self, A}; fn f() { cookie::find() }", &[]),
        ("path in code", "fn f() { let x = redis::cmd(); }", &["redis"]),
        ("path behind our own", "fn f() { store::redis::cmd(); }", &["store"]),
        ("comment", "// redis::x\n/* bb8::y */ /// tokio::z\n", &[]),
        ("string", "const A: &str = \"redis::x \\\" tokio::y\";", &[]),
        ("character and lifetime", "fn f<'a>(x: &'a str) { x == '\"'; bb8::y(); }", &["bb8"]),
        ("group at the top", "use {redis::A, bb8::B};", &["redis", "bb8"]),
        ("renamed", "use tokio as x;", &["tokio"]),
    ] {
        let expected: BTreeSet<String> = crates.iter().map(ToString::to_string).collect();
        assert_eq!(source(text).crates(), expected, "{name}");
    }
}
