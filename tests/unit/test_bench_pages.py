"""The benchmark's figures on their way into the pages; what they are nobody asserts."""

import json
import re

import pytest
from PIL import Image

from tests.benchmarks import docs, results
from tests.benchmarks.core import measuring, quality, race, report, subjects
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


def test_a_mark_of_large_pictures_leaves_out_small_ones_as_they_tell_their_size(
    tmp_path: "docs.Path",
) -> None:
    sizes = {"20mp.jpg": (1200, 1000), "small.jpg": (4000, 3000), "b.jpg": (4240, 2832)}
    for name, size in sizes.items():
        Image.new("L", size).save(tmp_path / name)
    seen = {name: subjects.megapixels(tmp_path / name) for name in sizes}
    assert seen == {"20mp.jpg": 1.2, "small.jpg": 12.0, "b.jpg": 12.01}
    ms = {"20mp.jpg": 20.0, "small.jpg": 50.0, "b.jpg": 70.0}
    times = {
        "pillow": {name: {"ms": [took], "cpu_ms": [took]} for name, took in ms.items()},
        "ours": {name: {"ms": [10.0], "cpu_ms": [5.0]} for name in ms},
    }
    large = [mark for mark in MARKS if mark.name == "thumb_of_12mp_vs_naive_pillow"]
    everything = [mark for mark in MARKS if mark.name == "thumb_vs_naive_pillow"]
    raced = {"thumb": {"raw": times, "megapixels": seen}}
    all_of_them, of_12mp = measuring._ratios(raced, everything + large)
    assert (all_of_them["ratio"], all_of_them["met"]) == (5.0, False)
    assert (of_12mp["ratio"], of_12mp["cpu_ratio"], of_12mp["met"]) == (6.0, 12.0, True)
    assert (
        measuring._ratios({"thumb": {"raw": times, "megapixels": {"20mp.jpg": 1.2}}}, large) == []
    )


def test_a_part_measured_alone_keeps_the_others_of_the_same_machine(tmp_path: "docs.Path") -> None:
    here = {"cpu": "a", "cores": 2, "memory_gb": 8.0, "date": "2026-11-21"}
    path = tmp_path / "bench-results.json"
    assert results.load(path, here) == {}
    core = results.merged({}, "core", {"ratios": [MEASURED]}, here)
    path.write_text(json.dumps(core))
    later = {**here, "date": "2026-11-22"}
    both = results.merged(results.load(path, later), "guard", {"way_ms": 2}, later)
    assert both["ratios"] == both["core"]["ratios"] == [MEASURED]
    assert both["guard"]["way_ms"] == 2
    assert (both["core"]["on"], both["guard"]["on"]) == (here, later)
    assert results.load(path, {**here, "cores": 4}) == {}
    path.write_text("{")
    assert results.load(path, here) == {}


def test_what_runs_in_a_child_has_no_ratio_of_processor_time() -> None:
    (guard,) = [mark for mark in MARKS if mark.name == "guard_vs_plain"]
    times = {"ours": {"a": {"ms": [10.0], "cpu_ms": [10.0]}}} | {
        "guarded": {"a": {"ms": [11.0], "cpu_ms": [0.1]}}
    }
    found = measuring._ratios({"guard": {"raw": times, "megapixels": {"a": 2.1}}}, [guard])
    assert "|  1.10 |     |" in report.ratios({"ratios": found})


@pytest.mark.parametrize(("ours", "met"), [(48.0, "yes"), (53.0, "no")])
def test_a_cold_start_has_a_ratio_and_an_answer(ours: float, met: str) -> None:
    ms = {"imgpipe_ms": ours, "pillow_ms": 100.0}
    told = report.ratios({"ratios": [measuring.cold_ratio({"import": ms})]})
    assert f"{ours / 100:.2f} | {ours / 100:.2f} | at most 0.5 |" in told
    assert told.splitlines()[-1].split("|")[-2].strip() == met


def test_times_say_over_how_many_pictures_and_without_what_more() -> None:
    engines = {"ours": {"ms": 90.0}, "ours_all": {"ms": 120.0}}
    row = {"shown": "whole job", "pictures": 13, "engines": engines}
    last = report.times({"rows": {"whole_job": row}}).splitlines()[-1]
    assert [cell.strip() for cell in last.split("|")[1:4]] == [
        "whole job (without: 90)",
        "13",
        "120",
    ]


def _sizes(db: float, size: int) -> dict[str, dict[str, float]]:
    return {side: {"psnr_db": db, "ssim": 0.97, "bytes": size} for side in ("1600", "200")}


@pytest.mark.parametrize(
    ("ours", "met"), [((39.9, 1010), "yes"), ((39.8, 1000), "no"), ((41.0, 1020), "no")]
)
def test_quality_is_met_within_dbs_and_bytes_of_sharps_usual_form(
    ours: tuple[float, int], met: str
) -> None:
    engines = {"ours": _sizes(*ours), "sharp": _sizes(40.0, 1000)}
    row = {"shown": "WebP", "engines": engines, "against_sharp": quality.against_peer(engines)}
    figures = {"core": {"quality": {"webp": row}}}
    last = docs.TABLES["against_sharp"](figures).splitlines()[-1]
    db, size = f"{ours[0] - 40:+.2f}", f"{ours[1] / 10 - 100:+.1f} %"
    assert [cell.strip() for cell in last.split("|")[1:-1]] == ["WebP", db, db, size, met]
    assert "| WebP: ours    |" in docs.TABLES["quality"](figures)


def test_without_sharp_there_is_nothing_to_compare_quality_with() -> None:
    engines = {"ours": _sizes(40.0, 1000)}
    assert quality.against_peer(engines) is None
    row = {"shown": "WebP", "engines": engines, "against_sharp": None}
    assert report.against_sharp({"quality": {"webp": row}}).splitlines()[2:] == []
