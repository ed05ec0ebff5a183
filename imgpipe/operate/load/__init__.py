"""A burst of real images through a pipeline that is up, and what came of it.

pictures      what is sent: files, or photographs made for it
burst         sends them at a rate, follows each to its end, watches the queues meanwhile
report        the times, the throughput, what was lost or doubled; JSON and a picture of it
clean         takes away what the burst left
"""
