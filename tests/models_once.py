"""AWS's models are read once a process: boto3 reads them for each session, megabytes of JSON, and each test has one."""

from __future__ import annotations

from functools import cache
from typing import Any

from botocore import loaders

_read = loaders.JSONFileLoader._load_file
_list = loaders.Loader.list_available_services


@cache
def _file(path: str, opened: Any) -> Any:
    return _read(loaders.JSONFileLoader(), path, opened)


@cache
def _services(places: tuple[str, ...], kind: str) -> tuple[str, ...]:
    loader = loaders.Loader(include_default_search_paths=False)
    loader.search_paths.extend(places)
    return tuple(_list(loader, kind))


def _load_file(_: Any, path: str, opened: Any) -> Any:
    return _file(path, opened)


def _list_available_services(loader: Any, type_name: str) -> list[str]:
    return list(_services(tuple(loader.search_paths), type_name))


loaders.JSONFileLoader._load_file = _load_file
loaders.Loader.list_available_services = _list_available_services
