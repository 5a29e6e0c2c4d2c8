//! Any bytes as a stored record: an error, or a record that writes the same bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = tower_redis_session::fuzzing::record_decode(1, bytes);
});
