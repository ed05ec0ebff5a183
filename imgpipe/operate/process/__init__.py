"""The functions' image work on files, without any cloud: a preview, a way to try settings, and the
way to time them.

    functions   which functions there are, and the very code that they run
    files       what a person named -> files, and a name of its own for each one's variants
    blame       whose line of code raised
    work        one file through all functions
    many        file after file, on one processor or on several, in bounded memory

It runs `make` of each function's handler, the project's own if it has one, with the settings of
pipeline.yaml, in a child process as there: an image that crashes its decoder, hangs or fills the
memory is refused for it. In this process, where asked, such an image ends the command; on several
processors a crash costs that file alone, but nothing ends one that hangs.
"""
