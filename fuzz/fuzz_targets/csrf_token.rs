//! Any bytes as a CSRF token: no panic, and never one that a fresh session would take.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let _ = tower_redis_session::fuzzing::csrf_token(text);
});
