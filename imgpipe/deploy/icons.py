"""How the picture looks: its style sheet, light and dark, and a glyph for each kind of box.

A glyph is drawn in white on a coloured square of 28 units. Our own drawings: no provider's icons,
whose licences don't let them travel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imgpipe.deploy.sketch import Shape

ICONS: dict[Shape, str] = {
    "bucket": '<path d="M7 9.5 L9 21 H19 L21 9.5"/><ellipse cx="14" cy="9" rx="7" ry="2.6"/>',
    "topic": '<circle cx="8.5" cy="14" r="2.3"/><circle cx="20" cy="8" r="1.9"/>'
    '<circle cx="20" cy="14" r="1.9"/><circle cx="20" cy="20" r="1.9"/>'
    '<path d="M10.6 13 L18.2 8.9 M10.9 14 H18 M10.6 15 L18.2 19.1"/>',
    "queue": '<rect x="6.5" y="9" width="4" height="10" rx="1"/>'
    '<rect x="12" y="9" width="4" height="10" rx="1"/>'
    '<rect x="17.5" y="9" width="4" height="10" rx="1"/>',
    "function": '<path d="M8.5 7.5 H11.5 L18.6 20.5 H20.5 M13.4 11.4 L8.4 20.5"/>',
    "table": '<ellipse cx="14" cy="8.8" rx="6.5" ry="2.4"/>'
    '<path d="M7.5 8.8 V19.2 C7.5 22.4 20.5 22.4 20.5 19.2 V8.8 '
    'M7.5 14 C7.5 17.2 20.5 17.2 20.5 14"/>',
    "people": '<rect x="6.5" y="9" width="15" height="10.5" rx="1.5"/>'
    '<path d="M7 10 L14 15.4 L21 10"/>',
    "alarms": '<path d="M8 18.5 C9.8 16.8 9.2 14 9.5 12 C9.9 9.4 11.7 8 14 8 '
    "C16.3 8 18.1 9.4 18.5 12 C18.8 14 18.2 16.8 20 18.5 Z "
    'M12.5 20.8 C13.2 21.8 14.8 21.8 15.5 20.8"/>',
}

STYLE = """
text{font-family:-apple-system,"Segoe UI",Helvetica,Arial,sans-serif;fill:#1f2328}
.ground{fill:#ffffff;stroke:#d8dee4}
.title{font-size:17px;font-weight:600}
.name{font-size:13px;font-weight:600}
.detail{font-size:10.5px;fill:#59636e}
.box{fill:#ffffff;stroke:#d0d7de}
.glyph{fill:none;stroke:#ffffff;stroke-width:1.6;stroke-linecap:round;stroke-linejoin:round}
.line{fill:none;stroke:#8c959f;stroke-width:1.4}
.dashed{stroke-dasharray:4 4}
.head,.hub{fill:#8c959f}
.dlq{fill:#fff5f3;stroke:#e5a59b;stroke-dasharray:3 2}
.dlqname{font-size:9.5px;fill:#a63a2b}
.dlqline{stroke:#e5a59b}
.bucket{fill:#3f8624}.topic{fill:#c2267e}.queue{fill:#8f3ba8}.function{fill:#d9701a}
.table{fill:#3b52cc}.people{fill:#57606a}.alarms{fill:#b42318}
@media (prefers-color-scheme:dark){
text{fill:#e6edf3}
.ground{fill:#0d1117;stroke:#30363d}
.detail{fill:#9198a1}
.box{fill:#161b22;stroke:#30363d}
.line{stroke:#6e7681}
.head,.hub{fill:#6e7681}
.dlq{fill:#2a1715;stroke:#7d3b33}
.dlqname{fill:#f0a79c}
.dlqline{stroke:#7d3b33}
}
"""
