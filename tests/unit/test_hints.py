"""Hints name the environment that was asked about, in the commands that take one."""

from __future__ import annotations

import pytest

from imgpipe.cli.hints import here


@pytest.mark.parametrize(
    ("hint", "told"),
    [
        ("imgpipe up", "imgpipe up --env prod"),
        ("imgpipe up, if it is not up", "imgpipe up --env prod, if it is not up"),
        ("imgpipe dlq list --queue a", "imgpipe dlq list --env prod --queue a"),
        ("imgpipe status; imgpipe plan", "imgpipe status --env prod; imgpipe plan --env prod"),
        ("imgpipe upload PHOTO --wait --env dev", "imgpipe upload PHOTO --wait --env dev"),
        ("imgpipe local start", "imgpipe local start"),
        ("imgpipe init", "imgpipe init"),
        ("imgpipe --help", "imgpipe --help"),
        ("run again with --yes", "run again with --yes"),
        ("write `via: worker`, then imgpipe up", "write `via: worker`, then imgpipe up --env prod"),
    ],
)
def test_a_command_in_a_hint_is_for_the_environment_of_the_call(hint: str, told: str) -> None:
    assert here(hint, ["status", "--env", "prod"]) == told
    assert here(hint, ["status", "-e", "prod"]) == told
    assert here(hint, ["status", "--env=prod"]) == told
    assert here(hint, ["status"]) == hint
    assert here(hint, ["status", "--env", "local"]) == hint
    assert here(hint, []) == hint
