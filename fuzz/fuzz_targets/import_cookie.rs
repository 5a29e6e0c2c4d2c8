//! Any bytes as the cookie of another library: no panic, and no id that is out of bounds.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    let _ = tower_redis_session::fuzzing::import_cookie(line);
});
