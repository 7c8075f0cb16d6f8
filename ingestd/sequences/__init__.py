"""What every client was acknowledged: the sequence of its last durable batch, in shared memory, on disk, after a crash.

    table.py        shared memory: all workers see and fence the same clients
    checkpoint.py   the state folder's copy, and which segments it covers
    recovery.py     after a start: checkpoint, then what the segments say beyond it

A sequence is durable together with its batch, in the description of the frame that holds it (store/segment.py); the
rest only finds it again quickly.
"""
