"""The console in the browser: a gallery to look at, a desk to work at.

    app        the routes, and what every request passes first
    guard      who may ask: Host, Origin, token, read-only; and the headers that keep scripts out
    hub        one watcher for all browsers: what changed, sent as server-sent events
    gallery    pages of tiles, the detail view, pictures and originals
    uploads    leave to upload straight to S3
    desk       the pipeline drawn live, dead letters and their way back, mail
    present    the project as it is declared now
    show       values as words and numbers that a page shows
    serve      uvicorn, until Ctrl-C

It calls `operate` and holds no logic of its own. The pages are Jinja2 templates with htmx and a few plain scripts in
`static`: nothing is built, nothing is fetched from elsewhere.
"""
