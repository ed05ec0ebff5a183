"""Functions. The hash of their sources is kept in their environment, and written after the code.

So `up` killed between code and configuration finds the old hash and sends the code again. What AWS makes us wait for:
a role that was just made can't be assumed yet; a function is Pending after its creation and InProgress after each
change, and refuses the next one meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from imgpipe.cloud import error_code
from imgpipe.deploy.providers.site import Archive, Site, found, gone, last, message
from imgpipe.deploy.resources import Function, Key
from imgpipe.errors import CloudError
from imgpipe.runtime.settings import CODE_HASH_VARIABLE

T = TypeVar("T")

IAM_LAG_S = 120


class Functions:
    def __init__(self, site: Site) -> None:
        self._site, self._lambda = site, site.client("lambda")

    def read(self, anchor: str, declared: Mapping[Key, Function]) -> Iterable[Function]:
        there = found(lambda: self._lambda.get_function(FunctionName=anchor))
        if there is None or there["Configuration"].get("State") == "Failed":
            return
        wanted = declared.get(Key("function", anchor))
        yield _function(there, wanted.source if wanted else "")

    def create(self, wanted: Function) -> None:
        archive = self._site.archive_of(wanted)
        try:
            self._create(wanted, archive)
        except ClientError as error:
            if error_code(error) != "ResourceConflictException":
                raise
            self._adopt(wanted, archive)
        self._settle(wanted.name)
        self._reserve(wanted, None)

    def update(self, wanted: Function, before: Function) -> None:
        self._settle(wanted.name)
        if (wanted.code_hash, wanted.architecture) != (before.code_hash, before.architecture):
            self._send_code(wanted, before, self._site.archive_of(wanted))
        same = {
            "reserved_concurrency": before.reserved_concurrency,
            "architecture": before.architecture,
        }
        if replace(wanted, **same) != before:  # type: ignore[arg-type]
            self._lag(
                lambda: self._lambda.update_function_configuration(
                    **_configuration(wanted, self._role(wanted))
                )
            )
            self._settle(wanted.name)
        self._reserve(wanted, before.reserved_concurrency)

    def delete(self, before: Function) -> None:
        gone(lambda: self._lambda.delete_function(FunctionName=before.name))

    def _create(self, wanted: Function, archive: Archive) -> None:
        code = {"ZipFile": archive.path.read_bytes()}
        self._lag(
            lambda: self._lambda.create_function(
                **_configuration(wanted, self._role(wanted)),
                Architectures=[wanted.architecture],
                Code=code,
                Tags=dict(self._site.tags),
            )
        )

    def _adopt(self, wanted: Function, archive: Archive) -> None:
        """Bring a function that exists already, perhaps from an answer that was lost, to what is wanted."""
        there = next(iter(self.read(wanted.name, {})), None)
        if there is None:  # its creation failed: nothing can be done with it
            self.delete(wanted)
            self._create(wanted, archive)
            return
        self._settle(wanted.name)
        arn, tags = self._site.place.function_arn(wanted.name), dict(self._site.tags)
        self._lag(lambda: self._lambda.tag_resource(Resource=arn, Tags=tags))
        self.update(wanted, replace(there, code_hash=""))

    def _send_code(self, wanted: Function, before: Function, archive: Archive) -> None:
        there = self._lambda.get_function_configuration(FunctionName=wanted.name)
        if (
            there["CodeSha256"] == archive.sha256_base64
            and wanted.architecture == before.architecture
        ):
            return
        code = archive.path.read_bytes()
        self._lag(
            lambda: self._lambda.update_function_code(
                FunctionName=wanted.name, ZipFile=code, Architectures=[wanted.architecture]
            )
        )
        self._settle(wanted.name)

    def _reserve(self, wanted: Function, before: int | None) -> None:
        if wanted.reserved_concurrency == before:
            return
        if wanted.reserved_concurrency is None:
            gone(lambda: self._lambda.delete_function_concurrency(FunctionName=wanted.name))
        else:
            self._lambda.put_function_concurrency(
                FunctionName=wanted.name, ReservedConcurrentExecutions=wanted.reserved_concurrency
            )

    def _role(self, wanted: Function) -> str:
        return self._site.place.role_arn(wanted.role)

    def _lag(self, call: Callable[[], T]) -> T:
        return self._site.patiently(
            call, _will_pass, "waiting until Lambda may use it", deadline_s=IAM_LAG_S
        )

    def _settle(self, name: str) -> None:
        """Wait until the function takes the next change; raise CloudError if the last one failed."""
        self._site.until(lambda: self._is_settled(name), f"function {name}")

    def _is_settled(self, name: str) -> bool:
        there = self._lambda.get_function_configuration(FunctionName=name)
        state, update = there.get("State", "Active"), there.get("LastUpdateStatus", "Successful")
        if "Failed" in (state, update):
            reason = (
                there.get("StateReason") or there.get("LastUpdateStatusReason") or "no reason given"
            )
            raise CloudError(
                f"function {name}", f"Lambda could not bring it up: {reason}", hint="imgpipe up"
            )
        return state in {"Active", "Inactive"} and update == "Successful"


def _configuration(wanted: Function, role_arn: str) -> dict[str, Any]:
    """Return what CreateFunction and UpdateFunctionConfiguration both take."""
    return {
        "FunctionName": wanted.name,
        "Role": role_arn,
        "Handler": wanted.handler,
        "Runtime": wanted.runtime,
        "MemorySize": wanted.memory_mb,
        "Timeout": wanted.timeout_s,
        "EphemeralStorage": {"Size": wanted.tmp_mb},
        "Environment": {
            "Variables": {**dict(wanted.environment), CODE_HASH_VARIABLE: wanted.code_hash}
        },
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": wanted.log_group},
    }


def _function(there: dict[str, Any], source: str) -> Function:
    set_up = there["Configuration"]
    variables = dict(set_up.get("Environment", {}).get("Variables", {}))
    code_hash = variables.pop(CODE_HASH_VARIABLE, "")
    name = set_up["FunctionName"]
    return Function(
        name=name,
        role=last(set_up["Role"]),
        source=source,
        handler=set_up["Handler"],
        runtime=set_up["Runtime"],
        architecture=set_up.get("Architectures", ["x86_64"])[0],
        memory_mb=set_up["MemorySize"],
        timeout_s=set_up["Timeout"],
        tmp_mb=set_up.get("EphemeralStorage", {}).get("Size", 512),
        environment=tuple(sorted(variables.items())),
        code_hash=code_hash,
        log_group=set_up.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{name}",
        reserved_concurrency=there.get("Concurrency", {}).get("ReservedConcurrentExecutions"),
    )


_PASSING = (
    "cannot be assumed by Lambda",
    "execution role does not have permissions",
    "KMS key is invalid for CreateGrant",
    "An update is in progress",
    "is currently in the following state: Pending",
)


def _will_pass(error: ClientError) -> bool:
    """Tell whether Lambda refuses only because IAM, or its own last change, has not settled (texts as recorded)."""
    return any(text in message(error) for text in _PASSING)
