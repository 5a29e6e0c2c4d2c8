//! Any bytes as a Redis node's reply to `CLUSTER SLOTS`: a fault, or a map that adds up.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|reply: &[u8]| {
    let _ = tower_redis_session::fuzzing::cluster_slots(reply);
});
