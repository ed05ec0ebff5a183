"""`doctor`: what is wrong with a pipeline, ours or anybody's, with the cause and the command that mends it.

`look` follows the wiring from a bucket onwards, all calls side by side, and only reads; what it saw is a `Scene`.
A check is a small pure function from a scene to findings, so each is tested by building its fault, and none waits for
another. `registry` lists them; `run` does the whole.

Left out on purpose: `audit`, which looks at every image, and `selftest`, which sends some. Dead letters are counted
and not received: that would hide them from others for a moment.
"""
