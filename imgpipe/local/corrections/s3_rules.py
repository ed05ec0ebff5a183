"""Notification documents that AWS refuses and ministack takes; and the spelling in which AWS gives them back."""

from __future__ import annotations

import itertools
from typing import Any

from ministack.core.arn import parse_arn
from ministack.core.responses import get_account_id
from ministack.services import s3

from imgpipe.local.corrections import send

Response = tuple[int, dict[str, str], bytes]

_stock_validate = s3._validate_notification_configs
_stock_to_xml = s3._notification_configs_to_xml

AMBIGUOUS = (
    "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the prefixes are "
    "overlapping for the same event type."
)
UNREACHABLE = "Unable to validate the following destination configurations"
MAX_RULES = 100


def _events_meet(one: str, other: str) -> bool:
    return bool(s3._event_matches(one, [other]) or s3._event_matches(other, [one]))


def overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether some event of some key would be for both rules; a missing filter covers everything."""
    prefixes = sorted((one["filter_prefix"] or "", other["filter_prefix"] or ""), key=len)
    suffixes = sorted((one["filter_suffix"] or "", other["filter_suffix"] or ""), key=len)
    if not (prefixes[1].startswith(prefixes[0]) and suffixes[1].endswith(suffixes[0])):
        return False
    return any(_events_meet(*pair) for pair in itertools.product(one["events"], other["events"]))


def _refusal(message: str) -> Response:
    response: Response = s3._error("InvalidArgument", message, 400)
    return response


def validate(
    configs: list[dict[str, Any]], bucket_region: str, bucket_name: str = "", skip: bool = False
) -> Response | None:
    """Return the refusal that AWS would answer to these rules, or None."""
    if len(configs) > MAX_RULES:
        return _refusal("The number of configurations exceeds the limit of 100")
    if any(overlap(*pair) for pair in itertools.combinations(configs, 2)):
        return _refusal(AMBIGUOUS)
    if any(config["arn"].endswith(".fifo") for config in configs):
        return _refusal(UNREACHABLE)
    refused: Response | None = _stock_validate(configs, bucket_region, bucket_name, skip)
    if refused or skip:
        return refused
    return next((r for config in configs if (r := _function_refusal(config, bucket_name))), None)


def _function_refusal(config: dict[str, Any], bucket: str) -> Response | None:
    if config["type"] != "lambda":
        return None
    arn = config["arn"]
    owner = s3._bucket_owner_account(bucket) or get_account_id()
    sender = send.Sender(service="s3.amazonaws.com", source=f"arn:aws:s3:::{bucket}", account=owner)
    try:
        send.function_of(arn)
    except send.RefusedError:
        return _refusal(f"{UNREACHABLE}: The destination Lambda does not exist: {parse_arn(arn)}")
    return (
        None
        if send.function_lets_in(arn, sender)
        else _refusal(f"{UNREACHABLE}: Not authorized to invoke function [{arn}]")
    )


def to_xml(configs: Any, has_eventbridge: bool) -> str:
    """AWS writes `Prefix` and `Suffix` with a capital, whatever it was sent."""
    text: str = _stock_to_xml(configs, has_eventbridge)
    return text.replace("<Name>prefix</Name>", "<Name>Prefix</Name>").replace(
        "<Name>suffix</Name>", "<Name>Suffix</Name>"
    )


def install() -> None:
    s3._validate_notification_configs = validate
    s3._notification_configs_to_xml = to_xml
