"""loadgen: a load generator for ingestd, and an honest witness of what the daemon stored.

It sends realistic records, each with a run id and a sequence number, over TLS TCP, plain TCP or UDP, and
reports exactly which sequences it may claim. `loadgen verify` reads the segments back and checks each
(run, sequence) exactly once. So that it can testify, it imports nothing of the daemon.

    cli -> fleet (processes, threads, merging) -> senders (one lane per connection) -> transports
                                               -> payloads (rendering) -> layouts -> fields, text; pacing
    cli -> schemas (checking against a registry) -> payloads
    cli -> verify (judging) -> scan (finding markers) -> marks, zst
    report: the file that passes from the one to the other
"""

import os

# numpy's threads, one for each core, would have nothing to do but to spin a while at the start.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
