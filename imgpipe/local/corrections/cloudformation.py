"""What a stack's resources keep of their template.

Faults of stock ministack: a stack's buckets lose their lifecycle rules, its tables the attribute of their time to live
and their recovery; a topic without a display name is given its own name as one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from ministack.services import dynamodb, s3, sns

from imgpipe.local.corrections import lazily

Properties = dict[str, Any]
Made = tuple[str, Properties]

_EXPIRATION = {
    "ExpirationInDays": "Days",
    "ExpirationDate": "Date",
    "ExpiredObjectDeleteMarker": "ExpiredObjectDeleteMarker",
}
_TRANSITIONS = {
    "Transitions": (
        "Transition",
        {
            "TransitionInDays": "Days",
            "TransitionDate": "Date",
            "StorageClass": "StorageClass",
        },
    ),
    "NoncurrentVersionTransitions": (
        "NoncurrentVersionTransition",
        {
            "TransitionInDays": "NoncurrentDays",
            "NewerNoncurrentVersions": "NewerNoncurrentVersions",
            "StorageClass": "StorageClass",
        },
    ),
}
_SIZES = {
    "ObjectSizeGreaterThan": "ObjectSizeGreaterThan",
    "ObjectSizeLessThan": "ObjectSizeLessThan",
}


def lifecycle_xml(properties: Properties) -> bytes:
    """Return a template's lifecycle as the document that S3's API takes."""
    root = Element("LifecycleConfiguration")
    for rule in properties.get("Rules", ()):
        made = SubElement(root, "Rule")
        _fill(made, rule, {"Id": "ID", "Status": "Status"})
        _filter(SubElement(made, "Filter"), rule)
        _section(made, "Expiration", rule, _EXPIRATION)
        for name, (element, fields) in _TRANSITIONS.items():
            for each in rule.get(name, ()):
                _section(made, element, each, fields)
        old = rule.get("NoncurrentVersionExpiration") or {
            "NoncurrentDays": rule.get("NoncurrentVersionExpirationInDays")
        }
        _section(made, "NoncurrentVersionExpiration", old, _same(old))
        unfinished = rule.get("AbortIncompleteMultipartUpload") or {}
        _section(made, "AbortIncompleteMultipartUpload", unfinished, _same(unfinished))
    return tostring(root)


def _filter(made: Element, rule: Properties) -> None:
    tags = rule.get("TagFilters", ())
    tests = [name for name in ("Prefix", *_SIZES) if name in rule]
    inner = SubElement(made, "And") if len(tests) + len(tags) > 1 else made
    _fill(inner, rule, {"Prefix": "Prefix", **_SIZES})
    for tag in tags:
        _section(inner, "Tag", tag, _same(tag))


def _same(fields: Properties) -> dict[str, str]:
    return {name: name for name in fields}


def _section(parent: Element, name: str, given: Properties, names: dict[str, str]) -> None:
    if any(given.get(field) is not None for field in names):
        _fill(SubElement(parent, name), given, names)


def _fill(parent: Element, given: Properties, names: dict[str, str]) -> None:
    for field, element in names.items():
        if (value := given.get(field)) is not None:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            SubElement(parent, element).text = text


def _keep_table(name: str, properties: Properties) -> None:
    """Set a table's time to live and recovery as the template has them; what it doesn't name is off."""
    asked = properties.get("TimeToLiveSpecification") or {}
    current = dynamodb._ttl_settings.get(name) or {}
    attribute = asked.get("AttributeName") or current.get("AttributeName")
    if bool(asked.get("Enabled")) != (current.get("TimeToLiveStatus") == "ENABLED"):
        wanted = {"Enabled": bool(asked.get("Enabled")), "AttributeName": attribute}
        dynamodb._update_ttl({"TableName": name, "TimeToLiveSpecification": wanted})
    recovery = properties.get("PointInTimeRecoverySpecification") or {}
    kept = {"PointInTimeRecoveryEnabled": bool(recovery.get("PointInTimeRecoveryEnabled"))}
    dynamodb._update_continuous_backups(
        {"TableName": name, "PointInTimeRecoverySpecification": kept}
    )


def _forget_table(name: str, _properties: Properties) -> None:
    dynamodb._ttl_settings.pop(name, None)
    dynamodb._pitr_settings.pop(name, None)


def _keep_topic(arn: str, properties: Properties) -> None:
    sns._topics[arn]["attributes"]["DisplayName"] = properties.get("DisplayName", "")


def _then(stock: Callable[..., Any], keep: Callable[[str, Properties], None], at: int) -> Any:
    """Have `keep` called with the physical id and the properties, which are `stock`'s argument number `at`."""

    def handled(*given: Any) -> Any:
        answer = stock(*given)
        keep(answer[0] if answer else given[0], given[at])
        return answer

    return handled


def _complete(_service: Any) -> None:
    from ministack.services.cloudformation import provisioners

    bucket = ("LifecycleConfiguration", lifecycle_xml, s3._put_bucket_lifecycle)
    provisioners._S3_BUCKET_CONFIGURATIONS += ((*bucket, s3._delete_bucket_lifecycle),)
    handlers = provisioners._RESOURCE_HANDLERS
    table, topic = handlers["AWS::DynamoDB::Table"], handlers["AWS::SNS::Topic"]
    table["create"] = _then(table["create"], _keep_table, 1)
    table["update"] = _then(table["update"], _keep_table, 2)
    table["delete"] = _then(table["delete"], _forget_table, 1)
    topic["create"] = _then(topic["create"], _keep_topic, 1)
    topic["update"] = _then(topic["update"], _keep_topic, 2)


def install() -> None:
    lazily.when_loaded("cloudformation", _complete)
