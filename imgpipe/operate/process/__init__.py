"""The functions' image work on files, without any cloud: a preview, a way to try settings, and the
way to time them.

    functions   which functions there are, and the very code that they run
    files       what a person named -> files, and a name of its own for each one's variants
    work        one file through all functions
    many        file after file, on one processor or on several, in bounded memory

It runs `make` of each function's handler, the project's own if it has one, with the settings of
pipeline.yaml. One difference: on one processor all is done in this process, which is what makes the
times comparable, so a file that kills a decoder ends the command; with several it costs one file.
"""
