//! Rows 40 to 68: many at once, what HTTP asks for, and what breaks.

use super::Row;

pub const ROWS: &[Row] = &[
    Row {
        number: 40,
        must: "No update is lost without a word.",
        tests: &[
            "tests/redis/concurrency.rs::\
             two_thousand_increments_by_64_clients_through_two_processes_end_at_two_thousand",
            "tests/redis/concurrency.rs::\
             two_overlapping_requests_that_write_different_names_keep_both",
            "tests/durable/schedules/renewal.rs::\
             updates_whose_every_50th_reply_is_lost_are_counted_once",
        ],
        open: "",
    },
    Row {
        number: 41,
        must: "A request that changed nothing writes nothing.",
        tests: &[
            "tests/redis/commands.rs::reading_within_the_touch_interval_writes_nothing",
            "tests/redis/commands.rs::the_round_trips_of_every_kind_of_request",
        ],
        open: "",
    },
    Row {
        number: 42,
        must: "No lock is held while a handler runs.",
        tests: &[
            "tests/redis/life_cycle.rs::\
             a_handler_that_takes_its_time_blocks_no_other_request_of_the_session",
            "tests/layer/limits.rs::\
             an_update_that_nobody_polls_refuses_no_other_request_of_its_session",
        ],
        open: "",
    },
    Row {
        number: 43,
        must: "The handle can go to any thread, and its one lock is never held across a wait.",
        tests: &[
            "tests/layer/generic.rs::the_handle_can_go_anywhere",
            "tests/rules/structure.rs::the_build_denies_what_is_promised_to_be_absent",
            "tests/redis/advisories/lost_and_revived.rs::\
             tower_sessions_254_a_change_by_another_thread_is_stored",
            "tests/layer/tasks.rs::\
             the_head_waits_for_a_login_that_a_task_is_storing_and_hands_out_its_id",
        ],
        open: "no model of every order of its threads' steps: the one lock is the standard library's.",
    },
    Row {
        number: 44,
        must: "A handle that outlives its response changes nothing, and says so.",
        tests: &[
            "tests/redis/life_cycle.rs::\
             a_handle_kept_after_the_response_is_closed_and_changes_nothing",
            "tests/layer/cancel.rs::a_handle_of_a_request_that_was_dropped_is_closed",
        ],
        open: "",
    },
    Row {
        number: 45,
        must: "The whole answers as a simple model does, under random histories.",
        tests: &[
            "tests/conformance/model.rs::the_layer_answers_as_the_model_does",
            "tests/conformance/model.rs::the_layer_answers_as_the_model_does_on_redis",
            "tests/durable/nemesis.rs::every_promise_holds_under_random_faults",
            "tests/durable/nemesis.rs::\
             redis_alone_keeps_what_it_promises_under_random_faults_and_failovers",
            "tests/durable/nemesis.rs::\
             a_cluster_keeps_what_it_promises_under_random_faults_moves_and_failovers",
        ],
        open: "",
    },
    Row {
        number: 46,
        must: "Only the service that was polled ready is called.",
        tests: &[
            "tests/layer/generic.rs::\
             any_service_and_any_body_will_do_and_the_ready_service_is_the_one_called",
            "tests/redis/http_manners.rs::the_layer_is_ready_when_the_inner_service_is",
        ],
        open: "",
    },
    Row {
        number: 47,
        must: "No request and no answer of a store makes the library panic.",
        tests: &[
            "tests/rules/structure.rs::the_build_denies_what_is_promised_to_be_absent",
            "tests/durable/leaks.rs::no_secret_shows_with_redis_alone",
            "tests/durable/leaks.rs::no_secret_shows_with_redis_before_postgresql",
            "src/session/record/tests.rs::a_flipped_byte_never_panics",
            "src/transport/cookie/parse/tests.rs::arbitrary_bytes_never_panic",
            "test-support/tests/tools/guards.rs::a_panic_of_the_library_fails_its_test",
        ],
        open: "",
    },
    Row {
        number: 48,
        must: "All waits of a request together are bounded by one budget.",
        tests: &[
            "tests/redis/outage.rs::\
             a_request_that_needs_the_store_is_refused_within_the_budget_and_keeps_its_cookie",
            "tests/redis/outage.rs::the_budget_holds_whatever_the_limits_of_a_connection_are",
            "tests/layer/limits.rs::all_touches_and_the_commit_of_a_request_share_one_budget",
            "tests/redis/advisories/connections.rs::\
             openai_october_2023_a_slow_redis_costs_no_request_more_than_its_budget",
        ],
        open: "",
    },
    Row {
        number: 49,
        must: "A full pool and an open circuit answer at once.",
        tests: &[
            "tests/redis/outage.rs::\
             a_hundred_requests_at_a_hung_redis_are_all_answered_within_the_budget",
            "tests/durable/faults/load.rs::a_hanging_redis_slows_only_the_first_few",
            "src/store/durable/breaker.rs::\
             a_few_failures_in_a_row_open_it_and_only_a_probe_closes_it",
        ],
        open: "the circuit is that of a store with a database; with Redis alone each request waits \
               for its own budget.",
    },
    Row {
        number: 50,
        must: "At most one retry, of what is safe to repeat; a create is tried again under a new id.",
        tests: &[
            "tests/layer/overlap.rs::a_first_write_whose_answer_is_lost_gets_a_fresh_id",
            "tests/layer/overlap.rs::a_write_whose_answer_is_lost_is_done_once",
            "tests/redis/faults.rs::all_idle_connections_cut_at_once_cost_no_request",
        ],
        open: "a create and a write are tried up to three times within the budget, and at once: they \
               are fenced, so that none counts twice.",
    },
    Row {
        number: 51,
        must: "\"Unknown\" is an outcome of its own.",
        tests: &[
            "tests/layer/overlap.rs::a_lost_answer_under_another_writer_is_not_guessed",
            "tests/layer/overlap.rs::\
             a_write_that_is_never_confirmed_is_503_and_counted_at_most_once",
        ],
        open: "",
    },
    Row {
        number: 52,
        must: "A failed commit is no success, and tells no new cookie.",
        tests: &[
            "tests/layer/bodies.rs::a_failed_commit_takes_the_place_of_the_response",
            "tests/redis/outage.rs::redis_dying_between_load_and_commit_refuses_the_response",
            "tests/redis/outage.rs::a_full_redis_loses_nobody_and_logs_out",
        ],
        open: "",
    },
    Row {
        number: 53,
        must: "A store that is away is never \"nobody\", and takes no cookie; who needs no session \
               notices nothing.",
        tests: &[
            "tests/redis/outage.rs::requests_that_do_not_need_the_store_notice_no_outage",
            "tests/redis/outage.rs::\
             a_request_that_needs_the_store_is_refused_within_the_budget_and_keeps_its_cookie",
        ],
        open: "",
    },
    Row {
        number: 54,
        must: "A logout during an outage is one after it, on every instance.",
        tests: &[
            "tests/durable/schedules/generation.rs::a_push_that_is_refused",
            "tests/durable/schedules/partition.rs::\
             a_redis_of_the_past_that_comes_while_the_apps_are_down",
            "tests/durable/schedules/server_identity.rs::\
             a_redis_that_comes_back_empty_or_from_a_snapshot_under_load",
            "tests/durable/nemesis.rs::every_promise_holds_under_random_faults",
            "tests/durable/nemesis.rs::every_promise_holds_under_random_faults_and_failovers",
        ],
        open: "with a database; Redis alone cannot.",
    },
    Row {
        number: 55,
        must: "The commit comes before the head; what a stream changes, before its last frame.",
        tests: &[
            "tests/layer/bodies.rs::a_stream_that_writes_is_stored_before_it_ends",
            "tests/layer/bodies.rs::a_stream_whose_change_cannot_be_stored_ends_in_an_error",
            "tests/redis/peer_defects.rs::what_a_streaming_body_changes_is_saved_before_its_end",
        ],
        open: "",
    },
    Row {
        number: 56,
        must: "What a status means for the commit is defined.",
        tests: &[
            "tests/redis/life_cycle.rs::what_a_status_means_for_the_commit_is_defined",
            "tests/layer/bodies.rs::a_server_error_drops_what_is_buffered_and_keeps_what_was_done",
        ],
        open: "",
    },
    Row {
        number: 57,
        must: "Upgrades, tunnels, `HEAD`, interim answers and 304 pass unharmed.",
        tests: &[
            "tests/redis/http_manners.rs::an_upgrade_and_a_tunnel_pass_and_their_session_is_stored",
            "tests/redis/http_manners.rs::what_has_no_body_has_the_head_of_what_would_have_one",
            "tests/redis/http_manners.rs::an_interim_answer_comes_before_the_body_is_sent",
            "tests/layer/bodies.rs::\
             an_upgrade_keeps_its_extensions_and_an_untouched_response_is_untouched",
        ],
        open: "",
    },
    Row {
        number: 58,
        must: "TLS to the store verifies, and never falls back to plain.",
        tests: &[
            "tests/redis/tls.rs::an_encrypted_address_never_talks_to_a_plain_port",
            "tests/redis/tls.rs::a_certificate_that_nobody_vouches_for_is_refused",
            "tests/redis/tls.rs::\
             a_trusted_certificate_works_and_one_for_another_name_or_time_does_not",
            "tests/redis/faults.rs::an_address_told_to_be_encrypted_never_talks_in_plain",
            "src/store/database/postgres/options.rs::\
             an_authority_is_used_with_the_name_of_the_host_or_makes_no_store",
            "tests/durable/database/tls.rs::\
             a_private_authority_is_trusted_by_address_and_by_code_and_each_fault_is_named",
        ],
        open: "",
    },
    Row {
        number: 59,
        must: "The rights that are documented are those that the tests run with.",
        tests: &[
            "tests/redis/life_cycle.rs::the_documented_rights_are_enough_and_no_more_is_asked_for",
            "tests/redis/life_cycle.rs::no_right_is_documented_that_nothing_of_ours_needs",
            "test-support/tests/tools/redis_server.rs::\
             a_server_ends_with_a_last_look_at_what_was_asked_and_what_is_left",
            "tests/redis/advisories/outside.rs::\
             cve_2025_21605_the_documented_user_may_do_nothing_else",
        ],
        open: "",
    },
    Row {
        number: 60,
        must: "Two applications with two prefixes share a Redis and nothing else.",
        tests: &[
            "tests/redis/life_cycle.rs::\
             two_applications_with_two_prefixes_share_a_redis_and_nothing_else",
            "tests/redis/advisories/fixation.rs::\
             cve_2011_4136_no_name_that_a_user_chooses_is_the_key_of_a_session",
        ],
        open: "",
    },
    Row {
        number: 61,
        must: "Stored bytes are inert data of a known version; another version is neither destroyed \
               nor overwritten.",
        tests: &[
            "src/session/record/tests.rs::\
             arbitrary_bytes_are_an_error_or_a_record_that_writes_them",
            "src/session/record/tests.rs::another_format_is_unsupported_whatever_follows",
            "tests/redis/life_cycle.rs::a_record_of_a_newer_version_is_refused_and_kept_as_it_is",
            "tests/redis/advisories/records.rs::\
             cve_2020_9484_stored_bytes_are_data_and_nothing_else",
            "tests/redis/advisories/records.rs::\
             rustsec_2017_0006_no_length_is_believed_before_its_bytes_are_there",
        ],
        open: "",
    },
    Row {
        number: 62,
        must: "Records can be sealed: encrypted and bound to their id and version.",
        tests: &[
            "src/encryption/records/tests.rs::no_bit_of_it_can_be_another",
            "src/encryption/records/tests.rs::another_session_opens_nothing",
            "src/encryption/records/tests.rs::nor_what_stands_open_beside_it",
            "tests/redis/sealed.rs::\
             what_was_swapped_put_back_or_changed_in_the_store_is_no_session",
            "tests/redis/sealed.rs::\
             a_sealed_session_does_all_that_a_plain_one_does_and_shows_nothing",
        ],
        open: "the key is that of the client's own token, so there is no ring of keys to rotate.",
    },
    Row {
        number: 63,
        must: "What a client is told of a fault is generic.",
        tests: &[
            "tests/redis/life_cycle.rs::every_answer_to_a_fault_is_the_same_and_short",
            "tests/redis/outage.rs::a_store_that_will_not_do_is_told_apart_from_one_that_is_down",
        ],
        open: "",
    },
    Row {
        number: 64,
        must: "No unsafe code, checked advisories, a locked set of dependencies, a named oldest \
               compiler.",
        tests: &[
            "tests/rules/structure.rs::the_build_denies_what_is_promised_to_be_absent",
            "tests/redis/advisories/dependencies.rs::rustsec_2026_0009_time_is_new_enough",
        ],
        open: "the oldest compiler is checked by a lint and not by a build with it.",
    },
    Row {
        number: 65,
        must: "Whether it is ready can be asked: pool, circuit, last cause.",
        tests: &[
            "tests/redis/outage.rs::whether_the_site_is_ready_can_be_asked_without_asking_redis",
            "tests/durable/faults/database_away.rs::\
             with_both_away_requests_are_refused_in_time_and_either_brings_them_back",
        ],
        open: "",
    },
    Row {
        number: 66,
        must: "Guesses at a password are limited by account and by network, whatever is tried at \
               once and whichever store dies; who is not guessing signs in, and an unknown account \
               looks like any other.",
        tests: &[
            "tests/conformance/attempts.rs::\
             of_10_000_guesses_by_64_clients_exactly_the_allowed_number_reach_the_hash",
            "tests/conformance/attempts.rs::\
             a_killed_redis_in_front_of_a_database_gives_no_further_guess",
            "tests/conformance/attempts.rs::every_store_decides_as_the_one_in_memory_does",
            "tests/conformance/attempts.rs::\
             a_flood_of_made_up_names_takes_bounded_space_and_forgives_nothing",
            "tests/layer/sign_in_limit.rs::one_network_never_makes_a_user_on_another_wait",
            "tests/layer/sign_in_limit.rs::\
             an_account_has_at_most_100_failures_on_record_and_a_reserve_for_known_networks",
            "examples/caption-server/src/tests/signing_in.rs::\
             guessing_has_to_wait_whether_or_not_there_is_such_a_user",
        ],
        open: "",
    },
    Row {
        number: 67,
        must: "A logout at the identity provider ends the sessions of its name, on every store and \
               whatever is in progress: a sign-in, a renewal, an impersonation.",
        tests: &[
            "tests/conformance/external_ids.rs::\
             a_name_ends_its_sessions_on_every_store_whatever_is_in_progress",
            "tests/conformance/external_ids.rs::\
             a_session_that_moves_while_the_list_is_read_ends_too",
            "tests/layer/external_id.rs::\
             a_logout_that_overtakes_a_sign_in_or_a_renewal_ends_it",
            "tests/layer/external_id.rs::a_name_is_known_for_as_long_as_its_session_lives",
            "tests/layer/external_id.rs::\
             a_sign_in_that_cannot_be_entered_fails_and_leaves_no_session",
            "tests/layer/external_id.rs::\
             a_sign_in_of_a_visitor_that_cannot_be_entered_leaves_no_session_of_the_user",
            "tests/layer/external_id.rs::\
             a_logout_that_cannot_be_marked_ends_the_known_sessions_and_is_an_error",
            "tests/redis/full.rs::\
             a_provider_logout_on_a_full_redis_ends_what_is_known_and_is_complete_when_repeated",
        ],
        open: "",
    },
    Row {
        number: 68,
        must: "Only administrators reach the end points that list and end other users' sessions; \
               no other site's page does, and the events name them.",
        tests: &[
            "tests/layer/admin_api.rs::only_administrators_reach_any_end_point",
            "tests/layer/admin_api.rs::what_another_sites_page_sends_ends_nothing",
            "tests/layer/admin_api.rs::\
             an_administrator_lists_and_ends_sessions_and_events_name_them",
        ],
        open: "",
    },
];
