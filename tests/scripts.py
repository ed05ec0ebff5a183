"""The scripts of docs/, as modules."""

from __future__ import annotations

import importlib.util
from types import ModuleType

from tests.photos import ROOT


def script(name: str) -> ModuleType:
    """Return docs/`name`.py, loaded anew."""
    found = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert found is not None
    assert found.loader is not None
    made = importlib.util.module_from_spec(found)
    found.loader.exec_module(made)
    return made
