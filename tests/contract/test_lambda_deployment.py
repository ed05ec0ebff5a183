"""Getting code and settings into a function: layers, versions, aliases, dry runs."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from tests.contract.aws import Aws, Function, Lambda, error_code, unique, zipped
from tests.contract.web import ask

NEW = "def probe(event, context):\n    return 'new'\n"


def digest(code: bytes) -> str:
    return base64.b64encode(hashlib.sha256(code).digest()).decode()


def update(functions: Lambda, function: Function, **settings: Any) -> dict[str, Any]:
    made: dict[str, Any] = functions.client.update_function_code(
        FunctionName=function.name, **settings
    )
    functions.settled(function.name)
    return made


def creation(functions: Lambda, **changes: Any) -> dict[str, Any]:
    return {
        "FunctionName": unique("function"),
        "Runtime": functions.runtime,
        "Role": functions.role,
        "Handler": "handlers.probe",
        "Code": {"ZipFile": zipped()},
        **changes,
    }


@pytest.fixture(scope="module")
def changed(functions: Lambda) -> Function:
    """A function whose first code is published as version 1, with the alias `live`."""
    function = functions.make("probe", zipped(NEW))
    update(functions, function, ZipFile=zipped(NEW), Publish=True)
    functions.client.create_alias(FunctionName=function.name, Name="live", FunctionVersion="1")
    update(functions, function, ZipFile=zipped())
    functions.client.update_function_configuration(
        FunctionName=function.name, Environment={"Variables": {"CODE": "2"}}
    )
    functions.settled(function.name)
    return function


def test_a_layer_is_on_the_path(functions: Lambda) -> None:
    code = zipped(**{"python/mylayer.py": b"__version__ = '7.1'\n"})
    layer = functions.client.publish_layer_version(
        LayerName=unique("layer"), Content={"ZipFile": code}, CompatibleRuntimes=[functions.runtime]
    )
    function = functions.make("probe", Layers=[layer["LayerVersionArn"]])
    answer = functions.invoke(function, {"do": "import", "name": "mylayer"})
    assert answer.document == {"version": "7.1"}


def test_the_hash_of_the_code_is_that_of_the_zip(functions: Lambda, probe: Function) -> None:
    found = functions.client.get_function(FunctionName=probe.name)
    assert found["Configuration"]["CodeSha256"] == digest(zipped())


def test_the_code_can_be_downloaded(functions: Lambda, probe: Function) -> None:
    location = functions.client.get_function(FunctionName=probe.name)["Code"]["Location"]
    page = ask("GET", location)
    assert (page.status, digest(page.body)) == (200, digest(zipped()))


def test_publishing_new_code_makes_a_version(functions: Lambda) -> None:
    function = functions.make()
    assert update(functions, function, ZipFile=zipped(NEW), Publish=True)["Version"] == "1"


def test_new_code_runs_once_the_update_is_through(functions: Lambda) -> None:
    function = functions.make()
    functions.invoke(function, {"do": "warmth"})
    update(functions, function, ZipFile=zipped(NEW))
    assert functions.invoke(function, {}).document == "new"


def test_a_dry_run_changes_nothing(functions: Lambda) -> None:
    function = functions.make()
    answer = update(functions, function, ZipFile=zipped(NEW), DryRun=True)
    found = functions.client.get_function_configuration(FunctionName=function.name)
    assert answer["CodeSha256"] == digest(zipped(NEW))
    assert found["CodeSha256"] == digest(zipped())


def test_an_alias_runs_the_version_that_it_names(functions: Lambda, changed: Function) -> None:
    assert functions.invoke(changed, {}, Qualifier="live").document == "new"


def test_new_variables_reach_the_function(functions: Lambda, changed: Function) -> None:
    assert functions.invoke(changed, {"do": "variables"}).document["CODE"] == "2"


def test_code_may_lie_in_s3(functions: Lambda, cloud: Aws) -> None:
    bucket = cloud.bucket()
    cloud.put(bucket, "code.zip", body=zipped())
    code = {"S3Bucket": bucket, "S3Key": "code.zip"}
    made = functions.client.create_function(**creation(functions, Code=code))
    assert made["CodeSha256"] == digest(zipped())


def test_a_function_is_made_once(functions: Lambda, probe: Function) -> None:
    code = error_code(
        functions.client.create_function, **creation(functions, FunctionName=probe.name)
    )
    assert code == "ResourceConflictException"


def test_a_role_that_does_not_exist_is_refused(functions: Lambda, cloud: Aws) -> None:
    missing = f"arn:aws:iam::{cloud.account}:role/missing"
    code = error_code(functions.client.create_function, **creation(functions, Role=missing))
    assert code == "InvalidParameterValueException"


def test_a_statement_is_added_once(functions: Lambda) -> None:
    permission = {
        "FunctionName": functions.make().name,
        "StatementId": "one",
        "Action": "lambda:InvokeFunction",
        "Principal": "sns.amazonaws.com",
    }
    functions.client.add_permission(**permission)
    code = error_code(functions.client.add_permission, **permission)
    assert code == "ResourceConflictException"


def test_a_function_keeps_its_tags(functions: Lambda, probe: Function) -> None:
    functions.client.tag_resource(Resource=probe.arn, Tags={"app": "imgpipe"})
    assert functions.client.list_tags(Resource=probe.arn)["Tags"]["app"] == "imgpipe"
