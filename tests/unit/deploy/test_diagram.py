"""The pipeline's picture: complete, the same each time, and safe to put in a page."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from imgpipe.deploy import diagram, drawing
from imgpipe.deploy.sketch import sketch
from tests.unit.deploy.declared import SMALLEST, build, declare, studio

SVG = "{http://www.w3.org/2000/svg}"


def parsed(picture: str) -> ET.Element:
    return ET.fromstring(picture)  # noqa: S314 - our own picture


def words(picture: str) -> set[str]:
    return {node.text or "" for node in parsed(picture).iter(f"{SVG}text")}


@pytest.mark.capability("S0-13")
def test_the_picture_shows_every_function_queue_and_topic() -> None:
    graph = studio()
    shown = words(diagram.svg(graph))
    assert set(graph.topics) <= shown
    assert set(graph.queues) <= shown
    assert {branch.name for branch in graph.branches} <= shown


def test_the_picture_is_the_same_each_time() -> None:
    assert diagram.svg(studio()) == diagram.svg(studio())


def test_no_two_boxes_share_a_place_and_all_are_inside() -> None:
    more = "".join(f"  s{number}: {{exif: true}}\n" for number in range(9))
    for graph in (studio(), build(declare(SMALLEST)), build(declare(SMALLEST + more))):
        places = drawing.arrange(sketch(graph))
        assert len(set(places.values())) == len(places) == len(sketch(graph).nodes)
        root = parsed(diagram.svg(graph))
        assert max(place.bottom for place in places.values()) < float(root.attrib["height"])
        assert max(place.right for place in places.values()) < float(root.attrib["width"])


def test_people_are_counted_and_their_addresses_stay_out_of_the_picture() -> None:
    for draw in (diagram.svg, diagram.mermaid, diagram.text):
        shown = draw(studio())
        assert "@" not in shown.split("@media")[0]
        assert "2 by e-mail" in shown


def test_mermaid_draws_each_arrow_between_boxes_that_it_names() -> None:
    lines = diagram.mermaid(studio()).splitlines()
    assert lines[0] == "flowchart LR"
    boxes = {
        line.split("[")[0].split("(")[0].split("{")[0].split(">")[0].strip()
        for line in lines
        if ":::" in line
    }
    arrows = [line for line in lines if "-->" in line or "-.->" in line]
    ends = {part for line in arrows for part in (line.split()[0], line.split()[-1])}
    assert ends == boxes


def test_the_outline_fits_a_terminal_of_80_columns() -> None:
    shown = diagram.text(studio())
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert "queue enhance → function enhance" in shown
    assert "function thumbs (thumbnail)" in shown
