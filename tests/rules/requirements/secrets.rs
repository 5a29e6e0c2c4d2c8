//! Rows 1 to 10: the id, and where it is.

use super::Row;

pub const ROWS: &[Row] = &[
    Row {
        number: 1,
        must: "At least 128 bits of the operating system's randomness in an id, and nothing else; \
               without randomness there is no id.",
        tests: &[
            "src/session/token/tests.rs::a_token_is_256_bits_in_43_characters",
            "src/session/token/tests.rs::\
             a_million_tokens_are_distinct_and_every_bit_of_them_is_random",
            "src/session/token/tests.rs::without_randomness_there_is_no_token",
            "tests/redis/advisories/dependencies.rs::\
             rustsec_2026_0097_tokens_come_from_the_operating_system",
        ],
        open: "where a store places sessions by user, 16 of the 256 bits are a hash of the user; 240 \
               are random.",
    },
    Row {
        number: 2,
        must: "An id means nothing: no time, host, user or count is in it.",
        tests: &["src/session/token/tests.rs::\
             a_million_tokens_are_distinct_and_every_bit_of_them_is_random"],
        open: "these 16 bits are the same for all sessions of a user; what that reveals, and to \
               whom, is in SECURITY.md, \"The tag of a session id\".",
    },
    Row {
        number: 3,
        must: "One exact form; anything else is no session and never reaches the store.",
        tests: &[
            "tests/redis/commands.rs::a_thousand_malformed_cookies_send_no_command",
            "src/session/token/tests.rs::only_the_one_exact_form_is_a_token",
            "src/session/token/tests.rs::any_bytes_are_a_token_only_if_they_are_its_text",
            "src/session/token/tests.rs::\
             bytes_of_the_right_length_and_letters_are_a_token_only_if_canonical",
            "src/session/token/tests.rs::tokens_and_ids_round_trip",
            "tests/redis/advisories/fixation.rs::\
             cve_2024_3400_an_id_is_parsed_and_leads_to_no_file",
        ],
        open: "",
    },
    Row {
        number: 4,
        must: "An id that was not issued here is never adopted.",
        tests: &[
            "tests/redis/life_cycle.rs::a_well_formed_id_that_was_not_issued_is_never_adopted",
            "tests/redis/advisories/fixation.rs::\
             cve_2024_38513_an_id_that_the_client_chose_is_not_used",
        ],
        open: "",
    },
    Row {
        number: 5,
        must: "To create is one step that overwrites nothing; a clash draws another id, a few times.",
        tests: &[
            "tests/redis/advisories/fixation.rs::\
             tower_sessions_0_12_an_id_that_is_in_use_overwrites_nobody",
            "tests/conformance/contract.rs::the_redis_store_keeps_its_contract",
            "tests/conformance/contract.rs::a_store_that_breaks_any_sentence_does_not_pass",
        ],
        open: "",
    },
    Row {
        number: 6,
        must: "The store, its slow log, its monitor and the database never hold the id.",
        tests: &[
            "tests/durable/leaks.rs::no_secret_shows_with_redis_alone",
            "tests/durable/leaks.rs::no_secret_shows_with_redis_before_postgresql",
            "tests/redis/life_cycle.rs::neither_the_store_nor_its_logs_hold_the_cookie",
            "tests/redis/advisories/fixation.rs::\
             cve_2019_16782_neither_is_the_cookie_a_key_nor_a_key_a_cookie",
        ],
        open: "",
    },
    Row {
        number: 7,
        must: "The time of a lookup reveals nothing about ids; secrets are never compared byte by byte.",
        tests: &[
            "tests/rules/structure.rs::the_bytes_of_a_token_are_never_compared_or_printed",
            "src/session/token/tests.rs::the_id_gives_nothing_of_the_token",
        ],
        open: "",
    },
    Row {
        number: 8,
        must: "Ids, values, passwords and keys are in no log, error, `Debug`, panic or body.",
        tests: &[
            "tests/durable/leaks.rs::no_secret_shows_with_redis_alone",
            "tests/durable/leaks.rs::no_secret_shows_with_redis_before_postgresql",
            "tests/redis/life_cycle.rs::nothing_that_is_logged_or_printed_holds_a_secret",
            "tests/layer/reported_state.rs::an_error_never_tells_the_value_that_it_is_about",
            "src/session/record/tests.rs::a_record_prints_no_value_user_or_mark",
            "src/session/token/tests.rs::a_token_is_not_printed",
            "src/env/tests.rs::no_secret_is_printed",
            "src/transport/cookie/tests.rs::the_header_is_marked_as_secret",
            "test-support/tests/tools/guards.rs::\
             a_secret_that_is_logged_printed_or_stored_fails_its_test",
        ],
        open: "",
    },
    Row {
        number: 9,
        must: "Log lines of one session can be told to belong together, and those of sign-ins, \
               logouts and revocations have user, device and cause.",
        tests: &[
            "tests/durable/leaks.rs::the_logs_tell_of_a_session_by_its_public_id",
            "tests/redis/events.rs::an_audit_learns_who_from_where_and_why",
        ],
        open: "by the public id, a hash of the secret in the cookie, and not by a salted hash: it \
               is the same in every process, and opens nothing.",
    },
    Row {
        number: 10,
        must: "The id comes in the cookie and from nowhere else, unless a header was asked for, and then \
               from nowhere but that.",
        tests: &[
            "tests/redis/life_cycle.rs::the_id_is_taken_from_the_cookie_and_from_nowhere_else",
            "tests/redis/transport.rs::a_layer_has_one_transport_and_hears_no_other",
        ],
        open: "",
    },
];
