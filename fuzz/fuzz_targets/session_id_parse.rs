//! Any text as a session's public id: an error, or an id that prints as that text.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = tower_redis_session::fuzzing::session_id_parse(text);
});
