"""The Terraform export, checked against the arguments that the AWS provider takes (`terraform_arguments.json`).

No Terraform and no provider can be had where the tests run: what a `terraform plan` says has not been seen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imgpipe.deploy import graph, spec, steps, templates
from imgpipe.deploy import resources as r
from imgpipe.deploy.export import terraform
from imgpipe.deploy.graph import Graph
from tests.providers.samples import EVERYTHING, SAMPLES
from tests.unit.deploy.declared import SMALLEST, build, declare, studio

SCHEMA = json.loads((Path(__file__).parent / "terraform_arguments.json").read_text())
KNOWN = SCHEMA["resources"]
META = {"depends_on", "lifecycle"}


def symbolic(name: str) -> Graph:
    declared = spec.load(templates.find(name).file, "local")
    hashes = dict.fromkeys(steps.sources(declared), "abc")
    return graph.build(
        declared,
        "prod",
        account=terraform.ACCOUNT,
        region=terraform.REGION,
        code_hashes=hashes,
    )


def faults(arguments: dict[str, Any], known: dict[str, Any], where: str) -> Iterator[str]:
    """Yield each argument that the provider lacks, and each that it wants and doesn't get."""
    for name, value in arguments.items():
        if name in META:
            continue
        if name not in known:
            yield f"{where}: unknown {name}"
            continue
        for block in value if isinstance(value, list) else [value]:
            if isinstance(block, dict) and "block" in known[name]:
                yield from faults(block, known[name]["block"], f"{where}.{name}")
    for name, described in known.items():
        if described["required"] and name not in arguments:
            yield f"{where}: {name} is missing"


def of(document: dict[str, Any]) -> list[str]:
    return [
        fault
        for kind, named in document["resource"].items()
        for name, arguments in named.items()
        for fault in faults(arguments, KNOWN[kind], f"{kind}.{name}")
    ]


@pytest.mark.parametrize("name", [each.name for each in templates.every()])
def test_the_provider_knows_every_type_and_argument(name: str) -> None:
    assert of(terraform.document(symbolic(name), "v1")) == []


def test_direct_uploads_are_known_and_their_address_is_put_out() -> None:
    declared = declare(f"{SMALLEST}uploads: {{direct: {{}}}}\n")
    document = terraform.document(build(declared), "v1")
    assert of(document) == []
    [name] = document["resource"]["aws_lambda_function_url"]
    address = f"${{aws_lambda_function_url.{name}.function_url}}"
    assert document["output"]["direct_upload_url"] == {"value": address}


@pytest.mark.parametrize(("auth", "unread"), [("iam", False), ("none", True)])
def test_the_provider_asked_for_is_the_one_that_was_read_unless_it_lacks_something(
    auth: str, unread: bool
) -> None:
    declared = declare(f"{SMALLEST}uploads: {{direct: {{auth: {auth}}}}}\n")
    document = terraform.document(build(declared), "v1")
    [version] = [one["version"] for one in document["terraform"]["required_providers"].values()]
    read = SCHEMA["provider"].removeprefix("hashicorp/aws ").rpartition(".")[0]
    assert bool(of(document)) is unread
    assert version == (terraform.LATER_PROVIDER if unread else f"~> {read}")
    assert all(f"unknown {terraform.LATER}" in fault for fault in of(document))


def test_every_kind_of_resource_is_checked_and_a_mistake_would_be_found() -> None:
    everything = replace(studio(), resources=EVERYTHING)
    document = terraform.document(everything, "v1")
    assert of(document) == []
    assert document["resource"].keys() <= KNOWN.keys()
    [queue] = [
        one for one in document["resource"]["aws_sqs_queue"].values() if "redrive_policy" in one
    ]
    queue["visibility_timeout"] = queue.pop("visibility_timeout_seconds")
    [topic] = document["resource"]["aws_sns_topic_policy"].values()
    del topic["arn"]
    found = of(document)
    assert len(found) == 2
    assert "unknown visibility_timeout" in found[0] + found[1]


def test_no_setting_of_a_resource_is_left_out() -> None:
    for sample in SAMPLES:
        for changed in sample.changed:
            one, two = (
                terraform.document(
                    replace(studio(), resources={**EVERYTHING, each.key: each}), "v1"
                )
                for each in (sample.wanted, changed)
            )
            assert one != two, changed


def test_what_is_named_before_another_is_there() -> None:
    document = terraform.document(symbolic("photo-studio"), "v1")
    addresses = {f"{kind}.{name}" for kind, named in document["resource"].items() for name in named}
    for named in document["resource"].values():
        for arguments in named.values():
            assert set(arguments.get("depends_on", ())) <= addresses
    assert len(addresses) > 80


def test_no_account_and_no_region_is_in_it_unless_something_is_imported() -> None:
    text = terraform.text(symbolic("photo-studio"), "v1")
    assert not re.search(r"\d{12}", text)
    assert '"import"' not in text


def test_what_is_up_is_imported_by_the_ids_that_the_provider_takes() -> None:
    up = studio("prod")
    mapping = next(iter(up.of(r.Mapping)))
    existing = terraform.Existing(frozenset(up.resources), {mapping.key: "the-uuid"})
    imports = {one["to"]: one["id"] for one in terraform.document(up, "v1", existing)["import"]}
    place, p = up.place, "photo-studio-prod-"
    assert imports["aws_sns_topic.uploaded"] == place.topic_arn(f"{p}uploaded")
    assert imports["aws_sqs_queue.enhance"] == place.queue_url(f"{p}enhance")
    assert imports["aws_lambda_permission.thumbs_sns_uploaded"] == f"{p}thumbs/sns-uploaded"
    assert "the-uuid" in imports.values()
    assert not any(to.startswith("aws_sns_topic_subscription") for to in imports)  # no id known


def test_a_text_of_ours_that_looks_like_terraforms_stays_a_text() -> None:
    assert terraform._escaped("${var.region}-${name}%{if}") == "${var.region}-$${name}%%{if}"
