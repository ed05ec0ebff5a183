"""Facts -> the hops of an image in the pipeline's own order. Pure.

    object -> event -> each branch: delivery, queue, attempts -> results, the writer -> row -> outputs -> notices

A hop is `ok` when something proves that the image passed it, `broken` when it can't have or when something says that
it failed, `waiting` while it may still come, `none` when an earlier hop explains that it didn't happen.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from imgpipe.deploy.names import RESULTS, WRITER
from imgpipe.deploy.resources import EventRule, Key, Notification
from imgpipe.operate import images
from imgpipe.operate.dlq import advice
from imgpipe.operate.times import from_iso, iso
from imgpipe.operate.why import said
from imgpipe.operate.why.hop import Command, Hop, State
from imgpipe.operate.why.way import PATIENCE, Way
from imgpipe.runtime.errors import WORDS, FilterFailed, Reason
from imgpipe.runtime.row import generation

if TYPE_CHECKING:
    from imgpipe.deploy.graph import Branch, Graph
    from imgpipe.operate.dlq.letters import Letter
    from imgpipe.operate.why.facts import Attempt, Depth, Facts

_ENDS = ("done", "rejected", "failed", "retrying", "skipped")


def trace(graph: Graph, facts: Facts) -> list[Hop]:
    """Return the hops of the version that is asked for."""
    way = _Trace(graph, facts)
    hops = [way.object()]
    if not facts.arrived or facts.erased:
        return hops
    hops.append(way.event())
    for branch in way.branches:
        hops += way.branch(branch)
    hops += way.writing()
    hops.append(way.row())
    hops += way.outputs()
    hops += way.notices()
    return hops


class _Trace(Way):
    """The hops, each made from what the way knows."""

    def object(self) -> Hop:
        facts, subject = self.facts, self.facts.subject
        if subject is None:
            return self._no_object()
        kind = "delete marker" if subject.marker else f"{subject.size:,} bytes"
        place = facts.versions.index(subject)
        newer = f", replaced by {place} newer" if place else ""
        text = f"{kind}, version {subject.id or 'null'} (1 of {len(facts.versions)}{newer})"
        return Hop(stage="object", name="S3", state="ok", at=subject.at, text=text)

    def _no_object(self) -> Hop:
        facts = self.facts
        if facts.erased and facts.receipt:
            text = f"erased: the receipt is {facts.receipt['kept_as']}"
            at = from_iso(facts.receipt["ended"])
            return Hop(stage="object", name="S3", state="ok", at=at, text=text)
        if facts.arrived:
            text = "no version of it is left"
            return Hop(stage="object", name="S3", state="ok", text=text)
        reason, command = "nothing was ever uploaded under this key", ("imgpipe", "upload", "FILE")
        if facts.unfinished:
            reason = "its upload in parts was begun and never finished"
        elif facts.similar:
            alike = images.short(self.graph.prefix, facts.similar[0])
            reason += f"; there is {', '.join(facts.similar)}"
            command = ("imgpipe", "why", alike)
        return Hop(
            stage="object",
            name="S3",
            state="broken",
            at=facts.unfinished,
            text="no object, no version, no row, no dead letter, no log line",
            reason=reason,
            next=(command,),
        )

    def event(self) -> Hop:
        """The event leaves no trace of its own: whoever heard of it proves it."""
        name = "S3"
        heard = [attempt.run.function for attempt in self._of_branches()]
        heard += [letter.branch or letter.queue for letter in self.facts.letters]
        if heard or self.row_view:
            by = ", ".join(dict.fromkeys(heard))
            text = f"heard by {by}" if by else "heard: there is a row of it"
            at = from_iso((self.row_view or {}).get("uploaded_at"))
            return Hop(stage="event", name=name, state="ok", text=text, at=at)
        if not self.branches:
            text = "no step of this pipeline hears of it"
            return Hop(stage="event", name=name, state="ok", text=text)
        wrong = self._unmatched() or self._wiring(*self._event_keys())
        if wrong:
            return self._broken("event", name, "nobody heard of it", wrong, self.mend)
        return self._silence(name)

    def _silence(self, name: str) -> Hop:
        """Nobody heard, and between S3 and the topic all is as it should be: look at who should have."""
        deliveries = [self._undelivered(branch) for branch in self.branches]
        if any(deliveries):
            text = "published, as far as can be told"
            return Hop(stage="event", name=name, state="ok", text=text)
        if self.fresh or any(self._depth(branch).total for branch in self.branches):
            text = "nobody has told of it yet"
            return self._waiting("event", name, text)
        reason = "S3's event never came, or was lost: everything that should hear of it is in place"
        return self._broken("event", name, "nobody heard of it", reason, self.heal)

    def _event_keys(self) -> Iterator[Key]:
        """Yield what brings S3's events to the branches, whichever way `deliver` names."""
        yield from (it.key for it in self.graph.of(Notification))
        yield from (it.key for it in self.graph.of(EventRule))
        yield from (Key("topic", it.topic) for it in self.branches if it.topic)

    def _unmatched(self) -> str:
        """Return why no rule of the bucket's notification is about this key."""
        rules = [
            rule
            for each in self.graph.of(Notification)
            for rule in each.rules
            if any("Removed" in event for event in rule.events) == self.removed
        ]
        key = self.facts.key
        if not rules or any(key.startswith(it.prefix) and key.endswith(it.suffix) for it in rules):
            return ""
        wanted = sorted({f"{it.prefix}*{it.suffix}" for it in rules})
        return f"the key matches no rule of the bucket's notification: {', '.join(wanted)}"

    def branch(self, branch: Branch) -> Iterator[Hop]:
        """Yield the way through one branch: delivery, queue, attempts, dead letter."""
        attempts = [it for it in self._of_branches() if it.run.function == branch.name]
        told = self._steps_told(branch)
        if not attempts and not told:
            yield self._not_reached(branch)
        yield from (self._attempt(branch, it) for it in attempts)
        if told and not attempts:
            yield self._by_row(branch, told)
        yield from (self._letter(branch, it) for it in self._letters_of(branch))
        if attempts and (stuck := self._killed_for_good(branch, attempts[-1])):
            yield stuck

    def _not_reached(self, branch: Branch) -> Hop:
        wrong = self._undelivered(branch)
        if wrong and not self._letters_of(branch):
            text = f"{self._deliverer(branch)} never brought it"
            return self._broken("delivery", branch.name, text, wrong, self.mend)
        if self._letters_of(branch):
            return Hop(stage="delivery", name=branch.name, state="none", text="see its dead letter")
        depth = self._depth(branch)
        if depth.total:
            return self._queued(branch, depth)
        if self.fresh:
            return self._waiting("delivery", branch.name, "it has not come yet")
        reason = "it was lost on its way to this branch, or its queue was emptied"
        heard = bool(self._of_branches() or self.row_view)
        if not heard:
            return Hop(stage="delivery", name=branch.name, state="none", text="heard of nothing")
        text = "it never came, and its queue is empty"
        return self._broken("delivery", branch.name, text, reason, self.heal)

    def _queued(self, branch: Branch, depth: Depth) -> Hop:
        text = f"queue {self._short(branch.queue)}: {depth.visible:,} waiting, {depth.in_flight:,} in work"
        wrong = self._wiring(*self._feed(branch))
        if wrong:
            mend: tuple[Command, ...] = (("imgpipe", "up"),)
            return self._broken("queue", branch.name, text, wrong, mend)
        return self._waiting("queue", branch.name, text)

    def _attempt(self, branch: Branch, attempt: Attempt) -> Hop:
        """Return one invocation: how long it took and how it ended for this image."""
        lines = attempt.lines
        ends = [line for line in lines if line.told.get("event") in _ENDS or line.is_error]
        words = list(dict.fromkeys(filter(None, (said.end(line) for line in ends))))
        if branch.name == WRITER and not words:
            words = [f"heard of {', '.join(said.heard(lines))}"]
        report = attempt.run.report
        took = f", {report[0]:,.0f} ms, {report[2]} of {report[1]} MB" if report else ""
        receives = [it.told["receives"] for it in lines if it.told.get("receives")]
        count = f"attempt {receives[0]}" if receives else "attempt"
        state, reason = said.judged(lines, over=report is not None)
        silent = {"ok": "ended", "waiting": "under way"}.get(state, "ended silently")
        text = f"{count}{took}: {'; '.join(words) or silent}"
        logs: Command = ("imgpipe", "logs", branch.name, "--key", self.short)
        return Hop(
            stage="attempt",
            name=branch.name,
            state=state,
            at=attempt.run.started,
            text=text,
            lines=lines,
            reason=reason,
            next=(logs,) if state != "ok" else (),
        )

    def _by_row(self, branch: Branch, told: dict[str, dict[str, Any]]) -> Hop:
        """Return what the row says where no log does: workers have none, and logs expire before rows."""
        worst = (
            "broken" if {it["status"] for it in told.values()} & {"failed", "rejected"} else "ok"
        )
        errors = [said.error_words(it["error"]) for it in told.values() if it.get("error")]
        return Hop(
            stage="attempt",
            name=branch.name,
            state="broken" if worst == "broken" else "ok",
            at=max(filter(None, (from_iso(it["at"]) for it in told.values())), default=None),
            text="as the row tells: "
            + ", ".join(f"{name} {it['status']}" for name, it in told.items()),
            reason=errors[0] if errors else "",
            next=(("imgpipe", "dlq", "list", "--key", self.short),) if errors else (),
        )

    def _letter(self, branch: Branch, letter: Letter) -> Hop:
        return self._dead(letter, branch.name)

    def _dead(self, letter: Letter, name: str) -> Hop:
        why = ": ".join(filter(None, (letter.error, letter.reason))) or "it doesn't say why"
        if letter.reason in set(Reason):
            why = f"{letter.reason}: {WORDS[Reason(letter.reason)]}"
        mended: tuple[Command, ...] = ()
        if letter.error == FilterFailed.__name__:
            why, mended = f"{why}; mend its file, then", (("imgpipe", "up"),)
        redrive: Command = ("imgpipe", "dlq", "redrive", "--key", self.short)
        show: Command = ("imgpipe", "dlq", "show", letter.id[:8])
        if advice.is_denied(letter):
            mended = (("imgpipe", "doctor"),)
        return Hop(
            stage="dead letter",  # SQS doesn't tell when it came: only when it was sent first
            name=name,
            state="broken",
            text=f"in {letter.queue}, kept until {iso(letter.expires)[:16].replace('T', ' ')}",
            reason=why,
            next=(show,) if letter.kind == "rejected" else (*(mended or (show,)), redrive),
        )

    def _killed_for_good(self, branch: Branch, last: Attempt) -> Hop | None:
        """Say that a branch has fallen silent: its last attempt failed and nothing waits any more."""
        silent = self.facts.now - last.run.lines[-1].at > PATIENCE
        ended = said.judged(last.lines, over=True)[0] == "ok"
        if ended or not silent or self._letters_of(branch) or self._depth(branch).total:
            return None
        if self.row_view and self.row_view["status"] in {"rejected", "failed"}:
            return None
        reason = "it failed, and neither its queue nor a dead-letter queue holds it"
        return self._broken(
            "queue", branch.name, "nothing is left of its message", reason, self.heal
        )

    def writing(self) -> Iterator[Hop]:
        """Yield what became of the results that the steps sent."""
        if self.removed and not self.branches:
            return
        letters = [it for it in self.facts.letters if it.branch == WRITER]
        said, wrote = self._results_said(), self._attempts_of(WRITER)
        for attempt in wrote:
            yield self._attempt(self._writer(), attempt)
        yield from (self._dead(letter, WRITER) for letter in letters)
        lost = {step: at for step, at in said.items() if step not in self._row_steps()}
        if lost and not letters:
            yield self._unwritten(lost, failing=bool(wrote))

    def _unwritten(self, lost: dict[str, datetime], *, failing: bool) -> Hop:
        """Say what became of results that are not in the row."""
        depth = self._depth(self._writer())
        steps = ", ".join(lost)
        wrong = self._wiring(*self._feed(self._writer()), Key("table", self.graph.table))
        if wrong or depth.total:
            text = f"queue {RESULTS}: {depth.total:,} waiting; no row has the result of {steps} yet"
            if wrong:
                return self._broken("results", WRITER, text, wrong, (("imgpipe", "up"),))
            return self._waiting("results", WRITER, text)
        if self.facts.now - max(lost.values()) < PATIENCE / 3:
            return self._waiting("results", WRITER, f"the result of {steps} is on its way")
        text = f"the result of {steps} was sent and never written; the queue is empty"
        reason = "the results queue was emptied, or the writer threw it away"
        if failing:
            reason = "the writer heard of it, failed, and its message is gone"
        return self._broken("results", WRITER, text, reason, self.heal)

    def row(self) -> Hop:
        row, name = self.row_view, "table"
        if row is None and self.facts.row is not None and self.facts.subject is not None:
            return self._row_of_another(name)
        if row is None:
            return Hop(stage="row", name=name, state="none", text="no row")
        steps = row["steps"]
        done = sum(step["status"] == "done" for step in steps.values())
        text = row["status"].replace("_", " ")
        if steps:
            text += f", {done} of {len(self._expected()) or len(steps)} steps done"
        state: State = {"in_flight": "waiting", "failed": "broken", "rejected": "broken"}.get(
            row["status"], "ok"
        )  # type: ignore[assignment]
        reason = str(row.get("reason") or "")
        if reason in set(Reason):
            reason = f"{reason}: {WORDS[Reason(reason)]}"
        if row["status"] != "removed" and self.removed:
            reason = "the upload was removed, and the row doesn't know"
            return self._broken("row", name, text, reason, self.heal)
        return Hop(
            stage="row",
            name=name,
            state=state,
            at=from_iso(row["updated_at"]),
            text=text,
            reason=reason,
            next=(("imgpipe", "dlq", "list", "--key", self.short),) if reason else (),
        )

    def _row_of_another(self, name: str) -> Hop:
        row = self.facts.row or {}
        subject = self.facts.subject
        text = f"the row is about version {row['version_id']}"
        if subject is not None and not subject.latest:
            return Hop(stage="row", name=name, state="ok", text=f"{text}, which replaced this one")
        if self.fresh:
            return self._waiting("row", name, text)
        return Hop(stage="row", name=name, state="none", text=f"{text}, not about this one")

    def outputs(self) -> Iterator[Hop]:
        row = self.row_view
        named = (row or {}).get("outputs") or {}
        if not named:
            return
        lost = [variant for variant, made in named.items() if made["key"] in self.facts.missing]
        there = ", ".join(
            f"{variant} {made['width']}x{made['height']}"
            for variant, made in named.items()
            if variant not in lost
        )
        if lost:
            text = f"{', '.join(lost)} not there" + (f"; there: {there}" if there else "")
            reason = "the row names an output that somebody deleted"
            yield self._broken("outputs", "S3", text, reason, self.heal)
        else:
            yield Hop(stage="outputs", name="S3", state="ok", text=there)

    def notices(self) -> Iterator[Hop]:
        """Yield what people were told. That isn't the image's way: it never makes the image's end a bad one."""
        upload = generation(self.row_view) if self.row_view else None
        for claim in sorted(self.facts.claims, key=lambda it: iso(it.claimed_at or self.facts.now)):
            if claim.upload != upload:
                continue
            told = "sent" if claim.sent_at else "claimed, and never sent as far as is known"
            if claim.sent_at and self.facts.unconfirmed:
                told = "sent to nobody: no address has confirmed its subscription"
            yield Hop(
                stage="notice",
                name=claim.kind,
                state="ok",
                at=claim.sent_at or claim.claimed_at,
                text=told,
            )
