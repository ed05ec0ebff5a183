"""`upload`: files, folders and globs become objects, and nothing is skipped in silence.

`sources` turns what a person named into files with keys; `send` puts one file, `multipart` a large
one, which a second run finishes; `run` does many at once with bounded memory; `stale` aborts what
nobody will finish. Waiting for the images' end is `operate.wait`.
"""
