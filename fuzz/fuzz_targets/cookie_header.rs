//! Any bytes as `Cookie` lines: no panic, and no token from a pair that is not exactly ours.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // A line feed separates two header lines; no server lets one into a header.
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    for name in ["__Host-session", "id"] {
        let _ = tower_redis_session::fuzzing::cookie_header(&lines, name);
    }
});
