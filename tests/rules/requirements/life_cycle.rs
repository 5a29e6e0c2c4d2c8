//! Rows 11 to 39: the life of a session, and its cookie.

use super::Row;

pub const ROWS: &[Row] = &[
    Row {
        number: 11,
        must: "A renewal gives a new id and keeps the data; before the response is sent the old id can write nothing, and after the grace it opens nothing.",
        tests: &[
            "tests/redis/life_cycle.rs::\
             login_and_renew_give_a_new_id_keep_the_data_and_kill_the_old_id_before_the_answer",
            "tests/durable/schedules/renewal.rs::\
             a_renewal_is_not_answered_before_the_old_id_is_dead",
            "tests/redis/advisories/fixation.rs::\
             cve_2020_5205_an_id_from_before_the_login_is_dead_after_it",
        ],
        open: "",
    },
    Row {
        number: 12,
        must: "A renewal is one step in the store, or leaves the old or the new and never both.",
        tests: &[
            "tests/conformance/contract.rs::the_redis_store_keeps_its_contract",
            "tests/layer/cancel.rs::a_request_dropped_after_any_poll_leaves_nothing_half_written",
            "tests/durable/schedules/renewal.rs::a_renewal_whose_app_dies_before_its_second_step",
            "tests/durable/schedules/renewal.rs::\
             a_renewal_whose_second_step_does_not_happen_is_finished_by_whoever_comes_next",
        ],
        open: "",
    },
    Row {
        number: 13,
        must: "What is written to a session that is gone revives it under no id.",
        tests: &[
            "tests/redis/revival.rs::a_request_in_flight_cannot_revive_a_session_that_ended",
            "tests/redis/revival.rs::a_read_in_flight_revives_nothing_by_its_touch",
            "tests/redis/advisories/lost_and_revived.rs::\
             cve_2025_46336_a_slow_request_cannot_revive_a_session_that_was_logged_out",
        ],
        open: "",
    },
    Row {
        number: 14,
        must: "A logout deletes on the server, a record that cannot be read too, and then answers.",
        tests: &[
            "tests/redis/life_cycle.rs::\
             a_logout_deletes_on_the_server_and_answers_with_the_removal_cookie",
            "tests/redis/peer_defects.rs::a_corrupt_record_locks_nobody_out",
            "tests/redis/outage.rs::a_logout_while_redis_is_away_is_never_a_success",
        ],
        open: "",
    },
    Row {
        number: 15,
        must: "The removal cookie has every attribute of the one that was set.",
        tests: &[
            "src/transport/cookie/tests.rs::what_builds_says_the_same_to_a_browser",
            "tests/redis/revival.rs::\
             the_removal_cookie_repeats_every_attribute_of_the_one_that_was_set",
        ],
        open: "",
    },
    Row {
        number: 16,
        must: "The idle timeout is the server's.",
        tests: &[
            "tests/redis/life_cycle.rs::\
             an_idle_session_ends_on_the_server_whatever_the_client_keeps",
            "src/session/expiry/tests.rs::\
             a_session_is_over_at_its_end_and_not_a_millisecond_before",
            "tests/redis/advisories/cookies.rs::\
             tower_sessions_0_4_3_no_store_gives_out_what_has_ended",
        ],
        open: "",
    },
    Row {
        number: 17,
        must: "The absolute end is the server's, and moved by nothing but a login.",
        tests: &[
            "tests/redis/life_cycle.rs::the_absolute_end_is_moved_by_nothing_but_a_login",
            "src/session/expiry/tests.rs::\
             no_activity_passes_the_absolute_end_or_shortens_a_session",
            "src/session/changes/tests/properties.rs::only_a_login_or_a_new_expiry_moves_the_absolute_end",
        ],
        open: "",
    },
    Row {
        number: 18,
        must: "The age that a cookie claims is never believed.",
        tests: &[
            "tests/redis/life_cycle.rs::\
             an_idle_session_ends_on_the_server_whatever_the_client_keeps",
            "tests/redis/advisories/cookies.rs::\
             cve_2024_35220_a_session_ends_on_the_server_whatever_the_cookie_says",
        ],
        open: "",
    },
    Row {
        number: 19,
        must: "Every key always ends by itself, by the command that stores its value.",
        tests: &[
            "tests/redis/commands.rs::every_key_gets_its_ttl_with_its_value",
            "test-support/tests/tools/redis_server.rs::\
             a_server_ends_with_a_last_look_at_what_was_asked_and_what_is_left",
        ],
        open: "",
    },
    Row {
        number: 20,
        must: "To extend the idle time rewrites no value, makes no key, passes no absolute end, and \
               is not done at every request.",
        tests: &[
            "tests/redis/life_cycle.rs::a_touch_rewrites_no_value_and_creates_no_key",
            "tests/redis/commands.rs::\
             reading_past_the_touch_interval_writes_the_activity_down_once",
            "src/session/expiry/tests.rs::activity_slides_the_idle_end_and_never_the_absolute_one",
            "tests/durable/schedules/renewal.rs::a_touch_that_arrives_after_the_logout",
        ],
        open: "",
    },
    Row {
        number: 21,
        must: "A visit makes no record and no cookie; to empty a session ends it.",
        tests: &[
            "tests/redis/life_cycle.rs::a_thousand_anonymous_visits_make_no_record_and_no_cookie",
            "tests/redis/advisories/records.rs::cve_2015_5143_visits_and_logouts_fill_no_store",
        ],
        open: "",
    },
    Row {
        number: 22,
        must: "What is stored is bounded, and what is over the bound is refused before the store is \
               asked.",
        tests: &[
            "tests/redis/life_cycle.rs::\
             a_record_over_its_bound_is_refused_before_the_store_is_asked",
            "src/session/changes/tests.rs::a_record_of_the_bound_is_taken_and_one_byte_more_is_not",
            "tests/redis/advisories/records.rs::cve_2016_4423_nobody_stores_more_than_the_bound",
            "tests/redis/bounds.rs::\
             beyond_a_bound_nothing_is_asked_of_the_store_and_nothing_is_lost",
            "src/session/json.rs::the_bound_is_exact_and_texts_do_not_count",
        ],
        open: "",
    },
    Row {
        number: 23,
        must: "All sessions of a user can be listed and ended, all but one too, and their number \
               limited; index entries die with their sessions.",
        tests: &[
            "tests/redis/devices.rs::a_list_tells_of_every_session_and_which_one_is_this",
            "tests/redis/devices.rs::one_session_can_be_ended_from_another_but_nobody_elses",
            "tests/redis/devices.rs::all_others_end_and_this_one_stays",
            "tests/redis/devices.rs::with_a_limit_of_five_fifty_sign_ins_at_once_leave_five",
            "tests/redis/devices.rs::entries_die_with_their_sessions",
            "tests/durable/healthy.rs::\
             a_session_that_is_revoked_from_another_is_seen_by_both_at_once",
            "tests/conformance/contract.rs::the_redis_store_keeps_its_contract",
            "tests/durable/schedules/revocation.rs::\
             a_renewal_or_a_login_that_is_held_anywhere_while_all_is_revoked",
            "tests/durable/schedules/revocation.rs::\
             two_logins_and_a_renewal_at_the_limit_in_every_order_of_their_steps",
            "tests/redis/life_cycle.rs::\
             out_everywhere_is_no_success_where_nobody_can_tell_whose_session_it_is",
        ],
        open: "",
    },
    Row {
        number: 24,
        must: "The events of a session's life can be observed.",
        tests: &[
            "tests/redis/events.rs::each_event_is_told_once_and_with_the_public_id",
            "tests/redis/events.rs::revocations_and_what_cannot_be_used_are_told",
            "tests/redis/events.rs::an_expired_session_is_told_apart_from_one_that_never_was",
            "tests/durable/leaks.rs::the_logs_tell_of_a_session_by_its_public_id",
        ],
        open: "",
    },
    Row {
        number: 25,
        must: "Safe defaults of the cookie, weakened only by a name that says so.",
        tests: &[
            "src/transport/cookie/tests.rs::the_headers_are_as_documented",
            "tests/redis/cookie.rs::the_attributes_of_the_cookie_never_change",
        ],
        open: "",
    },
    Row {
        number: 26,
        must: "A cookie that contradicts itself, or could not be sent as it is meant, does not build.",
        tests: &[
            "src/transport/cookie/tests.rs::what_contradicts_itself_or_is_malformed_does_not_build",
            "src/transport/cookie/tests.rs::what_builds_says_the_same_to_a_browser",
            "tests/redis/advisories/cookies.rs::\
             rustsec_2024_0009_no_setting_puts_a_header_or_an_attribute_into_the_answer",
        ],
        open: "",
    },
    Row {
        number: 27,
        must: "Name and value fit 4096 bytes, each attribute 1024.",
        tests: &[
            "src/transport/cookie/tests.rs::what_contradicts_itself_or_is_malformed_does_not_build",
            "src/transport/cookie/tests.rs::what_browsers_take_builds",
        ],
        open: "",
    },
    Row {
        number: 28,
        must: "`Max-Age` is whole seconds from 1 to 400 days.",
        tests: &[
            "src/transport/cookie/tests.rs::max_age_has_whole_seconds_from_1_to_400_days",
            "src/session/expiry/tests.rs::the_ends_of_time_do_not_overflow",
            "tests/redis/advisories/cookies.rs::rustsec_2017_0005_no_age_is_too_large_to_be_sent",
        ],
        open: "",
    },
    Row {
        number: 29,
        must: "Our cookie is found by bytes: exact name, only space and tab trimmed, nothing decoded.",
        tests: &[
            "src/transport/cookie/parse/tests.rs::what_is_not_exactly_our_cookie_is_not_ours",
            "src/transport/cookie/parse/tests.rs::only_pairs_of_exactly_our_name_give_a_token",
            "src/transport/cookie/parse/tests.rs::a_name_that_is_off_by_a_byte_is_not_ours",
            "tests/redis/advisories/cookies.rs::cookie_chaos_2025_only_space_and_tab_are_trimmed",
        ],
        open: "",
    },
    Row {
        number: 30,
        must: "A bad cookie of a neighbour does not hide ours.",
        tests: &[
            "tests/redis/cookie.rs::a_bad_cookie_of_a_neighbour_does_not_hide_ours",
            "src/transport/cookie/parse/tests.rs::our_cookie_is_found_beside_anything",
        ],
        open: "",
    },
    Row {
        number: 31,
        must: "Of several cookies of our name exactly one alive is used; of more, none, and a sign-in ends \
             them.",
        tests: &[
            "tests/redis/cookie.rs::of_two_live_cookies_none_is_used_and_none_is_touched",
            "tests/redis/cookie.rs::a_sign_in_ends_every_session_that_its_cookies_open",
            "tests/layer/twin_cookies.rs::a_planted_session_is_over_when_its_victim_signs_in",
            "tests/redis/peer_defects.rs::a_bogus_second_cookie_of_our_name_signs_nobody_out",
            "src/transport/cookie/parse/tests.rs::four_well_formed_tokens_are_looked_at",
        ],
        open: "",
    },
    Row {
        number: 32,
        must: "Several `Cookie` lines count as one.",
        tests: &[
            "tests/redis/cookie.rs::several_cookie_lines_count_as_one",
            "src/transport/cookie/parse/tests.rs::several_header_lines_are_one",
        ],
        open: "",
    },
    Row {
        number: 33,
        must: "`Set-Cookie` is added to the application's own, at most once, and only for a change.",
        tests: &[
            "tests/redis/cookie.rs::the_cookies_of_the_application_survive_and_ours_is_at_most_one",
            "tests/layer/bodies.rs::any_other_status_is_committed_and_passes_as_it_is",
            "tests/redis/advisories/cookies.rs::\
             cve_2025_7339_the_headers_of_the_application_arrive_as_they_were",
        ],
        open: "",
    },
    Row {
        number: 34,
        must: "`Vary: Cookie` wherever the session was looked at, merged into what is there.",
        tests: &[
            "tests/redis/cookie.rs::caches_are_told_that_a_response_depends_on_the_session",
            "tests/redis/cookie.rs::a_shared_cache_never_gives_one_client_what_belongs_to_another",
            "src/layer/response.rs::vary_is_merged_into_what_the_app_said",
            "tests/redis/advisories/cookies.rs::\
             cve_2023_30861_an_answer_that_depends_on_the_session_says_so",
        ],
        open: "",
    },
    Row {
        number: 35,
        must: "`Cache-Control: no-store` with our cookie.",
        tests: &[
            "tests/redis/cookie.rs::caches_are_told_that_a_response_depends_on_the_session",
            "src/layer/response.rs::a_weaker_cache_control_gives_way",
        ],
        open: "",
    },
    Row {
        number: 36,
        must: "`SameSite` is not taken for a protection against forged requests.",
        tests: &[
            "tests/redis/csrf.rs::another_sites_page_gets_nothing_even_with_a_token",
            "tests/redis/csrf.rs::an_own_page_without_a_token_gets_nothing",
            "examples/caption-server/src/tests/rows.rs::\
             f23_a_form_without_the_sessions_token_changes_nothing",
            "examples/caption-server/src/tests/bad_input.rs::each_bad_request_has_its_answer",
        ],
        open: "",
    },
    Row {
        number: 37,
        must: "`Partitioned` is asked for, and never without `Secure`.",
        tests: &[
            "src/transport/cookie/tests.rs::the_headers_are_as_documented",
            "src/transport/cookie/tests.rs::what_contradicts_itself_or_is_malformed_does_not_build",
        ],
        open: "",
    },
    Row {
        number: 38,
        must: "Nothing stands in the way of Device Bound Session Credentials.",
        tests: &[
            "tests/redis/http_manners.rs::the_headers_of_device_bound_sessions_pass_both_ways",
            "tests/redis/cookie.rs::the_attributes_of_the_cookie_never_change",
        ],
        open: "",
    },
    Row {
        number: 39,
        must: "An application can add `Clear-Site-Data` to the answer to a logout.",
        tests: &["tests/redis/http_manners.rs::clear_site_data_goes_out_with_the_removal_cookie"],
        open: "",
    },
];
