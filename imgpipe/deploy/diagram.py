"""The picture of a pipeline: as text for a terminal, as Mermaid for a README, as SVG (`drawing`).

All three are drawn from the graph, so they show what `up` makes and change when pipeline.yaml does.
No program outside is called.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from imgpipe.deploy import drawing
from imgpipe.deploy.resources import Key
from imgpipe.deploy.sketch import Edge, Node, Shape, Sketch, sketch
from imgpipe.deploy.steps import LARGE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgpipe.deploy.graph import Graph

_BRACKETS: dict[Shape, tuple[str, str]] = {
    "bucket": ("[(", ")]"),
    "table": ("[(", ")]"),
    "topic": ("{{", "}}"),
    "queue": ("[[", "]]"),
    "function": ("(", ")"),
    "people": ("([", "])"),
    "alarms": (">", "]"),
}
_COLOURS: dict[Shape, str] = {
    "bucket": "fill:#e6f4ea,stroke:#3f8624,color:#1f2328",
    "table": "fill:#e8eafd,stroke:#3b48cc,color:#1f2328",
    "topic": "fill:#fde7f1,stroke:#b0206a,color:#1f2328",
    "queue": "fill:#fbe9f3,stroke:#8a2a7b,color:#1f2328",
    "function": "fill:#fdefe3,stroke:#d86613,color:#1f2328",
    "people": "fill:#eef1f4,stroke:#57606a,color:#1f2328",
    "alarms": "fill:#fdeaea,stroke:#b42318,color:#1f2328",
}


def svg(graph: Graph) -> str:
    """Return a self-contained SVG picture, light or dark as the reader's system is."""
    return drawing.draw(sketch(graph))


def mermaid(graph: Graph) -> str:
    """Return a Mermaid flowchart, which GitHub, GitLab and many editors show."""
    return "\n".join(_mermaid(sketch(graph))) + "\n"


def text(graph: Graph) -> str:
    """Return an outline for the terminal, at most 80 columns wide."""
    return "\n".join(_outline(sketch(graph), graph)) + "\n"


def outline(graph: Graph) -> str:
    """Return the way of an upload alone: what hears of it, and who hears of the end."""
    made = sketch(graph)
    lines = [left for left, _ in _uploads(made, Key("bucket", graph.uploads_bucket))]
    if "notices" in graph.topics:
        lines.append(f"{_chain(made, Key('topic', graph.topics['notices']))}")
    return "\n".join(lines) + "\n"


def _mermaid(made: Sketch) -> Iterator[str]:
    yield "flowchart LR"
    names = {key: f"{node.shape}_{_word(node.title)}" for key, node in made.nodes.items()}
    names |= {key: _word(key) for key in made.nodes if isinstance(key, str)}
    for key, node in made.nodes.items():
        opening, closing = _BRACKETS[node.shape]
        label = f"{html.escape(node.title)}<br><small>{html.escape(node.detail)}</small>"
        yield f'  {names[key]}{opening}"{label}"{closing}:::{node.shape}'
        if node.dlq:
            yield f"  {names[key]} -.-> dlq_{_word(node.dlq)}"
    for dlq in sorted({node.dlq for node in made.nodes.values() if node.dlq}):
        yield f'  dlq_{_word(dlq)}[["{html.escape(dlq)}"]]:::dlq'
    for edge in made.edges:
        arrow = "-.->" if edge.style == "dashed" else "-->"
        label = f"|{edge.label}|" if edge.label else ""
        yield f"  {names[edge.source]} {arrow}{label} {names[edge.target]}"
    for shape, style in _COLOURS.items():
        yield f"  classDef {shape} {style}"
    yield "  classDef dlq fill:#fff5f5,stroke:#b42318,color:#b42318,stroke-dasharray:3 3"


def _word(name: str) -> str:
    return re.sub(r"\W", "_", name)


def _outline(made: Sketch, graph: Graph) -> Iterator[str]:
    """Yield lines in two columns: what leads where, and the dead-letter queue of each."""
    rest: list[Key | str] = [
        *(Key("queue", name) for short, name in graph.queues.items() if short.endswith(LARGE)),
        Key("queue", graph.queues["results"]),
        Key("queue", graph.queues["rejected"]),
        Key("topic", graph.topics["completed"]),
        *(Key("topic", name) for short, name in graph.topics.items() if short == "notices"),
        "alarms",
    ]
    lines = [*_uploads(made, Key("bucket", graph.uploads_bucket)), ("", "")]
    for key in rest:
        lines += _rest(made, key)
    width = max(len(left) for left, dlq in lines if dlq)
    yield made.title
    yield from _callers(made)
    yield from (f"{left.ljust(width)}   {dlq}".rstrip() for left, dlq in lines)


def _callers(made: Sketch) -> Iterator[str]:
    """Yield who uploads over HTTP, by whose leave."""
    for key, node in made.nodes.items():
        if isinstance(key, str) and key.startswith("callers "):
            [asked] = made.after(key)
            told = made.nodes[asked.target]
            yield f"{node.title} ({node.detail}) → function {told.title} ({told.detail}) → bucket uploads"


def _uploads(made: Sketch, uploads: Key) -> Iterator[tuple[str, str]]:
    yield f"bucket uploads ({made.nodes[uploads].detail})", "dead letters"
    for edge, branch, indent in _tree(made.after(uploads)):
        target = made.nodes[edge.target]
        if target.shape != "topic":
            yield f"{branch} {edge.label} → {_chain(made, edge.target)}", target.dlq
            continue
        yield f"{branch} {edge.label} → topic {target.title}", ""
        for inner, twig, _ in _tree(made.after(edge.target)):
            yield f"{indent} {twig} {_chain(made, inner.target)}", made.nodes[inner.target].dlq


def _tree(edges: list[Edge]) -> Iterator[tuple[Edge, str, str]]:
    """Yield each edge with its branch of a tree, and with what its own branches begin with."""
    for edge in edges:
        last = edge is edges[-1]
        yield edge, "└─" if last else "├─", "  " if last else "│ "


def _rest(made: Sketch, key: Key | str) -> Iterator[tuple[str, str]]:
    """Yield what is behind a queue or topic, and what the function there leads to."""
    yield _chain(made, key), made.nodes[key].dlq
    function = next(
        (edge.target for edge in made.after(key) if made.nodes[edge.target].shape == "function"),
        None,
    )
    if function and made.nodes[key].shape == "queue":
        for edge, branch, _ in _tree(made.after(function)):
            yield f"{branch} {_called(made.nodes[edge.target])}", ""


def _chain(made: Sketch, key: Key | str) -> str:
    """Return a queue with its function, or a topic with who hears it."""
    chain = [_called(made.nodes[key])]
    while made.nodes[key].shape in {"queue", "topic", "alarms"} and made.after(key):
        key = made.after(key)[0].target
        chain.append(_called(made.nodes[key]))
    return " → ".join(chain)


def _called(node: Node) -> str:
    if node.shape in {"people", "alarms"}:
        return node.detail if node.shape == "people" else node.title
    kind = "workers" if node.key == f"workers {node.title}" else node.shape
    detail = f" ({node.detail})" if node.shape == "function" and node.detail != kind else ""
    return f"{kind} {node.title}{detail}"
