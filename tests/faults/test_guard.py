"""Whatever a picture does to the process that works on it, it is that picture's own end."""

from __future__ import annotations

import ctypes
import faulthandler
import mmap
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from imgpipe.runtime import guard, steps
from imgpipe.runtime.errors import Reason, Rejected, Transient
from imgpipe.runtime.guard import Guard, wire
from imgpipe.runtime.guard.warm import Child
from imgpipe.runtime.made import Made, Picture
from imgpipe.runtime.settings import Limits
from tests.fakes import SETTINGS, UPLOADS, VARIANTS, FakeContext, FakeStore, s3_event, sqs_event

pytestmark = pytest.mark.skipif(not guard.can_fork(), reason="no fork here")

GOOD = b"good"
LIMITS = Limits(decode_s=5, memory_bytes=400 << 20)


def _segfault() -> None:
    ctypes.string_at(0)


def _hang() -> None:
    time.sleep(600)


def _wait() -> None:
    time.sleep(0.7)


def _spin() -> None:
    while True:
        pass


def _hog() -> None:
    held = []
    while True:
        held.append(bytearray(10 << 20))


def _private(size: int) -> mmap.mmap:
    """Return memory that the kernel counts as new.

    What `malloc` gives may lie in a hole of the heap that came with the fork, and is then no growth:
    a worker that ran other tests before has large holes.
    """
    try:
        return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError from error


def _resident(size: int) -> mmap.mmap:
    memory = _private(size)
    memory.write(b"x" * size)
    return memory


def _write_much() -> None:
    file = wire.shared_file()
    for at in range(600):
        os.pwrite(file, b"x" * (1 << 20), at << 20)


def _raise() -> None:
    raise ZeroDivisionError("a fault of ours")


ACTS: dict[bytes, Callable[[], Any]] = {
    b"segfault": _segfault,
    b"signal": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    b"abort": os.abort,
    b"exit": lambda: os._exit(3),
    b"killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    b"hang": _hang,
    b"wait": _wait,
    b"spin": _spin,
    b"hog": _hog,
    b"write": _write_much,
    b"raise": _raise,
    b"sys.exit": lambda: sys.exit(4),
    b"interrupt": lambda: os.kill(os.getpid(), signal.SIGINT),
}


def make(data: bytes, wanted: Mapping[str, Any], limits: Limits) -> dict[str, Made]:
    """Stand in for the image core: what the bytes say is what happens in the child."""
    faulthandler.disable()  # pytest's, which would tell of every crash
    ACTS.get(data, lambda: None)()
    picture = Picture(data=b"small " + data, width=2, height=1, format="jpeg")
    facts = {"pid": os.getpid(), "size": len(data)}
    made = Made(variants={"medium": picture}, facts=facts, preview=data[::-1])
    return dict.fromkeys(wanted, made)


WANTED = {"sizes": {"variants": {"medium": {"width": 2}}}}


@pytest.fixture
def guarded() -> Iterator[Guard]:
    made = Guard(make)
    yield made
    made.close()


