"""The embedded cloud: AWS's services on this machine, for one project, over HTTP on loopback.

It knows nothing of pipelines. It is ministack, with corrections (`corrections`), a journal that
survives a kill (`journal`) and a Lambda runtime of its own (`lambda_runtime`). `lifecycle` starts
and stops the server process, which `server` is.
"""
