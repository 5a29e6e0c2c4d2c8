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

use std::{fs, path::Path};

use crate::source::sources;

/// Rooms and files that compute: nothing in them waits, logs, asks the time or knows HTTP.
const PURE: &[&str] = &[
    "session/",
    "clock/moment.rs",
    "clock/timestamp.rs",
    "csrf/form.rs",
    "csrf/token.rs",
    "directory/active.rs",
    "directory/cached/doubts.rs",
    "directory/cached/envelope.rs",
    "directory/credentials.rs",
    "directory/info.rs",
    "guard/next.rs",
    "import/cookie/",
    "import/format.rs",
    "import/imported.rs",
    "import/line.rs",
    "import/stored/",
    "import/user.rs",
    "request/client/forwarded.rs",
    "store/attempts.rs",
    "store/database/row.rs",
    "store/durable/breaker.rs",
    "store/durable/journal.rs",
    "store/durable/trust.rs",
    "store/redis/client/address.rs",
    "store/redis/client/answer.rs",
    "store/redis/client/cluster/address.rs",
    "store/redis/client/cluster/decision.rs",
    "store/redis/client/cluster/map.rs",
    "store/redis/client/cluster/node_error.rs",
    "store/redis/client/cluster/seeds.rs",
    "store/redis/client/cluster/slot.rs",
    "store/redis/client/incarnation.rs",
    "sync/circuit_breaker.rs",
    "transport/cookie/attributes.rs",
    "transport/cookie/parse.rs",
    "transport/origin.rs",
];

/// Crates that only some rooms may name.
const RESERVED: &[(&[&str], &[&str])] = &[
    (&["redis", "bb8", "bb8_redis"], &["store/redis.rs", "store/redis/"]),
    (&["sqlx"], &["store/database.rs", "store/database/"]),
    (&["cookie"], &["transport/"]),
    (&["metrics", "metrics_exporter_prometheus"], &["telemetry/"]),
    (
        &["tower_layer", "tower_service", "tower"],
        &["admin_api/", "layer/", "limiter/", "guard/", "csrf/", "session_api/", "testing/"],
    ),
    (
        &["pin_project"],
        &["layer/", "limiter/", "guard/", "csrf/", "response/", "telemetry/in_span.rs"],
    ),
    (&["getrandom"], &["session/", "error.rs", "encryption/", "csrf/"]),
    (&["sha2"], &["session/", "csrf/", "import/", "limiter/"]),
    (&["base64"], &["session/", "encryption/", "csrf/", "import/"]),
    (&["chacha20poly1305"], &["encryption/"]),
    (&["hmac"], &["csrf/", "import/cookie/", "limiter/", "session/claim.rs"]),
    (&["aes_gcm"], &["import/cookie/"]),
    (&["miniz_oxide"], &["import/stored/"]),
    (&["sha1"], &["import/cookie/", "session/placement.rs"]),
    (
        &["percent_encoding"],
        &["csrf/", "guard/", "import/", "session_api/", "store/database/postgres/options.rs"],
    ),
    (&["rustix"], &["clock/", "cli/migrate/state_file.rs"]),
    (&["clap"], &["cli/"]),
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
    "env/",
    "layer/database_layer.rs",
    "directory/cached/builder.rs",
    "import/redis.rs",
    "testing/",
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
const WIDEST_LINE: usize = 100;

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

/// Whether a path from the root of the crate leads into a pure file.
fn is_pure(path: &[String]) -> bool {
    (1..=path.len()).any(|end| {
        let file = format!("{}.rs", path[..end].join("/"));
        PURE.iter().any(|pure| *pure == file || pure.ends_with('/') && file.starts_with(pure))
    })
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
        for path in source.paths() {
            let module = source.module();
            let is_above =
                path.len() == module.len() && path.starts_with(&module[..path.len() - 1]);
            let is_error = path.iter().any(|part| part == "error");
            if !is_error && !is_above && !is_pure(&path) && !path.is_empty() {
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

/// rustfmt wraps neither comments nor texts. A row of a table, or a log line, is left alone.
#[test]
fn no_line_is_wider_than_100_columns() {
    let mut wide = Vec::new();
    for source in sources() {
        for (at, line) in source.text.lines().enumerate() {
            let code = line.trim_start();
            let is_row = ["//! |", "/// |", "// |"].iter().any(|start| code.starts_with(start));
            let is_alone = is_row || code.starts_with("tracing::");
            if line.chars().count() > WIDEST_LINE && !is_alone {
                wide.push(format!("{}:{}", source.name, at + 1));
            }
        }
    }
    assert!(wide.is_empty(), "{wide:#?}");
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
    let token = sources.iter().find(|source| source.name == "session/token.rs").unwrap();
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
    let (_, advisories) = deny.split_once("[advisories]").expect("advisories are looked at");
    let advisories = advisories.split("\n[").next().unwrap();
    assert!(!allowed.iter().any(|word| advisories.contains(word)), "{deny}");
    let sources = sources();
    let lib = sources.iter().find(|source| source.name == "lib.rs").unwrap();
    assert!(lib.text.contains("#![forbid(unsafe_code)]"));
    for source in &sources {
        assert!(!source.names("unsafe"), "{}", source.name);
        for lint in
            ["unwrap_used", "expect_used", "panic", "indexing_slicing", "await_holding_lock"]
        {
            // What checks a store for its author reports by a panic.
            let may = source.name.starts_with("testing/") && lint == "panic";
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
            let empty = ["utils", "util", "helpers", "types", "common", "manager", "misc"];
            assert!(!empty.contains(&part), "{}: a name that says nothing", source.name);
        }
    }
}
