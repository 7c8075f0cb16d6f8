"""The standard corpus: loadgen's JSON records, as they travel and as they are stored.

A block is what one read of a busy TLS connection gives the framer: whole lines of about 256 KiB. Nothing here is
timed.
"""

from __future__ import annotations

import time
from typing import Final, NamedTuple

from formats.json import encode
from formats.record import Context, Enrichment
from tools.loadgen.payloads import FIRST_SEQ, Renderer, build_pool

BLOCK_BYTES: Final = 256 << 10

#: A record of loadgen is 170 bytes on average; its groups make every block of so many records the same size.
BLOCK_RECORDS: Final = 1536

RECEIVED_AT: Final = "2026-11-20T12:00:00.000000Z"


class Block(NamedTuple):
    """One block of records, before and after the splice of the enrichment."""

    sent: bytes
    chunks: list[bytes]
    records: int


def context() -> Context:
    """The enrichment of a host with an environment, a version and a sender's address, as conf/ingestd.toml makes it."""
    fields = {
        "hostname": b'"vm"',
        "environment": b'"production"',
        "app_version": b'"1.0.0"',
        "source_ip": b'"127.0.0.1"',
    }
    return Enrichment(fields).at(RECEIVED_AT, "unknown")


def sent_blocks(format_: str, count: int) -> list[bytes]:
    """`count` different blocks of `BLOCK_RECORDS` records as loadgen sends them; of fewer, where it sends fewer."""
    renderer = Renderer(build_pool(format_, "benchmrk", seed=1), 0, BLOCK_RECORDS)
    now_us = time.time_ns() // 1000
    size = renderer.block_records
    firsts = range(FIRST_SEQ, FIRST_SEQ + count * size, size)
    return [bytes(renderer.render(first, size, now_us)) for first in firsts]


def json_blocks(count: int) -> list[Block]:
    """JSON blocks with their stored lines."""
    made = []
    for sent in sent_blocks("json", count):
        (encoded,) = encode(sent, context())
        made.append(Block(sent, encoded.chunks, encoded.records))
    return made
