"""The page of graphs: where it is to be seen, and, where no console shows it, its figures.

An endpoint of one's own, such as the embedded cloud, has no console. There the very series that the page draws are
asked of CloudWatch, so that both say the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from imgpipe.cloud import error_code, explain
from imgpipe.errors import PendingError

if TYPE_CHECKING:
    from imgpipe.deploy.resources import Place
    from imgpipe.operate.project import Project

HOURS = 1
_MAX_QUERIES = 500


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of a chart in the last hour, in its chart's own unit. None: nothing was measured."""

    chart: str
    series: str
    latest: float | None
    highest: float | None


@dataclass(frozen=True, slots=True)
class Page:
    """The live dashboard. `url` is None where no console shows it; `figures` are asked for only then."""

    name: str
    url: str | None
    figures: tuple[Figure, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def page(project: Project) -> Page:
    """Return the live page. Raises PendingError when it isn't there."""
    graph, client = project.graph, project.cloud.client("cloudwatch")
    try:
        body = client.get_dashboard(DashboardName=graph.dashboard)["DashboardBody"]
    except Exception as error:
        if error_code(error) in {"ResourceNotFound", "DashboardNotFoundError"}:
            raise PendingError(
                f"dashboard {graph.dashboard}", "it is not there", hint="imgpipe up"
            ) from error
        raise explain(error, f"dashboard {graph.dashboard}") from error
    if project.cloud.endpoint is None:
        return Page(graph.dashboard, url(graph.place, graph.dashboard))
    return Page(graph.dashboard, None, tuple(_figures(client, json.loads(body))))


def url(place: Place, name: str) -> str:
    """Return the page's address in the AWS console."""
    host = (
        "console.amazonaws-us-gov.com"
        if place.partition == "aws-us-gov"
        else f"{place.region}.console.aws.amazon.com"
    )
    return f"https://{host}/cloudwatch/home?region={place.region}#dashboards/dashboard/{name}"


def _figures(client: Any, body: dict[str, Any]) -> Iterator[Figure]:
    """Ask for every series of every chart of `body`."""
    lines = [
        (widget["properties"], series)
        for widget in body["widgets"]
        if widget["type"] == "metric"
        for series in widget["properties"]["metrics"]
    ]
    end = datetime.now(UTC)
    for first in range(0, len(lines), _MAX_QUERIES):
        some = lines[first : first + _MAX_QUERIES]
        answer = client.get_metric_data(
            MetricDataQueries=[_query(f"m{at}", *line) for at, line in enumerate(some)],
            StartTime=end - timedelta(hours=HOURS),
            EndTime=end,
            ScanBy="TimestampDescending",
        )
        values = {found["Id"]: found["Values"] for found in answer["MetricDataResults"]}
        for at, (chart, series) in enumerate(some):
            yield _figure(chart["title"], series[-1]["label"], values.get(f"m{at}") or [])


def _figure(chart: str, series: str, newest_first: list[float]) -> Figure:
    if not newest_first:
        return Figure(chart, series, None, None)
    return Figure(chart, series, newest_first[0], max(newest_first))


def _query(name: str, chart: dict[str, Any], series: list[Any]) -> dict[str, Any]:
    namespace, metric, dimension, value, _ = series
    return {
        "Id": name,
        "MetricStat": {
            "Metric": {
                "Namespace": namespace,
                "MetricName": metric,
                "Dimensions": [{"Name": dimension, "Value": value}],
            },
            "Period": chart["period"],
            "Stat": chart["stat"],
        },
    }
