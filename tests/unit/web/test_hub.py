"""What every open page is told at once."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

from imgpipe.web.hub import Hub
from imgpipe.web.show import written

PROJECT: Any = SimpleNamespace(graph=SimpleNamespace(prefix="incoming/"))


def test_what_is_gone_for_good_is_told_to_every_page() -> None:
    async def told() -> list[str]:
        hub = Hub(PROJECT, lambda row: row, lambda: PROJECT)
        pages = [hub.events(desk=False), hub.events(desk=True)]
        firsts = [asyncio.create_task(_until_gone(page)) for page in pages]
        await asyncio.sleep(0)
        await asyncio.to_thread(hub.gone, "incoming/a.jpg")
        found = await asyncio.wait_for(asyncio.gather(*firsts), 20)
        await hub.end()
        return found

    assert asyncio.run(told()) == ["incoming/a.jpg"] * 2


async def _until_gone(page: Any) -> str:
    async for event in page:
        if event["event"] == "gone":
            return str(json.loads(event["data"])["key"])
    return ""


def test_a_key_stands_in_a_page_so_that_it_reads_back_as_it_is() -> None:
    assert written("incoming/two\r\nlines 100%.jpg") == "incoming/two%0D%0Alines 100%25.jpg"
    assert written('incoming/"é\u202e.jpg') == 'incoming/"é\u202e.jpg'
