"""Dead letters: what failed, in which step, why, until when it is kept, and the way back.

Five kinds of message end in our dead-letter queues, and here they all read the same: what SQS gave
up on, what SNS couldn't deliver, what Lambda gave up on, what a step rejected, and mail that never
left. `letters` decodes them, `queues` knows where they lie, `find` reads them without keeping them
from others, `causes` asks the table and the logs why, `choose` filters, `mover` brings them back to
exactly the branch that failed, or throws them away.
"""
