//! Any bytes as the token of a cookie: refused, or a token whose text is those bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let _ = tower_redis_session::fuzzing::token(text);
});
