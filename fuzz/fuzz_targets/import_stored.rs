//! Any bytes as the stored session of another library: an error, or values that are JSON.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = tower_redis_session::fuzzing::import_stored(bytes);
});
