"""What the screen asks of a pipeline. A test gives it another one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from imgpipe.operate.dlq.groups import Group
    from imgpipe.operate.project import Project
    from imgpipe.operate.ticks import Tick
    from imgpipe.operate.why.verdict import Story


class Source(Protocol):
    """Each call may take a while and raise ImgpipeError; all but `tick` may come from several threads."""

    @property
    def title(self) -> str: ...

    @property
    def prefix(self) -> str:
        """What every upload's key begins with, and people leave out."""

    def tick(self) -> Tick: ...

    def story(self, key: str) -> Story: ...

    def groups(self, step: str | None = None) -> list[Group]:
        """Return the dead letters by kind of failure; of one step or queue, if it is named."""

    def about(self, step: str) -> dict[str, str]:
        """Return how a step is set up, as text by label."""


class Pipeline:
    """The source that is a project."""

    def __init__(self, project: Project) -> None:
        from imgpipe.operate.ticks import Watcher

        self._project, self._watcher = project, Watcher(project)

    @property
    def title(self) -> str:
        return f"{self._project.graph.pipeline} · {self._project.graph.environment}"

    @property
    def prefix(self) -> str:
        return self._project.graph.prefix

    def tick(self) -> Tick:
        return self._watcher.tick()

    def story(self, key: str) -> Story:
        from imgpipe.operate.why.verdict import why

        return why(self._project, key)

    def groups(self, step: str | None = None) -> list[Group]:
        from imgpipe.operate.dlq import by_group

        found = by_group.groups(self._project)
        wanted = {step, f"{step}-dlq"}
        return [it for it in found if step is None or wanted & {it.letters[0].queue, it.step}]

    def about(self, step: str) -> dict[str, str]:
        from imgpipe.operate.ticks import described

        return described(self._project.graph, step)
