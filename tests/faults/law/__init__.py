"""The law of the house under faults: what was seen of a pipeline, what it is held to, and what breaks it.

state       what was uploaded, and what there is afterwards; the same for the simulation and for the embedded cloud
check       the law: a state -> what breaks it, and the figures
simulation  the real functions over a cloud in memory, in one process, call by call; a seed decides everything
harness     the real processes: an embedded cloud, its functions, a worker, `up`; a seed decides the faults
"""
