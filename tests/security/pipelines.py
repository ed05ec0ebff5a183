"""The pipelines that the security of all is judged by: every template, and one with what no template has."""

from __future__ import annotations

from collections.abc import Iterator

from imgpipe.deploy import graph, spec, steps, templates
from imgpipe.deploy.export import cloudformation
from imgpipe.deploy.graph import Graph
from imgpipe.deploy.spec import Spec
from tests.unit.deploy.declared import declare

ACCOUNT, REGION = "210987654321", "eu-west-1"
PROD = "environments: {prod: {region: eu-west-1}}\n"

EVERYTHING = f"""\
version: 1
name: everything
uploads: {{direct: {{}}, limits: {{bytes: 20MB}}}}
steps:
  thumb:
    via: function
    variants: {{thumb: {{width: 20}}}}
    lambda: {{on_success: "arn:aws:sqs:{REGION}:{ACCOUNT}:heard-of-thumbs"}}
  sizes: {{via: queue, variants: {{medium: {{width: 40}}, large: {{width: 80}}}}, lane: {{over: 50kB}}}}
  print: {{via: queue, variants: {{print: {{width: 90}}}}, lane: {{over: 50kB, to: worker}}}}
  tint: {{via: worker, variants: {{tinted: {{width: 30}}}}}}
  facts: {{via: queue, exif: true, tags: rekognition, only: {{prefix: facts/}}}}
  again: {{on: restored, via: queue, variants: {{again: {{width: 10}}}}}}
  marked: {{on: tagged, via: queue, variants: {{marked: {{width: 10}}}}}}
  tidy: {{on: removed, via: queue}}
notify:
  uploaded: {{email: [studio@studio.photo]}}
  completed: {{email: [studio@studio.photo]}}
  failed: {{email: [ops@studio.photo]}}
  uploaders: [guest@studio.photo]
{PROD}"""
"""Every kind of branch, every way out of one, and every setting that gives a role a right."""

OPEN = f"""\
version: 1
name: open
uploads: {{deliver: function, direct: {{auth: none}}, origins: ["https://photos.studio.photo"]}}
steps:
  thumb: {{via: function, variants: {{thumb: {{width: 20}}}}}}
notify: {{failed: {{sms: ["+447911123456"]}}}}
{PROD}"""
QUEUED = f"""\
version: 1
name: by-queue
uploads: {{deliver: queue, suffixes: [jpg, png]}}
steps:
  thumb: {{via: queue, variants: {{thumb: {{width: 20}}}}}}
{PROD}"""
BY_BUS = f"""\
version: 1
name: by-bus
uploads: {{deliver: eventbridge}}
steps:
  thumb: {{via: function, variants: {{thumb: {{width: 20}}}}}}
  sizes: {{via: queue, variants: {{medium: {{width: 40}}}}}}
  tidy: {{on: removed, via: queue}}
{PROD}"""


GUEST = f"""\
version: 1
name: guest
uploads: {{bucket: family-photos, outputs: processed/}}
steps:
  thumb: {{via: function, variants: {{thumb: {{width: 20}}}}}}
  sizes: {{via: queue, variants: {{medium: {{width: 40}}}}}}
  tidy: {{on: removed, via: queue}}
notify: {{completed: {{email: [studio@studio.photo]}}}}
{PROD}"""


KEYED = GUEST.replace("guest", "keyed").replace(
    "outputs: processed/", f"outputs: processed/, kms_key: arn:aws:kms:{REGION}:{ACCOUNT}:key/k1"
)
"""Of a bucket with a key of its own. The embedded cloud has no KMS, so that no code can be tried there without it."""


def specs() -> Iterator[tuple[str, Spec]]:
    for known in templates.every():
        yield known.name, spec.load(known.file, "local")
    for text in (EVERYTHING, OPEN, QUEUED, BY_BUS, GUEST):
        made = declare(text, "prod")
        yield made.name, made


def build(made: Spec, account: str = ACCOUNT, region: str = REGION) -> Graph:
    """Return the graph of a pipeline on AWS."""
    hashes = dict.fromkeys(steps.sources(made), "abc")
    return graph.build(made, "prod", account=account, region=region, code_hashes=hashes)


def graphs() -> Iterator[tuple[str, Graph]]:
    for name, made in specs():
        yield name, build(made)
    yield "keyed", build(declare(KEYED, "prod"))


def exported() -> Iterator[tuple[str, str]]:
    """Yield each pipeline's name and CloudFormation template."""
    for name, made in specs():
        if made.uploads.bucket:  # no stack may change another's bucket
            continue
        symbolic = build(made, cloudformation.ACCOUNT, cloudformation.REGION)
        yield name, cloudformation.text(symbolic, "v1")
