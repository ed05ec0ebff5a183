"""How functions end: out of time, out of memory, in silence; and what they run on."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from imgpipe.deploy.providers.site import last
from imgpipe.operate.doctor import policy
from imgpipe.operate.doctor.checks.queues import REPORTS
from imgpipe.operate.doctor.findings import Fault, Severity
from imgpipe.operate.doctor.policy import always, may

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgpipe.operate.doctor.scene import Function, Scene

LONGEST_S, MOST_MB = 900, 10_240
NEAR = 0.8
SOON = timedelta(days=180)
ENDS = {
    "nodejs14.x": date(2023, 12, 4),
    "nodejs16.x": date(2024, 6, 12),
    "nodejs18.x": date(2025, 9, 1),
    "nodejs20.x": date(2026, 4, 30),
    "nodejs22.x": date(2027, 4, 30),
    "python3.7": date(2023, 12, 4),
    "python3.8": date(2024, 10, 14),
    "python3.9": date(2025, 12, 15),
    "python3.10": date(2026, 10, 31),
    "python3.11": date(2027, 6, 30),
    "python3.12": date(2028, 10, 31),
    "python3.13": date(2029, 6, 30),
    "python3.14": date(2029, 6, 30),
}
"""When Lambda stops mending a runtime. From cfn-lint 1.58's data, 2026-11."""


def _there(scene: Scene) -> list[Function]:
    return [function for function in scene.functions.values() if not function.missing]


def timeout(scene: Scene) -> Iterator[Fault]:
    """A function that was killed because its time was over, or nearly was."""
    for function in _there(scene):
        log, limit = function.log, function.timeout_s
        more = min(LONGEST_S, max(2 * limit, 10))
        command = scene.mend(
            function.name,
            f"imgpipe up, with `timeout: {more}s` for {scene.step(function.name)}",
            f"aws lambda update-function-configuration --function-name {function.name} --timeout {more}",
        )
        if log.timeouts:
            yield Fault(
                severity=Severity.BROKEN,
                what=f"function {function.name} runs out of its {limit} s",
                why=f"its log says: {_short(log.timeouts[-1])}",
                command=command,
            )
        elif log.max_ms > NEAR * limit * 1000:
            yield Fault(
                severity=Severity.RISK,
                what=f"function {function.name} took {log.max_ms / 1000:.1f} of its {limit} s",
                why="a larger picture, or a slow minute, kills it",
                command=command,
            )


def memory(scene: Scene) -> Iterator[Fault]:
    """A function that was killed because it used more memory than it has, or nearly did."""
    for function in _there(scene):
        log, limit = function.log, function.memory_mb
        more = min(MOST_MB, 2 * limit)
        command = scene.mend(
            function.name,
            f"imgpipe up, with `memory: {more}` for {scene.step(function.name)}",
            f"aws lambda update-function-configuration --function-name {function.name} --memory-size {more}",
        )
        if log.killed or log.max_used_mb >= limit:
            said = (
                f"its log says: {_short(log.killed[-1])}" if log.killed else "a call used all of it"
            )
            yield Fault(
                severity=Severity.BROKEN,
                what=f"function {function.name} runs out of its {limit:,} MB",
                why=said,
                command=command,
            )
        elif log.max_used_mb > 0.9 * limit:
            yield Fault(
                severity=Severity.RISK,
                what=f"function {function.name} used {log.max_used_mb:,} of its {limit:,} MB",
                why="a larger picture gets it killed, with all the batch that it holds",
                command=command,
            )


def denied(scene: Scene) -> Iterator[Fault]:
    """A function that was refused what its role still may not do: what was mended since is not told."""
    for function in _there(scene):
        policies = function.documents
        still = [
            (action, arn)
            for action, arn in function.log.refused
            if function.role_policies is None
            or not (may(policies, action, arn) if arn else always(policies, action))
        ]
        if not still:
            continue
        role = last(function.configuration.get("Role", ""))
        more = f", and {len(still) - 1} more" if len(still) > 1 else ""
        yield Fault(
            severity=Severity.BROKEN,
            what=f"function {function.name} is refused {' on '.join(filter(None, still[0]))}{more}",
            why=f"a policy of role {role} doesn't allow it, or denies it",
            command=scene.mend(
                function.name,
                f"aws iam list-role-policies --role-name {role}, delete-role-policy what isn't `imgpipe`; imgpipe up",
                f"aws iam list-role-policies --role-name {role}",
            ),
        )


