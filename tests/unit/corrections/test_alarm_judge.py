"""In which state an alarm is, by AWS's rules."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe.local.corrections.cloudwatch_judge import Verdict, judge

NOW = 10_000.0


def alarm(**changes: Any) -> dict[str, Any]:
    return {
        "MetricName": "M",
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "missing",
        **changes,
    }


def points(*aged: tuple[float, float]) -> list[dict[str, Any]]:
    """Points as (seconds ago, value)."""
    return [{"Timestamp": NOW - age, "Value": value} for age, value in aged]


def state(definition: dict[str, Any], *aged: tuple[float, float]) -> str | None:
    verdict = judge(definition, points(*aged), NOW)
    return verdict.state if verdict else None


def test_a_figure_over_the_threshold_within_the_period_is_an_alarm() -> None:
    assert state(alarm(), (59, 1.0)) == "ALARM"


def test_the_alarm_is_over_when_the_last_bad_figure_is_a_period_old() -> None:
    assert state(alarm(), (61, 1.0), (5, 0.0)) == "OK"


@pytest.mark.parametrize(
    ("comparison", "value", "expected"),
    [
        ("GreaterThanThreshold", 1.0, "OK"),
        ("GreaterThanThreshold", 1.1, "ALARM"),
        ("GreaterThanOrEqualToThreshold", 1.0, "ALARM"),
        ("LessThanThreshold", 1.0, "OK"),
        ("LessThanThreshold", 0.9, "ALARM"),
        ("LessThanOrEqualToThreshold", 1.0, "ALARM"),
    ],
)
def test_each_comparison_means_what_it_says(comparison: str, value: float, expected: str) -> None:
    assert state(alarm(ComparisonOperator=comparison), (1, value)) == expected


@pytest.mark.parametrize(
    ("treatment", "expected"),
    [
        ("missing", "INSUFFICIENT_DATA"),
        ("notBreaching", "OK"),
        ("breaching", "ALARM"),
        ("ignore", None),
    ],
)
def test_without_any_data_the_treatment_of_missing_data_decides(
    treatment: str, expected: str | None
) -> None:
    assert state(alarm(TreatMissingData=treatment)) == expected


@pytest.mark.parametrize(("bad_periods", "expected"), [(2, "OK"), (3, "ALARM")])
def test_three_of_five_periods_make_the_alarm(bad_periods: int, expected: str) -> None:
    definition = alarm(EvaluationPeriods=5, DatapointsToAlarm=3)
    aged = [(30 + 60 * index, float(index < bad_periods)) for index in range(5)]
    assert state(definition, *aged) == expected


def test_a_period_without_data_counts_as_breaching_only_if_told_so() -> None:
    definition = alarm(EvaluationPeriods=2, DatapointsToAlarm=2)
    assert state(definition, (30, 1.0)) == "OK"
    assert state({**definition, "TreatMissingData": "breaching"}, (30, 1.0)) == "ALARM"


def test_a_sum_adds_up_all_of_its_period() -> None:
    definition = alarm(Statistic="Sum", Period=300, Threshold=5.0)
    assert state(definition, *[(50.0 * index, 1.0) for index in range(5)]) == "ALARM"
    assert state(definition, *[(50.0 * index, 1.0) for index in range(4)]) == "OK"


def test_a_percentile_is_taken_of_single_values() -> None:
    definition = alarm(Statistic=None, ExtendedStatistic="p90", Threshold=100.0)
    assert state(definition, *[(1.0, 10.0)] * 8, (1.0, 500.0), (1.0, 500.0)) == "ALARM"


def test_the_reason_names_the_figures_and_the_threshold() -> None:
    verdict = judge(alarm(), points((1, 3.0)), NOW)
    assert verdict == Verdict(
        "ALARM",
        "Threshold Crossed: 1 datapoint(s) [3.0] was greater than or equal to the threshold (1.0).",
        (3.0,),
    )


@given(
    figures=st.lists(st.integers(0, 5), min_size=1, max_size=8),
    threshold=st.integers(0, 5),
    data=st.data(),
)
def test_an_alarm_needs_as_many_bad_periods_as_it_says(
    figures: list[int], threshold: int, data: st.DataObject
) -> None:
    needed = data.draw(st.integers(1, len(figures)))
    definition = alarm(
        EvaluationPeriods=len(figures), DatapointsToAlarm=needed, Threshold=float(threshold)
    )
    aged = [(30.0 + 60 * index, float(figure)) for index, figure in enumerate(figures)]
    bad = sum(figure >= threshold for figure in figures)
    assert state(definition, *aged) == ("ALARM" if bad >= needed else "OK")
