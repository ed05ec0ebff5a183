"""Who gets in: this machine's programs; never a web page, except with a signature."""

from __future__ import annotations

import pytest

from imgpipe.local.guard import download_signature, refusal
from imgpipe.local.keys import Keys

KEYS = Keys(access_key="AKIA", secret_key="s", token="token")
HERE = "127.0.0.1:4566"
SIGNED = {"authorization": "AWS4-HMAC-SHA256 Credential=AKIA/…"}


def _refused(
    method: str = "GET", path: str = "/bucket/key", query: str = "", **headers: str
) -> bool:
    named = {"host": HERE, **{name.replace("_", "-"): value for name, value in headers.items()}}
    raw = {name.encode(): value.encode() for name, value in named.items()}
    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode()}
    return refusal(scope, raw, KEYS) is not None


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:4566",
        "localhost:4566",
        "[::1]:4566",
        "LOCALHOST",
        "my-bucket.localhost:4566",
        "my-bucket.s3.localhost:4566",
        "abc.lambda-url.us-east-1.on.aws",
    ],
)
def test_names_of_this_machine_get_in(host: str) -> None:
    assert not _refused(host=host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:4566",
        "127.0.0.1.evil.example",
        "",
        "192.168.1.5",
        "notlocalhost",
    ],
)
def test_a_page_that_rebinds_its_name_is_kept_out(host: str) -> None:
    assert _refused(host=host)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example"]
)
def test_a_foreign_page_is_kept_out(method: str, origin: str) -> None:
    assert _refused(method, origin=origin)
    assert _refused(method, origin=origin, **SIGNED)


def test_a_page_of_this_machine_may_use_what_is_signed_and_nothing_else() -> None:
    assert _refused("PUT", origin="http://localhost:8080")
    assert not _refused("PUT", origin="http://localhost:8080", **SIGNED)
    assert not _refused("PUT", query="X-Amz-Signature=1", origin="http://127.0.0.1:8080")
    assert not _refused("OPTIONS", origin="http://localhost:8080")
    assert not _refused(
        "OPTIONS", origin="http://localhost:8080", **{"sec-fetch-site": "same-site"}
    )


def test_a_page_of_this_machine_may_send_s3_a_form_which_is_signed_inside() -> None:
    form = {"content_type": "multipart/form-data; boundary=x", "sec_fetch_site": "same-site"}
    assert not _refused("POST", origin="http://localhost:8080", **form)
    assert _refused("POST", origin="https://evil.example", **form)
    assert _refused("POST", "/_ministack/reset", origin="http://localhost:8080", **form)
    assert _refused("PUT", origin="http://localhost:8080", **form)


def test_its_own_origin_is_no_foreign_page() -> None:
    assert not _refused("POST", origin=f"http://{HERE}")


def test_an_image_in_a_foreign_page_is_kept_out_but_a_link_is_followed() -> None:
    assert _refused(sec_fetch_site="cross-site", sec_fetch_mode="no-cors")
    assert not _refused(sec_fetch_site="cross-site", sec_fetch_mode="navigate")
    assert _refused("POST", sec_fetch_site="cross-site", sec_fetch_mode="navigate")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/_ministack/reset"),
        ("POST", "/_ministack/config"),
        ("GET", "/_ministack/sqs/messages"),
        ("GET", "/_localstack/init"),
        ("GET", "/_imgpipe/status"),
        ("GET", "/_ministack/lambda-code/000000000000/us-east-1/thumbs"),
    ],
)
def test_the_servers_own_doors_open_with_the_token_only(method: str, path: str) -> None:
    assert _refused(method, path)
    assert _refused(method, path, x_imgpipe_token="guess")
    assert not _refused(method, path, x_imgpipe_token="token")


def test_health_is_open_and_a_bucket_may_hold_any_key() -> None:
    assert not _refused(path="/_ministack/health")
    assert not _refused(path="/bucket/_ministack/reset")


def test_a_link_to_code_opens_that_code_only() -> None:
    path = "/_ministack/lambda-code/000000000000/us-east-1/thumbs"
    query = f"X-Amz-Signature={download_signature(path, KEYS)}"

    assert not _refused(path=path, query=query)
    assert _refused(path=path.replace("thumbs", "writer"), query=query)
    assert _refused("POST", path=path, query=query)
