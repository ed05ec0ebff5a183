"""`backfill` and `reprocess`: uploads that the pipeline never worked on, and those whose settings have changed.

work      an upload and its row -> the steps that it lacks or that are stale. Pure
price     what that work costs and how long it takes
choose    the uploads bucket beside the table -> items of work, without what earlier runs sent, within a budget
manifest  a run under `ops/backfill/<run>/`: its items, frozen, and how far it is
emit      an item -> events to just the branches that have work
send      the items, batch by batch: charged, then sent, then noted
stale     how many images are stale, for `plan`

It can't loop. An event goes to the queue or function of a branch, never to the bucket or the topic; a branch writes
only to the variants bucket, which announces nothing; and a run leaves out what an earlier one sent with the same
settings and code. So every image is worked on once for each change that somebody makes.
"""
