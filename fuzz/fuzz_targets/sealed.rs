//! Any bytes as a stored record with sealed content: an error, never a record.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = tower_redis_session::fuzzing::sealed(1, bytes);
});
