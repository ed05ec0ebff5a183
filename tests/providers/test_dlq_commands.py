"""`dlq redrive` as somebody types it: it shows what would go where, and asks; what stays is told once a group."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from moto import mock_aws

from imgpipe.cli.main import main
from imgpipe.operate import project as projects
from imgpipe.operate.dlq import find, queues
from imgpipe.operate.project import Project
from imgpipe.runtime.settings import Settings
from tests.providers.test_dlq import put_letter
from tests.studio import create_buckets, create_queues, create_table, s3_event, sns_envelope, studio


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    with mock_aws():
        made = studio()
        create_buckets(made)
        create_queues(made)
        create_table(made)
        for number in range(5):
            put_letter(made, "enhance-dlq", sns_envelope(s3_event(f"incoming/{number}.jpg")))
        monkeypatch.setattr(projects, "open_project", lambda *_: made)
        yield made


def typed(words: list[str]) -> int:
    """Run imgpipe with nobody at its standard input; return its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["imgpipe", *words])
        patch.setattr("sys.stdin", io.StringIO())
        with pytest.raises(SystemExit) as ended:
            main()
    return int(str(ended.value.code))


def left(project: Project) -> int:
    return len(find.letters(project, queues.homes(project.graph)))


def test_a_redrive_shows_its_plan_and_sends_nothing_unasked(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(["dlq", "redrive", "--force"]) == 2
    told = capsys.readouterr().err
    assert "would go to" in told
    assert "nobody is there to approve it" in told
    assert left(project) == 5

    assert typed(["dlq", "redrive", "--yes"]) == 0
    assert "5 letters moved: 5 to enhance" in capsys.readouterr().err
    assert left(project) == 0
    assert typed(["dlq", "redrive"]) == 0  # nothing to ask about


def test_a_change_that_is_not_up_yet_mends_nothing(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    purge = [it.id for it in find.letters(project, queues.homes(project.graph))]
    assert typed(["dlq", "purge", *purge, "--yes"]) == 0
    branch = next(it for it in project.graph.branches if it.name == "enhance")
    settings = Settings.loads(branch.environment["IMGPIPE_SETTINGS"]).settings_hash
    words = {"branch": "enhance", "step": "enhance", "reason": "corrupt_image"}
    words |= {"code_hash": "as-before", "settings_hash": settings}
    put_letter(project, "rejected", sns_envelope(s3_event("incoming/a.jpg")), **words)
    assert typed(["dlq", "redrive", "--dry-run"]) == 0
    assert (
        "stays" not in capsys.readouterr().out
    )  # without a function, pipeline.yaml is all there is to go by
    deploy(project, str(branch.function), {**branch.environment, "IMGPIPE_CODE_HASH": "as-before"})
    capsys.readouterr()
    assert typed(["dlq", "redrive", "--dry-run"]) == 0
    assert "stays: what rejected it was changed here" in capsys.readouterr().out
    assert typed(["dlq", "redrive", "--yes"]) == 1
    assert "imgpipe up first" in capsys.readouterr().err
    assert left(project) == 1
    assert typed(["dlq", "redrive", "--yes", "--force"]) == 0
    assert left(project) == 0

    put_letter(project, "rejected", sns_envelope(s3_event("incoming/b.jpg")), **words)
    deploy(project, str(branch.function), dict(branch.environment))
    assert typed(["dlq", "redrive", "--yes"]) == 0  # the change is up
    assert left(project) == 0


def deploy(project: Project, name: str, variables: dict[str, str]) -> None:
    """Let a function be there that runs with `variables`."""
    iam, functions = project.cloud.client("iam"), project.cloud.client("lambda")
    try:
        functions.update_function_configuration(
            FunctionName=name, Environment={"Variables": variables}
        )
    except functions.exceptions.ResourceNotFoundException:
        trust = '{"Version": "2012-10-17", "Statement": []}'
        role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        functions.create_function(
            FunctionName=name,
            Role=role,
            Code={"ZipFile": b"zip"},
            Environment={"Variables": variables},
        )


def test_what_stays_is_one_line_a_group(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(7):
        put_letter(project, "notices-dlq", {"Subject": f"mail {number}"})
    assert typed(["dlq", "redrive", "--queue", "notices-dlq"]) == 1
    lines = [it for it in capsys.readouterr().err.splitlines() if it.startswith("left:")]
    assert len(lines) == 1
    assert "7 letters of group" in lines[0]
