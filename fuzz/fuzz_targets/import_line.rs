//! Any text as a line of an export: an error, or a key and values that are JSON.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &str| {
    let _ = tower_redis_session::fuzzing::import_line(line);
});
