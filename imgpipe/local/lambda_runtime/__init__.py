"""Lambda without Docker: functions in processes of their own, run by AWS's own runtime client.

    install      puts the pool under ministack: its records in, its logs and results out
    pool         which environment serves an invocation; who waits for whom
    environment  one process and the invocations it serves, one after the other
    process      starting it, with nothing of ours in sight; ending it, with all its children
    exchange     the Runtime API, spoken with one process
    wire         as much of HTTP as that takes
    code         zips laid out on disk, once for all environments
    lines        what Lambda itself writes into the log, and its error documents
    start        the first script in the process; `portable` where the runtime client isn't built

No sandbox: a handler runs as the user, and can read and write what the user can.
"""
