"""`selftest`: a good and a poison image through the deployed pipeline, and a dead letter for its alarm.

pictures   the two uploads, made here: nothing is read from disk
run        the checks in order, what came of each, and the cleaning up
"""
