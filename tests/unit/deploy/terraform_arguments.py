"""Which arguments Terraform's AWS provider takes, read from the CDK for Terraform's bindings.

    pip download --no-deps cdktf-cdktf-provider-aws==21.22.1
    python -m tests.unit.deploy.terraform_arguments cdktf_cdktf_provider_aws-21.22.1-py3-none-any.whl

writes `terraform_arguments.json`: for each resource type that the export uses its arguments' names, whether each is
required, and the arguments of its blocks. Names only; the bindings (MPL-2.0) are generated from the provider's own
schema, and no provider can be run where the tests run.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_suffix(".json")
PACKAGE = "cdktf_cdktf_provider_aws"
META = {"connection", "count", "for_each", "provider", "provisioners"}
TYPES = (
    "s3_bucket",
    "s3_bucket_versioning",
    "s3_bucket_public_access_block",
    "s3_bucket_ownership_controls",
    "s3_bucket_server_side_encryption_configuration",
    "s3_bucket_lifecycle_configuration",
    "s3_bucket_cors_configuration",
    "s3_bucket_policy",
    "s3_bucket_notification",
    "sns_topic",
    "sns_topic_policy",
    "sns_topic_subscription",
    "sqs_queue",
    "sqs_queue_policy",
    "dynamodb_table",
    "cloudwatch_log_group",
    "iam_role",
    "iam_role_policy",
    "lambda_function",
    "lambda_function_event_invoke_config",
    "lambda_permission",
    "lambda_function_url",
    "lambda_event_source_mapping",
    "cloudwatch_event_rule",
    "cloudwatch_event_target",
    "cloudwatch_metric_alarm",
    "cloudwatch_dashboard",
)

Arguments = dict[str, Any]


def arguments(source: str) -> Arguments:
    """Return the arguments of the resource that a module of the bindings describes."""
    structs: dict[str, dict[str, tuple[bool, str]]] = {}
    config = ""
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and _is_struct(node):
            structs[node.name] = dict(_fields(node))
            if any("TerraformMetaArguments" in ast.unparse(base) for base in node.bases):
                config = node.name
    return _described(structs, config)


def _is_struct(node: ast.ClassDef) -> bool:
    return any("data_type" in ast.unparse(decorator)[:20] for decorator in node.decorator_list)


def _fields(node: ast.ClassDef) -> Any:
    init = next(each for each in node.body if isinstance(each, ast.FunctionDef))
    for argument, default in zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True):
        kind = ast.unparse(argument.annotation) if argument.annotation else ""
        yield argument.arg, (default is None, kind)


def _described(structs: dict[str, dict[str, tuple[bool, str]]], name: str) -> Arguments:
    return {
        field: {"required": required, **_block(structs, kind)}
        for field, (required, kind) in structs[name].items()
        if field not in META
    }


def _block(structs: dict[str, dict[str, tuple[bool, str]]], kind: str) -> Arguments:
    inner = next((name for name in re.findall(r"\w+", kind) if name in structs), None)
    return {"block": _described(structs, inner)} if inner else {}


def main(wheel: str) -> None:
    with zipfile.ZipFile(wheel) as bindings:
        found = {
            f"aws_{name}": arguments(bindings.read(f"{PACKAGE}/{name}/__init__.py").decode())
            for name in TYPES
        }
    document = {
        "provider": "hashicorp/aws 6.25.0",
        "read from": Path(wheel).name,
        "licence of that": "MPL-2.0",
        "resources": found,
    }
    FILE.write_text(json.dumps(document, indent=0, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
