"""Tests of one `xdist_group` go to one worker, so that what they share is set up once.

pytest-xdist 3.8 tells a test's group in its id, in a way that pytest 9.2 doesn't hear: the tests go anywhere, silently
(https://github.com/pytest-dev/pytest-xdist/issues/1386). Here the ids carry it while they go to the scheduler.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_collection_finish(session: pytest.Session) -> Generator[None]:
    grouping = session.config.getoption("loadgroup", default=False)  # set in workers
    items = [item for item in session.items if grouping and _group(item)]
    plain = [item.id for item in items]
    for item in items:
        item._id = item.id.parse(f"{item.nodeid}@{_group(item)}")
    try:
        return (yield)
    finally:
        for item, own in zip(items, plain, strict=True):
            item._id = own


def _group(item: pytest.Item) -> str:
    marker = item.get_closest_marker("xdist_group")
    return str(marker.args[0]) if marker else ""
