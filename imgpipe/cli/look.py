"""`dashboard` and `events`: the page of graphs, and what S3 says to whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from imgpipe.cli import options, render

if TYPE_CHECKING:
    from imgpipe.operate.dashboard import Figure, Page

PANEL = "Watch and mend"


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=PANEL)(dashboard)


def dashboard(
    open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Print the address of the CloudWatch dashboard; on this machine, which has no console, its figures."""
    from imgpipe.operate import dashboard as verb
    from imgpipe.operate.project import open_project

    page = verb.page(open_project(file, env))
    if json:
        render.print_json(page.as_json())
    elif page.url:
        typer.echo(page.url)
    else:
        _show(page)
    if open_it:
        _open(page)


def _open(page: Page) -> None:
    if page.url is None:
        render.err().print("the embedded cloud has no console to open: use imgpipe status --watch")
        return
    import webbrowser

    if not webbrowser.open(page.url):
        render.err().print("there is no browser here: open the address yourself")


def _show(page: Page) -> None:
    """Print the latest and the highest value of each line; charts that measured nothing in one line."""
    made = render.table("CHART", "LINE", "LATEST", "HIGHEST", right=["LATEST", "HIGHEST"])
    seen, silent = "", []
    for figure in page.figures:
        if figure.latest is None or figure.highest is None:
            silent.append(figure)
            continue
        chart = "" if figure.chart == seen else figure.chart
        seen = figure.chart
        made.add_row(
            *map(
                render.safe, (chart, figure.series, _number(figure.latest), _number(figure.highest))
            )
        )
    render.out().print(made)
    render.err().print(_rest(silent))


def _rest(silent: list[Figure]) -> str:
    quiet = f"{len(silent)} lines had nothing to measure. " if silent else ""
    return f"[dim]the last hour. {quiet}Live: imgpipe status --watch[/]"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
