"""Strangers' names, strangers' pages, people without the token, and people who can't see a mouse pointer."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import quote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from imgpipe.web.show import written
from tests.browser.conftest import outputs, served
from tests.browser.strange import MARKUP, OTHERS
from tests.browser.test_desk import upload
from tests.e2e.pipeline import Pipeline
from tests.pictures import encoded

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("browser")]
EVERYWHERE = "0.0.0.0"  # noqa: S104 - what is tested


def tiny(**said: str) -> bytes:
    """Return a small picture whose metadata says these things."""
    exif = Image.Exif()
    for number, text in zip((0x010F, 0x0110, 0x013B, 0x8298, 0x010E), said.values(), strict=False):
        exif[number] = text
    return encoded(Image.new("RGB", (64, 48), "teal"), exif=exif)


def put(studio: Pipeline, keys: list[str], body: bytes) -> None:
    """Put uploads as any S3 client may, and wait until all are made."""
    s3 = studio.client("s3")
    bucket = outputs(studio)["uploads_bucket"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=body)

    def made() -> bool:
        rows = studio.run("metadata", "list", "--limit", "500", "--json").json
        done = {row["key"] for row in rows if row["status"] == "done"}
        return done.issuperset(keys)

    studio.wait_for("strange images", made)


@pytest.fixture(scope="module")
def strangers(studio: Pipeline) -> list[str]:
    names = [f"zs/{name}" for name in (*MARKUP, *OTHERS)]
    put(studio, [f"incoming/{name}" for name in names], tiny())
    return names


def test_strange_names_are_shown_as_they_are(page: Page, strangers: list[str]) -> None:
    """The page fixture fails on any dialog, and on any script that the policy had to stop."""
    page.goto("/?q=zs/")
    for name in strangers:
        expect(page.locator(f"#chunks .tile[data-key={_quoted_key(name)}]")).to_have_count(1)
    shown = page.locator("#chunks .tile .name").all_text_contents()
    assert sorted(shown) == sorted(strangers)
    assert (
        page.locator("#chunks .tile :is(script, [onerror], [onload], [onmouseover])").count() == 0
    )
    assert page.evaluate("document.title").endswith("imgpipe")


OPENED = (*MARKUP, "a?b=c&d=e.jpg", "a#b.jpg", "a%2Fb.jpg", "evil\u202egpj.exe.jpg")


def test_strange_names_are_found_opened_told_of_and_asked_about(
    page: Page, strangers: list[str]
) -> None:
    """And found: each by itself, and its address says so."""
    for name in OPENED:
        page.goto(f"/?q={quote(f'zs/{name}', safe='')}")
        expect(page.locator("#chunks .tile")).to_have_count(1)
        page.locator(f"#chunks .tile[data-key={_quoted_key(f'zs/{name}')}] a").click()
        expect(page.locator("#sheet-title")).to_have_text(f"zs/{name}")
        expect(page.locator("#sheet [data-after]")).to_have_js_property("complete", value=True)
        page.locator("#sheet .timeline summary").click()
        expect(page.locator("#sheet .hops li").first).to_be_visible()
        page.get_by_role("button", name="Erase …").click()
        expect(page.locator("#ask")).to_contain_text(f"zs/{name}")
        page.get_by_role("button", name="Keep it").click()
        page.reload()
        expect(page.locator("#sheet-title")).to_have_text(f"zs/{name}")


def test_what_a_file_says_of_itself_is_text(page: Page, studio: Pipeline) -> None:
    said = {
        "make": "<b>Bold</b>",
        "camera": "<img src=x onerror=alert(1)>",
        "artist": '"><script>alert(2)</script>',
    }
    put(studio, ["incoming/zx-said.jpg"], tiny(**said))
    page.goto("/image?key=incoming/zx-said.jpg")
    facts = page.locator(".facts")
    expect(facts).to_contain_text(said["camera"])
    expect(facts).to_contain_text(said["artist"])
    assert facts.locator("img, script, b").count() == 0


def _quoted_key(name: str) -> str:
    """Return the key as a string of CSS."""
    key = written(f"incoming/{name}")
    return '"' + "".join(f"\\{ord(letter):x} " for letter in key) + '"'


def test_an_original_is_only_ever_saved(page: Page, studio: Pipeline) -> None:
    page.goto("/")
    s3 = studio.client("s3")
    bucket = outputs(studio)["uploads_bucket"]
    s3.put_object(Bucket=bucket, Key="incoming/evil.html", Body=b"<script>alert(1)</script>")
    answer = page.request.get("/original?key=incoming/evil.html")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert page.request.get("/made?key=ops/lock.json").status == 404


def test_another_address_asks_for_the_token_and_keeps_it_in_a_cookie(
    browser: Browser, studio: Pipeline
) -> None:
    with served(studio, "--token", "open-sesame-open-sesame") as link:
        address = link.partition("?")[0]
        page = browser.new_page()
        page.goto(address)
        expect(page.get_by_label("Token")).to_be_visible()
        page.get_by_label("Token").fill("wrong")
        page.get_by_role("button", name="Open").click()
        expect(page.get_by_role("alert")).to_have_text("That is not the token.")
        assert faults(page) == []
        page.goto(link)
        expect(page.locator("#search")).to_be_visible()
        assert "token" not in page.url
        page.close()


@pytest.fixture(scope="module")
def only_read(studio: Pipeline) -> Iterator[str]:
    """The link to a console that changes nothing."""
    with served(studio, "--read-only") as link:
        yield link


def test_a_read_only_console_shows_pictures_and_nothing_to_change(
    browser: Browser, only_read: str
) -> None:
    page = browser.new_page()
    page.goto(only_read)
    expect(page.locator("#search")).to_be_visible()
    expect(page.get_by_role("button", name="Upload", exact=True)).to_have_count(0)
    for path in (
        "desk",
        "why?key=a",
        "desk/letters",
        "desk/history",
        "erase?key=a",
        "original?key=a",
    ):
        assert page.request.get(only_read + path).status == 404
    page.close()


WRITES = (
    "uploads/form",
    "uploads/link",
    "desk/act?act=redrive&group=a",
    "reprocess?key=a",
    "erase?key=a",
)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_read_only_console_refuses_every_write_also_a_direct_one(
    browser: Browser, only_read: str, method: str
) -> None:
    context = browser.new_context()
    ours = {"hx-request": "true", "origin": only_read.rstrip("/")}
    for path in (*WRITES, "", "image?key=a", "original?key=a"):
        answer = context.request.fetch(
            only_read + path, method=method, headers=ours, data={"name": "a"}
        )
        assert answer.status == 403, path
        assert "read-only" in answer.text()
    context.close()


class Elsewhere(BaseHTTPRequestHandler):
    """A stranger's page: it tries what it can on the console at `target`."""

    target = ""

    def do_GET(self) -> None:
        page = (
            f"<form method=post action='{self.target}erase?key=a'><button>Win a prize</button></form>"
            f"<img id=img src='{self.target}static/icon.svg'><script>globalThis.read = fetch('{self.target}counts')"
            ".then(() => 'read', () => 'kept out')</script>"
        )
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def elsewhere(console: str) -> Iterator[str]:
    handler = type("Here", (Elsewhere,), {"target": f"{console}/"})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()


