"""Asking a person before something is changed for good."""

from __future__ import annotations

import sys

import typer

from imgpipe import errors


def confirm(what: str, question: str) -> None:
    """Ask `question` on a terminal. Raises Abort on a no, and UsageError where nobody can be asked about `what`."""
    if not sys.stdin.isatty():
        raise errors.UsageError(what, "nobody is there to approve it", hint="run again with --yes")
    typer.confirm(question, abort=True, err=True)
