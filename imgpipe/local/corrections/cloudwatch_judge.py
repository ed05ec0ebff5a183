"""In which state an alarm is, decided from its definition and the metric's points.

Faults of stock ministack: it lumps all dimensions of a metric together, makes one figure of all
periods, ignores DatapointsToAlarm and TreatMissingData, and never says OK when the data ends.

The periods end now and not at the last full minute, as on AWS: there, figures come minutes late
and the difference doesn't show; here an alarm of one minute goes off within seconds, and is over a
minute after the last bad figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ministack.services import cloudwatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
Point = dict[str, Any]

COMPARISONS: dict[str, tuple[str, Callable[[float, float], bool]]] = {
    "GreaterThanOrEqualToThreshold": (
        "greater than or equal to",
        lambda value, limit: value >= limit,
    ),
    "GreaterThanThreshold": ("greater than", lambda value, limit: value > limit),
    "LessThanThreshold": ("less than", lambda value, limit: value < limit),
    "LessThanOrEqualToThreshold": ("less than or equal to", lambda value, limit: value <= limit),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state that the figures say, and why in words. `figures` is newest first, None where
    there is none.
    """

    state: State
    reason: str
    figures: tuple[float | None, ...]


def judge(alarm: dict[str, Any], points: Iterable[Point], now: float) -> Verdict | None:
    """Return the alarm's state at `now`; None when its kind isn't known here or it keeps its
    state.
    """
    comparison = COMPARISONS.get(str(alarm.get("ComparisonOperator")))
    if comparison is None:
        return None
    figures = tuple(_figures(alarm, list(points), now))
    if all(figure is None for figure in figures):
        return _without_data(alarm, figures)
    words, breaches = comparison
    limit = float(alarm.get("Threshold") or 0.0)
    needed = int(alarm.get("DatapointsToAlarm") or len(figures))
    missing_is_bad = alarm.get("TreatMissingData") == "breaching"
    bad = sum(missing_is_bad if figure is None else breaches(figure, limit) for figure in figures)
    state: State = "ALARM" if bad >= needed else "OK"
    return Verdict(state, _reason(figures, words, limit, state == "ALARM"), figures)


def _without_data(alarm: dict[str, Any], figures: tuple[float | None, ...]) -> Verdict | None:
    reason = f"no datapoints were received for {len(figures)} period(s)"
    match alarm.get("TreatMissingData"):
        case "breaching":
            return Verdict(
                "ALARM",
                f"Threshold Crossed: {reason} and missing ones count as breaching.",
                figures,
            )
        case "notBreaching":
            return Verdict(
                "OK",
                f"Threshold Crossed: {reason} and missing ones count as not breaching.",
                figures,
            )
        case "ignore":
            return None
        case _:
            return Verdict("INSUFFICIENT_DATA", f"Insufficient Data: {reason}.", figures)


def _reason(figures: Sequence[float | None], words: str, limit: float, alarming: bool) -> str:
    shown = ", ".join(str(figure) for figure in figures if figure is not None)
    return (
        f"Threshold Crossed: {len(figures)} datapoint(s) [{shown}] {'was' if alarming else 'was not'} {words} the "
        f"threshold ({limit})."
    )


def _figures(alarm: dict[str, Any], points: list[Point], now: float) -> Iterable[float | None]:
    period = float(alarm.get("Period") or 60)
    statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average"
    for index in range(int(alarm.get("EvaluationPeriods") or 1)):
        end = now - index * period
        inside = [point for point in points if end - period < float(point["Timestamp"]) <= end]
        stats = cloudwatch._calc_stats(inside)
        yield cloudwatch._stat_value(stats, statistic, inside) if stats else None
