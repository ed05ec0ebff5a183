"""Every name is computed from the pipeline's, the environment's and a part:
`photo-studio-prod-enhance`.

So there is no state file, and two environments or two pipelines never meet. Buckets, whose names
are the whole world's, carry the account and the Region; roles, which are an account's, carry the
Region.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgpipe.deploy.resources import Place

CREATED_TOPIC, REMOVED_TOPIC, COMPLETED, NOTICES, ALARMS = (
    "uploaded",
    "removed",
    "completed",
    "notices",
    "alarms",
)
RESULTS, REJECTED = "results", "rejected"
WRITER, NOTIFIER, DIRECT = "writer", "notifier", "direct"
URL_OUTPUT = "direct_upload_url"
"""What outputs call the address that hands out leave to upload."""

DLQ_ENDING = "-dlq"

RESERVED = frozenset({RESULTS, REJECTED, WRITER, NOTIFIER, NOTICES, DIRECT})
"""Parts that the pipeline itself uses; a step or group can't have such a name, or one that ends in
`-dlq`.
"""

OPERATIONS = "ops"
"""The folder of the variants bucket where imgpipe keeps its own notes; no variant may be called so.
"""


@dataclass(frozen=True, slots=True)
class Names:
    """`buckets` maps a part to a bucket that isn't called as ours are, or is another part's as well."""

    pipeline: str
    environment: str
    place: Place
    buckets: Mapping[str, str] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        return f"{self.pipeline}-{self.environment}"

    def part(self, name: str) -> str:
        """Return the full name of a topic, queue, function, table or alarm."""
        return f"{self.prefix}-{name}"

    def dlq(self, name: str) -> str:
        return self.part(name + DLQ_ENDING)

    def bucket(self, name: str) -> str:
        own = f"{self.prefix}-{name}-{self.place.account}-{self.place.region}"
        return self.buckets.get(name, own)

    def role(self, name: str) -> str:
        return f"{self.prefix}-{name}-{self.place.region}"

    def log_group(self, name: str) -> str:
        return f"/aws/lambda/{self.part(name)}"

    @property
    def dashboard(self) -> str:
        """Return the dashboard's name. Dashboards are an account's, not a Region's: it carries the Region."""
        return f"{self.prefix}-{self.place.region}"

    @property
    def rule_prefix(self) -> str:
        """What our entries in the uploads bucket's notification document begin with."""
        return rule_prefix(f"{self.prefix}-")


def rule_prefix(prefix: str) -> str:
    return f"imgpipe-{prefix}"
