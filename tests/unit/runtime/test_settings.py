"""What a function is told, and how it fits into Lambda's environment."""

import json

import pytest

from imgpipe.runtime import log
from imgpipe.runtime.errors import WORDS, Reason, Rejected
from imgpipe.runtime.settings import (
    CODE_HASH_VARIABLE,
    SETTINGS_VARIABLE,
    Limits,
    Settings,
    code_hash,
    from_environment,
    within_memory,
)
from tests.fakes import SETTINGS


def test_settings_survive_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SETTINGS_VARIABLE, SETTINGS.dumps())
    monkeypatch.setenv(CODE_HASH_VARIABLE, "c1")
    assert from_environment() == SETTINGS
    assert code_hash() == "c1"


def test_empty_fields_take_no_room() -> None:
    small = Settings(pipeline="p", environment="e", limits=Limits())
    assert "table" not in json.loads(small.dumps())
    assert Settings.loads(small.dumps()) == small


@pytest.mark.parametrize(
    ("memory_mb", "most"), [("512", 342_255_206), ("10240", Limits().max_decoded_bytes)]
)
def test_a_small_function_decodes_less(
    monkeypatch: pytest.MonkeyPatch, memory_mb: str, most: int
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory_mb)
    assert within_memory(Limits()).max_decoded_bytes == most


def test_outside_lambda_the_limits_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", raising=False)
    assert within_memory(Limits()) == Limits()


def test_every_reason_has_words_for_people() -> None:
    assert set(WORDS) == set(Reason)
    assert Rejected(Reason.EMPTY_FILE).message == "the file is empty"
    assert str(Rejected(Reason.TOO_LARGE, "9 bytes")) == "too_large: 9 bytes"


@pytest.mark.parametrize(
    "text", ["plain", "ü 🌊", 'quotes " and \\', "line\nbreak", "\ud800", "\x1b[31m"]
)
def test_a_log_line_is_one_line_of_json(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    log.line("start", key=text, when=log.now())
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["event"] == "start"
    assert "\x1b" not in line
