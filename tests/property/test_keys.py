"""Keys:

any that S3 takes comes out of its event as it went in, and makes an output key that S3 takes.
"""

from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe.runtime import events, items, results
from tests.fakes import s3_event, s3_record, sns_envelope, sqs_event


def keys() -> st.SearchStrategy[str]:
    """Anything that is UTF-8 and at most 1,024 bytes long, which is all that S3 asks."""
    text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300)
    return text.filter(lambda key: len(key.encode()) <= 1024)


@given(keys())
def test_a_key_comes_out_of_its_event_as_it_went_in(key: str) -> None:
    event = sqs_event(sns_envelope(s3_event(s3_record("uploads", key))))
    (message,) = events.messages(event, "r")
    (change,) = events.changes(message.document())
    assert change.key == key


@given(keys())
def test_slashes_may_be_encoded_or_not(key: str) -> None:
    record = s3_record("uploads", key)
    record["s3"]["object"]["key"] = quote_plus(key)
    (change,) = events.changes(s3_event(record))
    assert change.key == key


@given(keys(), st.sampled_from(["", "incoming/", "in"]))
def test_an_output_key_is_one_that_s3_takes(key: str, prefix: str) -> None:
    made = results.output_key("thumb", prefix + key, prefix, "0123456789ab", "jpg")
    assert made.startswith("thumb/")
    assert made.endswith(".0123456789ab.jpg")
    assert len(made.encode()) <= 1024


@given(keys(), keys())
def test_two_uploads_never_share_an_output_key(one: str, other: str) -> None:
    versions = [results.content_version(f"v-{key}", "", "h") for key in (one, other)]
    outputs = {
        results.output_key("thumb", key, "", version, "jpg")
        for key, version in zip((one, other), versions, strict=True)
    }
    assert len(outputs) == len({one, other})


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**37), 10**37)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_json_survives_the_attribute_format(value: dict[str, object]) -> None:
    assert items.decode(items.encode(value)) == value


@given(st.dictionaries(st.text(min_size=1, max_size=5), JSON, max_size=6), st.integers(2, 400))
@pytest.mark.fault("F-31")
def test_facts_are_cut_to_size_by_dropping_whole_members(
    facts: dict[str, object], limit: int
) -> None:
    kept = results.bounded(facts, limit)
    assert kept.items() <= facts.items() or all(kept[name] is facts[name] for name in kept)
    assert len(results.dumps(kept).encode()) <= limit + 2 * len(kept) + 2