def pid_of(guarded: Guard, data: bytes = GOOD) -> int:
    return int(guarded(data, WANTED, LIMITS)["sizes"].facts["pid"])


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def is_gone(pid: int) -> bool:
    """Say whether a process has ended, whether or not anybody asked how."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def end_of(*pids: int) -> bool:
    """Wait until all have ended."""
    deadline = time.monotonic() + 20
    while not all(is_gone(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_what_is_made_comes_back_as_it_was(guarded: Guard) -> None:
    wanted: dict[str, Any] = {"one": {}, "two": {}}
    made, expected = guarded(GOOD, wanted, LIMITS), make(GOOD, wanted, LIMITS)
    assert made.keys() == expected.keys()
    for step in wanted:
        assert made[step].variants == expected[step].variants
        assert made[step].preview == expected[step].preview == b"doog"


@pytest.mark.parametrize("size", [0, 1, 65_536, 5_000_000, 20_000_000])
def test_files_of_any_size_go_through_in_any_order(guarded: Guard, size: int) -> None:
    data = os.urandom(1000) * (size // 1000) + b"x" * (size % 1000)
    for sent in (data, GOOD, data):
        (made,) = guarded(sent, WANTED, LIMITS)["sizes"].variants.values()
        assert made.data == b"small " + sent


def test_one_child_works_on_one_image_after_the_other(guarded: Guard) -> None:
    first = pid_of(guarded)
    assert first != os.getpid()
    assert {pid_of(guarded) for _ in range(5)} == {first}


@pytest.mark.parametrize(
    ("data", "reason", "word"),
    [
        (b"segfault", Reason.WORKER_CRASH, "SIGSEGV"),
        (b"signal", Reason.WORKER_CRASH, "SIGSEGV"),
        (b"abort", Reason.WORKER_CRASH, "SIGABRT"),
        (b"exit", Reason.WORKER_CRASH, "3"),
        (b"killed", Reason.MEMORY_LIMIT, "memory"),
        (b"hog", Reason.MEMORY_LIMIT, "memory"),
        (b"spin", Reason.TIME_LIMIT, "0.4 s"),
        (b"write", Reason.TOO_LARGE, "512 MB"),
    ],
)
@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.fault("F-28")
def test_each_end_has_its_reason_and_the_next_image_is_done(
    guarded: Guard, data: bytes, reason: Reason, word: str, *, warm: bool
) -> None:
    if warm:
        pid_of(guarded)
    limits = LIMITS if data != b"spin" else Limits(decode_s=0.4)
    with pytest.raises(Rejected) as caught:
        guarded(data, WANTED, limits)
    assert caught.value.reason is reason
    assert word in caught.value.message
    assert pid_of(guarded)


def test_a_hang_is_no_fault_of_the_picture_that_is_proven(guarded: Guard) -> None:
    with pytest.raises(Transient, match="little processor time"):
        guarded(b"hang", WANTED, Limits(decode_s=0.1, wall_s=0.3))
    assert pid_of(guarded)


def test_only_processor_time_counts(guarded: Guard) -> None:
    assert guarded(b"wait", WANTED, Limits(decode_s=0.3))["sizes"]


def test_a_picture_that_uses_up_its_time_is_not_tried_twice(
    guarded: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid_of(guarded)
    monkeypatch.setattr("imgpipe.runtime.guard.warm.Child", None)
    with pytest.raises(Rejected, match="time_limit"):
        guarded(b"spin", WANTED, Limits(decode_s=0.2))


def test_a_killed_child_leaves_nothing_behind(guarded: Guard) -> None:
    first, before = pid_of(guarded), open_files()
    for data in (b"hang", b"abort", b"hog"):
        with pytest.raises((Rejected, Transient)):
            guarded(data, WANTED, Limits(decode_s=1, wall_s=2, memory_bytes=50 << 20))
    second = pid_of(guarded)
    assert is_gone(first)
    assert open_files() == before
    guarded.close()
    assert is_gone(second)


def test_a_child_killed_between_two_images_costs_none(guarded: Guard) -> None:
    os.kill(pid_of(guarded), signal.SIGKILL)
    assert pid_of(guarded)


def test_a_child_killed_once_by_somebody_costs_no_image(guarded: Guard, tmp_path: Path) -> None:
    mark = tmp_path / "killed"
    ACTS[b"once"] = lambda: None if mark.exists() else (mark.touch(), ACTS[b"killed"]())
    assert pid_of(guarded, b"once")


def test_a_child_that_has_grown_is_replaced(guarded: Guard) -> None:
    kept: list[mmap.mmap] = []
    ACTS[b"grow"] = lambda: kept.append(_resident(150 << 20))
    first = pid_of(guarded, b"grow")
    assert pid_of(guarded) != first
    assert is_gone(first)
    assert not kept


def test_too_little_memory_after_other_images_is_tried_in_a_fresh_child(guarded: Guard) -> None:
    kept: list[mmap.mmap] = []
    ACTS[b"keep"] = lambda: kept.append(_private(90 << 20))
    ACTS[b"need"] = lambda: len(_private(340 << 20))
    first = pid_of(guarded, b"keep")
    assert pid_of(guarded, b"need") != first


def test_an_error_in_the_child_keeps_its_name_and_the_child(guarded: Guard) -> None:
    first = pid_of(guarded)
    for data, kind in ((b"raise", "ZeroDivisionError"), (b"sys.exit", "SystemExit")):
        with pytest.raises(Exception, match=r"a fault of ours|4") as caught:
            guarded(data, WANTED, LIMITS)
        assert type(caught.value).__name__ == kind
        assert not isinstance(caught.value, Rejected)
    assert pid_of(guarded) == first


def test_facts_that_are_not_json_are_a_fault_of_the_function(guarded: Guard) -> None:
    def with_a_set(data: bytes, wanted: Any, limits: Limits) -> dict[str, Made]:
        return {"sizes": Made(facts={"a": {1}})}

    with pytest.raises(Exception, match="not JSON serializable") as caught:
        Guard(with_a_set)(GOOD, WANTED, LIMITS)
    assert not isinstance(caught.value, Rejected)


def test_ctrl_c_is_the_functions_business(guarded: Guard) -> None:
    assert pid_of(guarded, b"interrupt")


def test_an_interrupted_wait_ends_the_child(guarded: Guard) -> None:
    first = pid_of(guarded)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            guarded(b"hang", WANTED, LIMITS)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert is_gone(first)
    assert pid_of(guarded)


def test_no_process_to_be_had_is_a_passing_trouble(
    guarded: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = open_files()
    with monkeypatch.context() as patched:

        def refuse() -> int:
            raise BlockingIOError(11, "Resource temporarily unavailable")

        patched.setattr(os, "fork", refuse)
        with pytest.raises(Transient, match="Resource temporarily unavailable"):
            guarded(GOOD, WANTED, LIMITS)
    assert open_files() == before
    assert pid_of(guarded)


def test_where_nothing_can_fork_the_work_is_done_in_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(os, "fork")
    assert guard.guarded(_here) is _here


def _here(data: bytes, wanted: Any, limits: Limits) -> dict[str, Made]:
    return {}


def test_without_memfd_a_file_without_a_name_does(
    guarded: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "memfd_create")
    assert pid_of(guarded)


@pytest.mark.parametrize(
    "said",
    [
        {"made": {"sizes": {"facts": {}, "variants": {"m": {"length": 1 << 40}}}}},
        {"made": 7},
        {"rejected": "because"},
        {},
        {"last": "x", "raised": 1},
    ],
)
def test_nonsense_from_the_child_is_a_crash(said: dict[str, Any]) -> None:
    def wild(data: bytes, wanted: Any, limits: Limits) -> dict[str, Made]:
        frame = sys._getframe()
        while frame.f_code.co_name != "_served":
            assert frame.f_back
            frame = frame.f_back
        frame.f_locals["line"].say({"last": False, "ms": 1, **said})
        _hang()
        return {}

    with pytest.raises(Rejected) as caught:
        Guard(wild)(GOOD, WANTED, Limits(decode_s=2))
    assert caught.value.reason is Reason.WORKER_CRASH


def test_a_child_ends_with_the_function(tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "from imgpipe.runtime.guard import Guard\n"
        "from imgpipe.runtime.made import Made\n"
        "from imgpipe.runtime.settings import Limits\n"
        "make = lambda *_: {'s': Made(facts={'pid': os.getpid()})}\n"
        "first, second = Guard(make), Guard(make)\n"
        "for each in (first, second): print(each(b'', {}, Limits())['s'].facts['pid'], flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    pids = [int(line) for line in ended.stdout.split()]
    assert len(pids) == 2
    assert end_of(*pids)


@pytest.mark.fault("F-24", "F-28")
def test_a_batch_with_a_crasher_a_hog_and_a_spinner_does_the_others_at_once() -> None:
    store = FakeStore()
    bad = {2: b"segfault", 5: b"hog", 7: b"spin"}
    bodies = [
        s3_event(store.upload(UPLOADS, f"incoming/{n}.jpg", bad.get(n, GOOD + bytes([n]))))
        for n in range(10)
    ]
    settings = _isolated(Limits(decode_s=3, memory_bytes=100 << 20))
    answer = steps.run(sqs_event(*bodies), FakeContext(), make, store=store, settings=settings)
    ends = {each["key"]: each["status"] for each in store.take("results")}
    letters = {letter.attributes["key"]: letter for letter in store.queues["rejected"]}
    assert answer == {"batchItemFailures": []}
    assert ends == {f"incoming/{n}.jpg": "rejected" if n in bad else "done" for n in range(10)}
    assert {key: letter.attributes["reason"] for key, letter in letters.items()} == {
        "incoming/2.jpg": "worker_crash",
        "incoming/5.jpg": "memory_limit",
        "incoming/7.jpg": "time_limit",
    }
    assert len(store.keys(VARIANTS)) == 7


@pytest.mark.fault("F-48")
def test_an_image_that_meets_the_end_of_the_functions_time_comes_back() -> None:
    store = FakeStore()
    bodies = [s3_event(store.upload(UPLOADS, f"incoming/{n}.jpg", b"hang")) for n in range(2)]
    answer = steps.run(
        sqs_event(*bodies), Hurried(1.0), make, store=store, settings=_isolated(LIMITS)
    )
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}, {"itemIdentifier": "m2"}]}
    assert [each["error"]["class"] for each in store.take("results")] == ["Transient"] * 2
    assert not store.queues["rejected"]


class Hurried(FakeContext):
    """The context of a function whose time ends soon."""

    def __init__(self, left_s: float) -> None:
        self.ends = time.monotonic() + left_s

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self.ends - time.monotonic()) * 1000))


def _isolated(limits: Limits) -> Any:
    from dataclasses import replace

    return replace(SETTINGS, limits=limits)


def test_a_child_is_alive_until_it_is_ended() -> None:
    child = Child(make)
    assert child.is_alive()
    assert child.end() == signal.SIGKILL
    assert not child.is_alive()


def test_a_child_that_hangs_when_its_function_is_killed_ends_itself() -> None:
    code = (
        "import os, time\n"
        "from imgpipe.runtime.guard import Guard\n"
        "from imgpipe.runtime.settings import Limits\n"
        "def make(*_):\n"
        "    print(os.getpid(), flush=True)\n"
        "    os.kill(os.getppid(), 9)\n"
        "    time.sleep(600)\n"
        "Guard(make)(b'', {}, Limits(decode_s=1, wall_s=1))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert end_of(int(ended.stdout))