def runtime(scene: Scene) -> Iterator[Fault]:
    """A runtime that Lambda no longer mends, or soon won't."""
    today = scene.now.date()
    for function in _there(scene):
        name = str(function.configuration.get("Runtime", ""))
        end = ENDS.get(name)
        if (
            end is None
            or end - today > SOON
            or (scene.graph and scene.graph.environment == "local")
        ):
            continue
        over = end <= today
        yield Fault(
            severity=Severity.RISK,
            what=f"function {function.name} runs on {name}",
            why=f"Lambda {'has mended it no more since' if over else 'mends it only until'} {end}",
            command=scene.mend(
                function.name,
                "imgpipe up",
                f"aws lambda update-function-configuration --function-name {function.name} --runtime python3.13",
            ),
        )


def swallowed(scene: Scene) -> Iterator[Fault]:
    """A function whose log is full of errors that Lambda was never told of."""
    for function in _there(scene):
        told = any(REPORTS in (one.get("FunctionResponseTypes") or ()) for one in function.mappings)
        if function.log.raised and not told and not scene.measured.get((function.name, "Errors")):
            yield Fault(
                severity=Severity.BROKEN,
                what=f"function {function.name} swallows its errors",
                why=f"its log has errors, and none of its calls failed: what it works for thinks all is well "
                f"({_short(function.log.raised[-1])})",
                command=scene.mend(
                    function.name,
                    f"imgpipe logs {scene.step(function.name)} --errors",
                    f"aws logs tail {function.log.group} --since 1d --filter-pattern Traceback",
                ),
            )


def silent(scene: Scene) -> Iterator[Fault]:
    """A function that may not write its log: nobody will know why it fails."""
    for function in _there(scene):
        if function.role_policies is None:
            continue
        stream = f"{scene.place.log_group_arn(function.log.group)}:log-stream:x"
        if may(function.documents, "logs:PutLogEvents", stream):
            continue
        role = last(function.configuration.get("Role", ""))
        yield Fault(
            severity=Severity.RISK,
            what=f"function {function.name} can't write its log",
            why=f"role {role} lacks logs:PutLogEvents: when it fails, nothing says why",
            command=scene.mend(
                function.name,
                "imgpipe up",
                f"aws iam attach-role-policy --role-name {role} --policy-arn "
                "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
            ),
        )


def rights(scene: Scene) -> Iterator[Fault]:
    """A role that may do all of a service to everything: so may whoever gets a hostile picture past a decoder."""
    for function in _there(scene):
        role = last(function.configuration.get("Role", ""))
        for name, document in (function.role_policies or {}).items():
            if wide := policy.unbounded(document):
                yield Fault(
                    severity=Severity.RISK,
                    what=f"function {function.name} may do {', '.join(wide)} to everything",
                    why=f"by policy {last(name)} of role {role}; so may whoever gets into the function by a picture",
                    command=_taking_away(role, name),
                )


def _taking_away(role: str, name: str) -> str:
    if name.startswith("arn:"):
        return f"aws iam detach-role-policy --role-name {role} --policy-arn {name}"
    return f"aws iam delete-role-policy --role-name {role} --policy-name {name}"


def undecoded(scene: Scene) -> Iterator[Fault]:
    """Code that asks S3 for a key as events spell it, `+` for a space."""
    for who, key in scene.undecoded:
        yield Fault(
            severity=Severity.BROKEN,
            what=f"{who} takes keys as S3's events spell them",
            why=f"it spoke of `{key}`, which is there under its decoded name only: names with spaces or accents fail",
            command="mend the code: urllib.parse.unquote_plus(record['s3']['object']['key'])",
        )


def unfit(scene: Scene) -> Iterator[Fault]:
    """Code that can't save what some pictures are: 16 bits a channel, transparent, CMYK."""
    for function in _there(scene):
        if function.log.unfit:
            yield Fault(
                severity=Severity.BROKEN,
                what=f"function {function.name} fails on some kinds of picture",
                why=f"its log says: {_short(function.log.unfit[-1])}",
                command="mend the code: convert 16-bit and transparent pictures before saving them as JPEG",
            )


def trusts_a_name(scene: Scene) -> Iterator[Fault]:
    """A function that S3 may call for whatever account owns a bucket of that name one day."""
    for function in _there(scene):
        for statement in policy.statements(function.policy):
            principal = statement.get("Principal", {})
            service = principal.get("Service") if isinstance(principal, dict) else principal
            said = str(statement.get("Condition", {})).lower()
            if service == "s3.amazonaws.com" and "sourceaccount" not in said:
                yield Fault(
                    severity=Severity.RISK,
                    what=f"function {function.name} trusts a bucket's name, not its owner",
                    why="a bucket's ARN has no account: who owns the name after you may call the function",
                    command=scene.mend(
                        function.name,
                        "imgpipe up",
                        f"aws lambda remove-permission --function-name {function.name} "
                        f"--statement-id {statement.get('Sid')}, and add it with --source-account",
                    ),
                )


def _short(text: str) -> str:
    whole = " ".join(text.split())
    return whole if len(whole) <= 160 else f"{whole[:157]}..."
