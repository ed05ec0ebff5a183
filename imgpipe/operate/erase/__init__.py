"""`erase KEY`: everything of one upload, gone for good, with a receipt.

survey   what there is of a key: versions, outputs, rows, notices, dead and queued messages
notes    the notes under `ops/` that name it
run      remove it, round by round, until nothing has come back for a while; the receipt
receipts where receipts are kept, and the latest of a key
"""
