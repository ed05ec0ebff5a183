"""What an attempt's log lines say of how it ended, in words. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from imgpipe.operate.log_search import Line
    from imgpipe.operate.why.hop import State


def judged(lines: Iterable[Line], *, over: bool) -> tuple[State, str]:
    """Return how an attempt ended for the image, and why if not well."""
    lines = list(lines)
    errors = [line for line in lines if line.is_error]
    told = {line.told.get("event") for line in lines}
    if errors:
        worst = max(errors, key=lambda line: ("message" in line.told, line.at))
        return "broken", end(worst) or worst.text.splitlines()[0]
    if "rejected" in told:
        return "broken", "the upload was refused for good"
    return ("ok", "") if over or told & {"done", "skipped"} else ("waiting", "")


def heard(lines: Iterable[Line]) -> Iterator[str]:
    """Yield the results that an attempt of the writer began with."""
    for line in lines:
        told = line.told
        if told.get("event") == "start":
            yield " ".join(str(told[name]) for name in ("step", "status") if told.get(name))


def end(line: Line) -> str:
    told = line.told
    match told.get("event"):
        case "done" | "rejected" | "retrying" if told.get("step"):
            ms = f" in {told['ms']:,} ms" if isinstance(told.get("ms"), int) else ""
            return f"{told['step']} {told['event']}{ms}"
        case "failed" if told.get("error"):
            return f"{told['error']}: {told.get('message', '')}".rstrip(": ")
        case "broken":
            return f"{told.get('error', '')}: {told.get('message', '')}".strip(": ")
        case "skipped":
            return f"skipped: {told.get('why', '')}"
        case None:
            return line.text.splitlines()[0]
        case _:
            return ""


def error_words(error: dict[str, Any]) -> str:
    parts = (error.get("class"), error.get("message") or error.get("reason"))
    return ": ".join(str(part) for part in parts if part)
