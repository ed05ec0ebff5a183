"""imgpipe: declare, provision, operate and test an event-driven image pipeline.

The map of the code. Five stories, each of which imports only those below it:

    cli, web   what a person touches: prints, asks, exits; or shows it in a browser
    operate    upload, status, metadata, dlq, …: one module a verb; returns values, prints nothing
    deploy     pipeline.yaml -> Spec -> Graph -> Plan -> apply
    cloud      the one seam to boto3: a session, an endpoint, clients
    runtime    what runs inside Lambda: events, jobs, the image core, results, the writer

Beside them stands `local`, the embedded cloud: AWS's services on this machine, which the rest meets over HTTP.

Start at `cli/main.py` to follow a command; at `deploy/graph.py` to see what a pipeline consists of;
at `runtime/job.py` to follow one image.

This module imports nothing: it ships in every Lambda zip.
"""

__version__ = "0.1.0"
