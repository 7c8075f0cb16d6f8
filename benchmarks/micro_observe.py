"""CPU cost of looking for what alert rules ask for: nanoseconds per record, beside the decoding of the same blocks.

    python -m benchmarks.micro_observe [--seconds S] [--json]

Blocks of loadgen's JSON as a worker gets them are encoded, looked at, kept for a while and forgotten. The cases
take turns, since the host's speed drifts, of so many blocks that they are looked at together; each is told by its
median, and by what it is over `decode`, which looks at nothing.

    rules: none      services are counted, at the rate that such a loop has
    rules: levels    eight rules that ask for a level, some of a service
    rules: twenty    those and ten with a pattern, of which three ask every message (benchmarks/rules.py)
    rules: a field   one rule with a pattern in another field than the message
    storm: one       twenty rules, and every record meets one with a pattern
    storm: all       twenty rules with a pattern alone, and every record meets all of them
"""

import argparse
import json
import socket
import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import cycle, islice

from benchmarks.corpus import BLOCK_RECORDS, sent_blocks
from benchmarks.rules import CONDITIONS
from formats import json as json_format
from formats.record import Encoded, Enrichment
from ingestd.observe.channel import Teller, make_pair
from ingestd.observe.condition import Condition
from ingestd.observe.observer import FLUSH_S, Observer
from ingestd.stats import Board

_LEVELS = [each for each in CONDITIONS if not each.pattern]
_FIELD = Condition("user", "ERROR", "cart", "user", "^99")
_ONE_STORM = [*CONDITIONS[1:], Condition("storm", pattern="from|for|of|in|to|user|order|ms|after|up")]
_ALL_STORM = [
    Condition(f"storm-{number}", pattern="[a-z]{2}" + "[a-z ]" * (number % 5)) for number in range(20)
]

_CASES: dict[str, Sequence[Condition] | None] = {
    "decode": None,
    "rules: none": [],
    "rules: levels": _LEVELS,
    "rules: twenty": CONDITIONS,
    "rules: a field": [_FIELD],
    "storm: one": _ONE_STORM,
    "storm: all": _ALL_STORM,
}
_BLOCKS = 64
_BLOCKS_OF_A_TURN = 16
_QUEUED = 16  # blocks that wait for the writer, so that their memory is none that was just used
_RECEIVED_AT = "2026-11-20T12:00:00.123456Z"


def _case(conditions: Sequence[Condition] | None) -> Callable[[bytes], None]:
    """What is done with a block."""
    enrichment = Enrichment({"hostname": b'"vm-1"', "source_ip": b'"127.0.0.1"'})
    queued = deque[Encoded](maxlen=_QUEUED)
    if conditions is None:
        return lambda block: queued.extend(json_format.encode(block, enrichment.at(_RECEIVED_AT, "unknown")))
    pair = make_pair()
    observer = Observer(0, conditions, Teller(pair.telling), Board(1).slot(0), lambda *_: None)
    due_s = 0.0

    def take(block: bytes) -> None:
        nonlocal due_s
        context = enrichment.at(_RECEIVED_AT, "unknown", observer.wanted)
        for encoded in json_format.encode(block, context):
            observer.take(encoded)
            queued.append(encoded)
        if (now_s := time.perf_counter()) >= due_s:
            due_s = now_s + FLUSH_S
            observer.flush()
            _empty(pair.hearing)

    return take


def _empty(hearing: socket.socket) -> None:
    while True:
        try:
            hearing.recv(1 << 16)
        except BlockingIOError:
            return


def measure(seconds: float) -> dict[str, float]:
    """Nanoseconds of CPU per record of each case."""
    blocks = cycle(sent_blocks("json", _BLOCKS))
    cases = {name: _case(conditions) for name, conditions in _CASES.items()}
    costs: dict[str, list[float]] = {name: [] for name in cases}
    ends_s = time.perf_counter() + seconds
    while time.perf_counter() < ends_s:
        turn = list(islice(blocks, _BLOCKS_OF_A_TURN))
        for name, take in cases.items():
            began_ns = time.process_time_ns()
            for block in turn:
                take(block)
            costs[name].append((time.process_time_ns() - began_ns) / BLOCK_RECORDS / len(turn))
    return {name: statistics.median(each) for name, each in costs.items()}


def main() -> None:
    """Print a line for each case."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="time for all cases (10)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    costs = measure(options.seconds)
    if options.json:
        print(json.dumps({name: round(cost, 1) for name, cost in costs.items()}))
        return
    for name, cost in costs.items():
        print(f"{name:16} {cost:8.1f} ns   +{cost - costs['decode']:7.1f} ns")


if __name__ == "__main__":
    main()
