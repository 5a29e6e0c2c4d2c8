//! Any text behind a signature of Django: an error, or values that are JSON, never more than 1 MiB.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    let _ = tower_redis_session::fuzzing::import_django(data);
});
