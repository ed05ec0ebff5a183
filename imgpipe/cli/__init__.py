"""What a person touches. One module a group of commands; each has `register(app)`.

stdout is data, stderr is progress. A module here imports typer and its neighbours at the top, and what a command
needs (boto3, pydantic, Pillow) inside the command: `imgpipe --help` answers at once.
"""
