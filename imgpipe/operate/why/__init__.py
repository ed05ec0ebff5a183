"""`why KEY`: the way of one image, hop by hop, and where it ends.

    ask      what S3, the table, the queues, the logs and the live wiring say about a key   -> Facts
    belongs  which of what the functions said is about the version that is asked for. Pure
    way      the questions about one image that several hops share. Pure
    trace    Facts -> hops in the order of the pipeline. Pure
    verdict  the hop that is broken or waited for, the reason and the next command. Pure

Nothing is traced beforehand: no tracing service, no extra row. A hop is proven by what comes after it, for nothing
arrives at a function that wasn't delivered; so the live wiring is asked only where nothing came.
"""
