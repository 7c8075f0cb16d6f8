"""What the default rules cost a record, timed alone: over what each format makes of loadgen's records.

A good block is cleared by what is counted of it anyway, whatever its number of records, which is too little for a
sampler to find. So it is timed here, in this process, over blocks as the framers cut them out of full reads; framing
and encoding are done before. CPU time of this thread, the best of several rounds.
"""

from __future__ import annotations

import time
from typing import Final

from benchmarks.corpus import BLOCK_BYTES, context, sent_blocks
from formats import FORMATS, timestamps
from formats.record import Encoded
from ingestd.config import Config
from ingestd.schema.record import Limits, RecordRules
from tools.loadgen.layouts import LAYOUTS

#: As much as is sent at once: some 60 reads of a busy connection, and more for formats with larger records.
_BLOCKS: Final = 64

_ROUNDS: Final = 50


def default_rules() -> RecordRules:
    """Those of a daemon with the shipped configuration."""
    config = Config().schema
    min_timestamp = timestamps.parse(config.min_timestamp)
    return RecordRules(Limits(min_timestamp, config.max_future, config.max_message_chars))


def encoded_blocks(format_: str, count: int) -> list[Encoded]:
    """What a worker makes of so many of loadgen's blocks, received in reads of `BLOCK_BYTES`."""
    sent = LAYOUTS[format_].preamble + b"".join(sent_blocks(format_, count))
    framer, encode = FORMATS[format_].framer(len(sent)), FORMATS[format_].encode
    made = []
    for start in range(0, len(sent), BLOCK_BYTES):
        data = sent[start : start + BLOCK_BYTES]
        while block := framer.feed(data):
            made += encode(block, context())
            data = b""
    return made


def time_alone(format_: str, blocks: int = _BLOCKS, rounds: int = _ROUNDS) -> float:
    """Nanoseconds per record of the default rules, for records of one format."""
    rules, made = default_rules(), encoded_blocks(format_, blocks)
    best_ns = min(_round_ns(rules, made) for _ in range(rounds))
    return best_ns / sum(encoded.records for encoded in made)


def _round_ns(rules: RecordRules, made: list[Encoded]) -> int:
    begun_ns = time.thread_time_ns()
    for encoded in made:
        rules.check(encoded)
    return time.thread_time_ns() - begun_ns
