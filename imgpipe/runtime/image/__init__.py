"""The image core: pure functions from bytes and settings to bytes and facts. No cloud, no files, no
clock.

    formats     what is it, by content? which decoder does it take?
    opening     how large is it, within the limits?   no pixel is decoded
    kinds       what no decoder here reads, though its container is known: raw files, rare TIFFs
    inflating   a PNG's pixels unpacked, quicker than by zlib
    unfiltering a PNG's pixels by libvips, where it is installed: quicker still
    decoding    as few pixels as the largest variant needs: 8-bit L, RGB or RGBA, upright
    colour      profiles, alpha, depths: whatever a file stores becomes sRGB
    geometry    where each variant's pixels come from and how large it gets: arithmetic only
    attention   where the picture has most detail
    works       which variants can share pixels: filters, profile
    filters     small functions from a picture and a value to a picture
    rendering   every variant from the next larger one
    animation   the frames of what moves, how long each is shown, how often
    encoding    pixels to a file
    facts       what is told about the picture: size, camera, place, colours
    pages       the memory of one picture kept for the next
    structure   why a decoder gave up, read off the container
    making      the above in order, for all steps of a function at once

`make` ends with pictures or raises Rejected with one of the closed list of reasons; whatever a
decoder raises on a broken file is translated in `opening.refusals`. What hangs or crashes a decoder is
`guard`'s matter, which runs all this in a child.
"""

from imgpipe.runtime.image.making import make

__all__ = ["make"]
