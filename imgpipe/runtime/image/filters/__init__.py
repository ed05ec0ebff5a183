"""The filters of pipeline.yaml by name: small pure functions from a picture and a value to a picture.

    registry    what a filter is, and where one is found by its name
    chain       the filters of a step, in the three places where they work
    tones       autocontrast, brightness, contrast, gamma
    colours     saturation, greyscale, sepia, tint
    focus       sharpen, blur
    turns       rotate, flip
    marks       watermark, border

A filter of your own is a file `filters/<name>.py` beside the handler, with a function of the same
name; it needs no other change:

    # lambdas/images/filters/negative.py         pipeline.yaml: filters: [negative]
    from PIL import ImageChops

    def negative(im, value):
        return ImageChops.invert(im)
"""

from imgpipe.runtime.image.filters import colours, focus, marks, tones, turns
from imgpipe.runtime.image.filters.chain import Chain, apply, chain
from imgpipe.runtime.image.filters.registry import FILTERS, Filter, find, register

__all__ = [
    "FILTERS",
    "Chain",
    "Filter",
    "apply",
    "chain",
    "colours",
    "find",
    "focus",
    "marks",
    "register",
    "tones",
    "turns",
]
