"""The image core against the libraries that a user would pick instead.

One process for each engine, one core for all of them, and only one at work at a time. For each picture and round
every engine takes its turn, so that a neighbour's load on the machine meets all of them. An engine's figure for a
picture is its least time over the rounds (noise only ever adds); a ratio is the median over the pictures. Ours is
`imgpipe.runtime.image` as the functions call it, in one process, without the guarding child, whose cost is a row of
its own.

    subjects   the photographs, and the files made from them
    engines    ours, sharp, pyvips, opencv, naive Pillow, and the floor (libjpeg-turbo alone)
    race       the engines in turn
    quality    PSNR and SSIM of what they made, against full decode and Lanczos
    memory     the peak of a fresh process
    cold       import time and zip sizes, for Lambda
    rows       which engine does which job on what
    report     the table and the plot
"""
