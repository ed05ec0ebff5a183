"""A filter of pipeline.yaml tried on small pictures: what is wrong with it is told before anything is put up.

A filter of the project's own may do anything: hang, end the process, print. It is tried in a child, with a few seconds,
and what it prints goes nowhere. A process with threads at work must not fork: it has another one do it. Where the
platform can't fork, it is tried in this process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import closing, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgpipe.deploy.problems import did_you_mean, meant
from imgpipe.deploy.units import shown
from imgpipe.runtime.settings import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgpipe.runtime.made import Made

LIMITS = Limits(decode_s=5, wall_s=20)
SIZE = (64, 48)
MODES = {"RGB": "", "L": ", on a grey picture", "RGBA": ", on a picture with alpha"}
"""What a picture may be, and how that is said; a filter of the project's own must work with what its phase gets."""


def refusal(name: str, value: object, folder: Path) -> str:
    """Return why the filter `name` can't do its work with `value`; "" if it can. `folder` is the handler's."""
    from imgpipe.runtime.image.filters import FILTERS, find

    if value is False:
        return f"`{name}`: leave a filter out to switch it off"
    if is_own(name, folder):
        return _tried_apart(name, value, folder, LIMITS)
    try:
        find(name, folder)
    except LookupError as error:
        known = sorted(FILTERS)
        own = "" if meant(name, known) else f"; one of your own is a file {_file(name, folder)}"
        return f"{error}{did_you_mean(name, known)}{own}"
    try:
        _try(name, value, folder, "RGB")
    except Exception as error:  # noqa: BLE001 - libraries raise what they like for a wrong value
        if isinstance(value, dict):
            return f"`{name}`: {error}"
        return f"`{name}` can't be {shown(value)} ({error})"
    return ""


def is_own(name: str, folder: Path) -> bool:
    """Say whether the filter is a file of the project's own: loading one in this process could end it."""
    return (folder / "filters" / f"{name.replace('-', '_')}.py").is_file()


def _file(name: str, folder: Path) -> str:
    return f"lambdas/{folder.name}/filters/{name.replace('-', '_')}.py"


def _try(name: str, value: object, folder: Path, mode: str) -> None:
    from PIL import Image

    from imgpipe.runtime.image.filters import apply

    picture = Image.linear_gradient("L").resize(SIZE).convert(mode)
    apply(picture, [{name: value}], folder)


def _tried_apart(name: str, value: object, folder: Path, limits: Limits) -> str:
    from imgpipe.runtime.guard import Guard, can_fork

    if can_fork() and threading.active_count() > 1:
        return _tried_elsewhere(name, value, folder, limits)
    wanted = {"filter": {"name": name, "value": value, "folder": str(folder)}}
    try:
        if can_fork():
            with closing(Guard(_quiet)) as guard:
                guard(b" ", wanted, limits)
        else:
            _work(b"", wanted, limits)
    except Exception as error:  # noqa: BLE001 - it is the user's code
        return f"{error}; mend {_file(name, folder)}"
    return ""


def _tried_elsewhere(name: str, value: object, folder: Path, limits: Limits) -> str:
    """Have a process without threads try it, within the same limits."""
    asked = [name, value, str(folder), limits.decode_s, limits.clock_s]
    command = [sys.executable, "-c", "from imgpipe.deploy import trial; trial.answer()"]
    done = subprocess.run(
        command, input=json.dumps(asked), stdout=subprocess.PIPE, text=True, check=True
    )
    return str(json.loads(done.stdout))


def answer() -> None:
    """Try the filter that stdin names, and say on stdout what is wrong with it."""
    name, value, folder, decode_s, wall_s = json.load(sys.stdin)
    limits = Limits(decode_s=decode_s, wall_s=wall_s)
    json.dump(_tried_apart(name, value, Path(folder), limits), sys.stdout)


def _quiet(data: bytes, wanted: Mapping[str, Mapping[str, Any]], limits: Limits) -> dict[str, Made]:
    """Do it in a child that prints nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return _work(data, wanted, limits)


def _work(data: bytes, wanted: Mapping[str, Mapping[str, Any]], limits: Limits) -> dict[str, Made]:  # noqa: ARG001 - a Make
    from imgpipe.runtime.errors import FilterFailed
    from imgpipe.runtime.image.filters import find

    asked = wanted["filter"]
    name, value, folder = asked["name"], asked["value"], Path(asked["folder"])
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):  # noqa: PTH123 - a device
        modes = MODES if find(name, folder).phase == "finish" else ("RGB",)
        for mode in modes:
            try:
                _try(name, value, folder, mode)
            except FilterFailed as error:
                error.args = (f"{error}{MODES[mode]}",)
                raise
    return {}
