"""What a backend can't do, and why. Such a check is expected to fail; it turns red if it passes."""

from __future__ import annotations

EMBEDDED, MOTO = "embedded", "moto"

GAPS: dict[str, dict[str, str]] = {}
"""Name of the check -> backend -> reason."""
