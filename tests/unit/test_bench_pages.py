"""The benchmark's figures on their way into the pages; what they are nobody asserts."""

import json
import re

import pytest

from tests.benchmarks import docs
from tests.benchmarks.core import race, report
from tests.benchmarks.core.rows import MARKS

PAGE = "before\n<!-- bench ratios -->\nold\n<!-- /bench -->\nafter\n"
MEASURED = {
    "name": "jpeg3_vs_sharp",
    "ratio": 2.5,
    "cpu_ratio": 2.4,
    "least": 2.4,
    "most": None,
    "met": True,
}


def test_a_block_gets_its_table_and_the_rest_of_the_page_stays() -> None:
    filled = docs.filled(PAGE, {"core": {"ratios": [MEASURED]}})
    assert filled.startswith("before\n<!-- bench ratios -->\n\n|")
    assert "| three JPEG: sharp's usual form |  2.50 | 2.40 | at least 2.4 | yes |" in filled
    assert "old" not in filled
    assert filled.endswith("<!-- /bench -->\nafter\n")
    assert docs.filled(filled, json.loads('{"core": {"ratios": []}}')) != filled


def test_a_block_that_was_not_measured_keeps_what_it_says() -> None:
    assert docs.filled(PAGE, {"startup": {}}) == PAGE


def test_an_unknown_block_is_an_error() -> None:
    with pytest.raises(KeyError, match="speed"):
        docs.filled("<!-- bench speed --><!-- /bench -->".replace("--><", "-->\n<"), {})


@pytest.mark.parametrize("page", docs.PAGES, ids=lambda page: page.name)
def test_every_block_of_the_pages_has_a_table(page: "docs.Path") -> None:
    names = re.findall(r"<!-- bench (\S+) -->", page.read_text())
    assert names
    assert set(names) <= set(docs.TABLES)


def test_every_ratio_has_words() -> None:
    assert {mark.name for mark in MARKS} == set(report.IN_WORDS)


def test_a_ratio_is_the_median_over_the_pictures_that_both_could_do() -> None:
    slow = {
        "a": {"ms": [30.0, 20.0]},
        "b": {"ms": [40.0]},
        "c": {"ms": [60.0]},
        "d": {"ms": [], "error": "no"},
    }
    quick = {
        "a": {"ms": [10.0]},
        "b": {"ms": [10.0, 90.0]},
        "c": {"ms": [10.0]},
        "d": {"ms": [1.0]},
    }
    assert race.ratio({"slow": slow, "quick": quick}, "slow", "quick") == 4.0
    assert race.ratio({"slow": {}, "quick": quick}, "slow", "quick") is None
