"""`audit [--heal]`: the proof that every version of every upload has its one status, and the way back to that.

law      a version, its row and its dead letters -> its status, and what is wrong. Pure
walk     the uploads bucket beside the table and the variants bucket, a batch at a time, with a checkpoint
outputs  what the variants bucket holds beside what rows name
owners   whose an output is, and whether any row names it
remedy   what each finding needs, and doing it
"""
