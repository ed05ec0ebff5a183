"""What a simulation is told: how uploads arrive, what goes wrong, and what there is to work with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outage:
    """Every attempt of `part` (a function) fails from `start_s` for `length_s`."""

    part: str
    start_s: float
    length_s: float

    def covers(self, part: str, now_s: float) -> bool:
        return part == self.part and self.start_s <= now_s < self.start_s + self.length_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Uploads arrive at random, `rate` a second for `duration_s`; `burst` more arrive at once in the middle.

    `duplicates` and `failures` are probabilities, of a message and of an attempt. `concurrency` is what Lambda runs at
    once in the account; with `cores`, all processor work shares so many, as on the embedded cloud.
    """

    rate: float
    duration_s: float
    burst: int = 0
    seed: int = 1
    duplicates: float = 0.001
    failures: float = 0.0
    outage: Outage | None = None
    concurrency: int = 1000
    cores: int | None = None
    event_delay_s: float = (
        0.3  # from the upload to the first queue, median; it varies, so events overtake each other
    )

    @property
    def images(self) -> int:
        """How many uploads to expect."""
        return round(self.rate * self.duration_s) + self.burst
