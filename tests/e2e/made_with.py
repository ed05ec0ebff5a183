"""`python made_with.py CODE OUT PHOTOGRAPH…`: what the image core in CODE makes of photographs, as files in OUT.

Of the standard library and CODE alone, so that any Python runs it, one for another processor too. cykooz.resizer is
left aside where it is there, so that Pillow resamples as it does where it isn't.
"""

import json
import platform
import sys
from pathlib import Path
from typing import Any

STEPS: dict[str, dict[str, Any]] = {
    "sizes": {
        "variants": {str(side): {"width": side, "height": side} for side in (1600, 800, 200)}
    },
    "enhance": {
        "filters": [{"autocontrast": None}, {"saturation": 1.2}, {"sharpen": 1.2}],
        "variants": {"enhanced": {"width": 800, "height": 800, "format": "png"}},
    },
    "metadata": {"exif": True, "gps": "round", "palette": 5},
}


def main(code: str, out: str, *photographs: str) -> None:
    sys.path.insert(0, code)
    from imgpipe.runtime import image
    from imgpipe.runtime.image import resampling
    from imgpipe.runtime.settings import Limits

    resampling._resizer = None
    for path in map(Path, photographs):
        made = image.make(path.read_bytes(), STEPS, Limits(decode_s=600))
        for name, picture in [it for step in made.values() for it in step.variants.items()]:
            (Path(out) / f"{path.stem}.{name}.{picture.format}").write_bytes(picture.data)
        (Path(out) / f"{path.stem}.json").write_text(json.dumps(made["metadata"].facts))
    sys.stdout.write(f"{platform.machine()} {platform.python_version()}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
