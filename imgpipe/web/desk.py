"""The desk: how the pipeline is, what failed and its way back, and the mail of the embedded cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

if TYPE_CHECKING:
    from imgpipe.web.app import Console


class Desk:
    def __init__(self, console: Console) -> None:
        self._console = console

    def routes(self) -> list[Route]:
        return []
