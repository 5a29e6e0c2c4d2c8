//! Any text behind `MOVED`: it leads nowhere, or to the node that it names.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|detail: &str| {
    let _ = tower_redis_session::fuzzing::cluster_redirect(detail);
});
