//! Any bytes as a form: no panic, and no more in the field than there was in the form.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|form: &[u8]| {
    for name in ["csrf_token", "t"] {
        let _ = tower_redis_session::fuzzing::csrf_form(form, name);
    }
});
