"""How what is there differs from pipeline.yaml."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgpipe.operate.doctor.findings import Fault, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgpipe.operate.doctor.scene import Scene

NAMED = 3


def drift(scene: Scene) -> Iterator[Fault]:
    """Something that was changed, deleted or left over, or a change to pipeline.yaml that nobody put up."""
    if scene.drift:
        count = len(scene.drift)
        named = "; ".join(f"{one.key}: {one.reason}" for one in scene.drift[:NAMED])
        more = f"; and {count - NAMED} more" if count > NAMED else ""
        yield Fault(
            severity=Severity.RISK,
            what=f"{count} {'thing differs' if count == 1 else 'things differ'} from pipeline.yaml",
            why=f"{named}{more}",
            command="imgpipe plan, then imgpipe up",
        )


def existing(scene: Scene) -> Iterator[Fault]:
    """A bucket that was there before, whose settings make uploads less safe than in one of the pipeline's own."""
    for name, remarks in scene.remarks.items():
        for remark in remarks:
            yield Fault(
                severity=Severity.RISK,
                what=f"bucket {name}: {remark.said}",
                why="it was there before the pipeline, which changes none of its settings",
                command=remark.mend,
            )
