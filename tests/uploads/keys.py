"""Names that are trouble: for decoders of events, for shells, terminals, pages, logs and file systems."""

from __future__ import annotations

from collections.abc import Iterator

PREFIX = "incoming/k/"
NAMES = (
    *("a b.jpg", "a+b.jpg", "a  b.jpg", "a%20b.jpg", "a%2Fb.jpg", "a%00b.jpg", "100%.jpg"),
    *(
        "caf\u00e9.jpg",
        "cafe\u0301.jpg",
        "\U0001f600\U0001f1e9\U0001f1ea.jpg",
        "写真/東京.jpg",
        "صورة.jpg",
    ),
    *(
        "evil\u202egpj.exe.jpg",
        "a\u200bb.jpg",
        "\ufeffa.jpg",
        "a\u00a0b.jpg",
        "a\u2028b\u0085c.jpg",
    ),
    *("../../etc/passwd.jpg", "%2e%2e%2fx.jpg", "/a.jpg", "a\\..\\b.jpg", "CON.jpg", "C:\\x.jpg"),
    *(".htaccess.jpg", "-rf.jpg", "a\nb.jpg", "a\r\nERROR forged line.jpg", "a\tb.jpg"),
    *("a\x01b.jpg", "a\x1b[31mred\x1b[2J.jpg", "a\x7fb.jpg", "a\x9b2Jb.jpg"),
    *(
        "<img src=x onerror=alert(1)>.jpg",
        '"><script>alert(1)</script>.jpg',
        "a' onmouseover='alert(1).jpg",
    ),
    *(
        "javascript:alert(1).jpg",
        "&lt;b&gt;&amp;.jpg",
        "`id`.jpg",
        "{{7*7}}${7*7}<%=7*7%>.jpg",
        "[red]a[/].jpg",
    ),
    *("%s%n{0}{key}.jpg", "$(touch pwned);|&.jpg", "a'; DROP TABLE x;--.jpg", '"},{"x":"y.jpg'),
    *(
        "=cmd|'/c calc'!A1.jpg",
        "]]><x>&amp;.jpg",
        "a?b=c&d=e.jpg",
        "a#b.jpg",
        "a;v=1.jpg",
        "a,b=c@d!$.jpg",
    ),
    *("~a*.jpg", "[a]{b}(c).jpg", "**/*.jpg", "y" * 300 + ".jpg", "d/" * 200 + "a.jpg"),
    *("x" * (1024 - len(PREFIX) - 4) + ".jpg", "€" * ((1024 - len(PREFIX) - 4) // 3) + ".jpg"),
    *(
        "Case.jpg",
        "case.JPG",
        "same.png",
        "same.jpg",
        "same/jpg",
        "noext",
        ".jpg",
        "a..b...jpg",
        "a.jpg.",
    ),
    *(
        "a.jpg ",
        " a.jpg",
        "a.jpg/thumb.webp",
        "s3://other/bucket.jpg",
        "http://169.254.169.254/latest.jpg",
    ),
    *("00000000-0000-0000-0000-000000000000", "0", "null", "__proto__.jpg", "\ue000.jpg"),
)


def every() -> Iterator[str]:
    """Yield keys, each a different object's."""
    yield from (f"{PREFIX}{name}" for name in NAMES)
