"""The screen of `imgpipe watch`, made with Textual, which no other command waits for.

source   what the screen asks: a tick, an image's story, the dead letters
lines    a tick as the cells of tables, at any width; pure
app      the screen itself: the steps above, the images below, and the keys
drill    what a key opens: one image, one step's queue, the dead letters
"""
