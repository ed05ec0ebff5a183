"""Fixtures that every test can ask for."""

pytest_plugins = [
    "tests.cloud_fixture",
    "tests.capability_report",
    "tests.groups",
    "tests.models_once",
]
