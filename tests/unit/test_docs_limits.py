"""docs/limits.md says what the code does."""

import re
from pathlib import Path

import yaml

from imgpipe.deploy.model import UploadLimits
from imgpipe.runtime.errors import WORDS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "limits.md").read_text()


def test_every_reason_is_listed_in_its_words() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", PAGE, re.MULTILINE)
    assert {name: words.strip() for name, words in rows} == {
        reason.value: words for reason, words in WORDS.items()
    }


def test_the_example_writes_out_the_defaults() -> None:
    (block,) = re.findall(r"^    uploads:\n(?:    .*\n)+", PAGE, re.MULTILINE)
    shown = yaml.safe_load(block)["uploads"]["limits"]
    assert UploadLimits(**shown) == UploadLimits()
    assert shown.keys() == UploadLimits.model_fields.keys()