def test_a_strangers_page_can_neither_read_nor_change_nor_show_ours(
    browser: Browser, elsewhere: str
) -> None:
    page = browser.new_page()
    page.goto(elsewhere)
    assert page.evaluate("read") == "kept out"
    assert page.evaluate("img.decode().then(() => 'shown', () => 'kept out')") == "kept out"
    page.get_by_role("button", name="Win a prize").click()
    expect(page.locator("body")).to_contain_text("Refused: it comes from another site")
    page.close()


def test_a_name_that_is_pointed_at_this_machine_is_refused(
    chromium: str, console: str, browser: Browser
) -> None:
    """DNS rebinding: the page's own name leads to us, so that the browser takes us for its own site."""
    port = urlsplit(console).port
    rebound = browser.browser_type.launch(
        executable_path=chromium,
        args=["--no-sandbox", "--host-resolver-rules=MAP *.example 127.0.0.1"],
    )
    page = rebound.new_page()
    for path in ("", "counts", "static/console.js"):
        answer = page.goto(f"http://evil.example:{port}/{path}")
        assert answer is not None
        assert answer.status == 403
        assert "Host header" in answer.text()
    rebound.close()


def test_an_address_that_others_reach_gets_a_token_and_says_so(
    studio: Pipeline, browser: Browser
) -> None:
    command = [sys.executable, "-m", "imgpipe", "web", "--host", EVERYWHERE, "--port", "0"]
    with subprocess.Popen(
        command, cwd=studio.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            link = process.stdout.readline().strip()
            told = [process.stderr.readline() for _ in range(3)]
            page = browser.new_page()
            asked = page.goto(link.partition("?")[0])
            assert asked is not None
            assert asked.status == 401
            expect(page.get_by_label("Token")).to_be_visible()
            page.goto(link)
            expect(page.locator("#search")).to_be_visible()
            page.close()
        finally:
            process.terminate()
            process.communicate(timeout=20)
    assert len(urlsplit(link).query) > len("token=") + 30
    assert link.startswith("http://127.0.0.1:")
    assert "others can reach it" in told[0]
    assert f"http://{socket.gethostname()}:" in told[1]
    assert "plain HTTP" in told[2]


@pytest.mark.parametrize(("theme", "width"), [("light", 390), ("dark", 1280)])
def test_axe_finds_nothing(page: Page, studio: Pipeline, theme: str, width: int) -> None:
    upload(studio, "axe-1.jpg")
    (studio.folder / "axe-2.jpg").write_text("no picture at all")
    studio.run("upload", studio.folder / "axe-2.jpg", "--wait", code=None)
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(
        color_scheme="light" if theme == "light" else "dark", reduced_motion="reduce"
    )
    page.goto("/")  # who hears of them knows them, also for a search
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    page.goto("/?q=axe-")
    expect(page.locator("#chunks .tile.done")).to_have_count(1)
    expect(page.locator("#chunks .tile.rejected")).to_have_count(1)
    expect(page.locator("#chunks")).to_have_attribute("aria-busy", "false")
    found = {"gallery": faults(page)}
    page.get_by_text("Filters").click()
    found["filters"] = faults(page)
    page.locator("#chunks .tile.done a").first.click()
    expect(page.locator("#sheet-title")).to_be_visible()
    page.get_by_role("button", name="Before and after").click()
    page.locator("#sheet .timeline summary").click()
    expect(page.locator("#sheet .hops li").first).to_be_visible()
    found["image"] = faults(page)
    page.get_by_role("button", name="Erase …").click()
    expect(page.locator("#ask")).to_be_visible()
    found["asking"] = faults(page)
    page.goto("/?q=nothing-is-called-so")
    expect(page.locator("#nothing")).to_be_visible()
    found["nothing"] = faults(page)
    page.goto("/desk")
    expect(page.locator("#alarms")).to_contain_text("well")
    expect(page.get_by_text("Reading the queues …")).to_have_count(0)
    page.get_by_role("button", name="Examine").click()
    expect(page.locator("#doctor")).to_contain_text("imgpipe local mail confirm")
    found["desk"] = faults(page)
    page.route("**/tiles*", lambda route: route.fulfill(headers={"x-count": "0"}))
    page.goto("/")
    expect(page.locator("#empty")).to_be_visible()
    found["empty"] = faults(page)
    page.goto("/compare")
    found["compare"] = faults(page)
    assert {name: some for name, some in found.items() if some} == {}


def faults(page: Page) -> list[str]:
    answer = Axe().run(page, options={"resultTypes": ["violations"]}).response
    return [
        f"{it['id']}: {node['html'][:160]}" for it in answer["violations"] for node in it["nodes"]
    ]
