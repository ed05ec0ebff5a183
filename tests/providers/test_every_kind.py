"""What holds for a resource of any kind: it reads back as it was made, and every verb may be repeated."""

from __future__ import annotations

from typing import get_args

import pytest

from imgpipe.deploy import resources as r
from imgpipe.deploy.providers import provider, read_one
from imgpipe.deploy.providers.site import Site
from tests.providers.samples import EVERYTHING, MOTO_KEEPS, PLACE, SAMPLES, placed, put_up


@pytest.fixture(params=["moto", pytest.param("embedded", marks=pytest.mark.e2e)])
def site(request: pytest.FixtureRequest) -> Site:
    """Return a site in moto, then one in the embedded cloud, both without anything in them."""
    made: Site = request.getfixturevalue(f"{request.param}_site")
    return made


@pytest.fixture(params=SAMPLES, ids=lambda sample: sample.wanted.key.kind)
def wanted(request: pytest.FixtureRequest, site: Site) -> r.Resource:
    return placed(request.param.wanted, site.place)


CHANGES = [
    pytest.param((sample.wanted, changed), id=f"{sample.wanted.key.kind}-{number}")
    for sample in SAMPLES
    for number, changed in enumerate(sample.changed)
]


@pytest.fixture(params=CHANGES)
def change(request: pytest.FixtureRequest, site: Site) -> tuple[r.Resource, r.Resource]:
    """Return a resource and what it may become."""
    if site.place.account == PLACE.account and request.param[1] in MOTO_KEEPS:
        pytest.skip("moto accepts this change and forgets it")
    before, after = request.param
    return placed(before, site.place), placed(after, site.place)


def test_there_is_a_sample_of_every_kind() -> None:
    assert {sample.wanted.key.kind for sample in SAMPLES} == set(get_args(r.Kind))


def test_what_is_not_there_reads_as_none(site: Site, wanted: r.Resource) -> None:
    assert read_one(site, wanted) is None


def test_what_is_created_reads_back_equal(site: Site, wanted: r.Resource) -> None:
    put_up(site, wanted)
    assert read_one(site, wanted) == wanted


def test_creating_again_adopts_what_is_there(site: Site, wanted: r.Resource) -> None:
    put_up(site, wanted)
    provider(site, wanted.key.kind).create(wanted)
    assert read_one(site, wanted) == wanted


def test_creating_over_something_different_is_as_wanted_at_the_second_run_at_latest(
    site: Site, change: tuple[r.Resource, r.Resource]
) -> None:
    wanted, other = change
    for need in wanted.needs:
        put_up(site, placed(EVERYTHING[need], site.place))
    put_up(site, other)
    maker = provider(site, wanted.key.kind)
    maker.create(wanted)
    there = read_one(site, wanted)
    if there != wanted:
        maker.update(wanted, there)
    assert read_one(site, wanted) == wanted


def test_what_is_updated_reads_back_equal(
    site: Site, change: tuple[r.Resource, r.Resource]
) -> None:
    before, wanted = change
    put_up(site, before)
    for need in wanted.needs:
        put_up(site, placed(EVERYTHING[need], site.place))
    for _ in range(2):
        provider(site, wanted.key.kind).update(wanted, before)  # again, as if nobody knew
        assert read_one(site, wanted) == wanted


def test_deleting_twice_is_as_good_as_once(site: Site, wanted: r.Resource) -> None:
    put_up(site, wanted)
    for _ in range(2):
        provider(site, wanted.key.kind).delete(wanted)
        assert read_one(site, wanted) is None


def test_deleting_what_never_was_succeeds(site: Site, wanted: r.Resource) -> None:
    provider(site, wanted.key.kind).delete(wanted)
