"""What a backend can't do, and why. Such a check is expected to fail; it turns red if it passes.

moto is the fake of the provider tests: its gaps say what those tests can't tell. The embedded cloud
has none at present; one that opens is a gap of the product, to be told in `docs/embedded-cloud.md`.
"""

from __future__ import annotations

EMBEDDED, MOTO = "embedded", "moto"

NO_EVALUATION = "puts metrics and alarms beside each other and judges nothing"
NO_MOVES = "has no message move tasks"
NO_CHECK = "takes any target and any rule of a notification"
QUOTES_SLASHES = "encodes the slashes of a key"
CONFIRMS = "confirms an address by itself"

GAPS: dict[str, dict[str, str]] = {
    # What moto lacks of alarms and metrics
    "test_a_metric_over_the_threshold_is_an_alarm": {MOTO: NO_EVALUATION},
    "test_an_alarm_is_over_when_its_metric_is": {MOTO: NO_EVALUATION},
    "test_an_alarm_looks_at_its_own_dimensions": {MOTO: NO_EVALUATION},
    "test_an_alarm_tells_its_topic": {MOTO: NO_EVALUATION},
    "test_a_message_in_a_queue_sets_off_its_alarm": {MOTO: NO_EVALUATION},
    "test_a_state_can_be_set_for_a_drill": {MOTO: "runs no actions of alarms"},
    "test_an_alarm_has_a_history": {MOTO: "has no history of alarms"},
    "test_a_queue_in_use_is_measured": {MOTO: "measures nothing by itself"},
    "test_a_composite_alarm_follows_its_children": {MOTO: "has no composite alarms"},
    "test_a_metric_filter_counts_the_lines_that_it_matches": {
        MOTO: "keeps metric filters and counts nothing with them"
    },
    # What moto lacks of rights
    "test_a_policy_of_aws_can_be_attached": {MOTO: "loads AWS's own policies only when told to"},
    "test_a_policy_can_be_tried_out": {MOTO: "has no policy simulator"},
    "test_a_user_without_a_policy_may_do_nothing": {MOTO: "asks for no rights unless told to"},
    "test_a_missing_key_is_told_only_to_who_may_list_the_bucket": {
        MOTO: "asks for no rights unless told to"
    },
    "test_a_bucket_that_refuses_plain_http_can_be_used": {
        MOTO: "judges a bucket's policy without the condition's key"
    },
    # What moto lacks of the events of S3
    "test_a_key_is_encoded_as_in_a_form": {MOTO: QUOTES_SLASHES},
    "test_a_key_in_any_script_is_percent_encoded": {MOTO: QUOTES_SLASHES},
    "test_a_record_has_what_aws_puts_there": {MOTO: "gives an event no sequencer"},
    "test_a_multipart_upload_is_announced_when_it_completes": {MOTO: "announces it twice"},
    "test_a_deletion_in_a_versioned_bucket_is_announced_as_a_marker": {
        MOTO: "announces no deletion in a versioned bucket"
    },
    "test_two_rules_for_the_same_event_are_refused": {MOTO: NO_CHECK},
    "test_a_target_that_does_not_exist_is_refused": {MOTO: NO_CHECK},
    "test_a_queue_that_does_not_let_s3_in_is_refused": {MOTO: NO_CHECK},
    # What moto lacks of topics
    "test_subscribing_an_address_waits_for_its_confirmation": {MOTO: CONFIRMS},
    "test_an_unconfirmed_address_is_listed_as_pending": {MOTO: CONFIRMS},
    "test_a_filter_that_is_no_json_is_refused": {MOTO: "breaks on it"},
    # What moto lacks of queues
    "test_a_dead_letter_keeps_its_attributes_and_names_its_source": {MOTO: "names no source"},
    "test_a_move_task_brings_dead_letters_back_to_their_source": {MOTO: NO_MOVES},
    "test_a_finished_move_task_tells_how_many_it_moved_and_no_handle": {MOTO: NO_MOVES},
    "test_a_move_task_with_a_rate_takes_its_time": {MOTO: NO_MOVES},
    "test_a_move_task_can_be_cancelled": {MOTO: NO_MOVES},
    "test_a_queue_has_one_move_task_at_a_time": {MOTO: NO_MOVES},
    "test_a_queue_that_is_no_dead_letter_queue_has_no_move_task": {MOTO: NO_MOVES},
    "test_a_dead_letter_queue_that_denies_its_sources_is_refused": {
        MOTO: "keeps RedriveAllowPolicy and never asks it"
    },
    "test_a_dead_letter_queue_that_does_not_exist_is_refused": {MOTO: "has another error for it"},
}
"""Name of the check -> backend -> reason."""
