"""One way to run input through a format, shared by its tests: whole, byte by byte, and cut at random.

Every run checks what must hold of any input: the output is JSON lines of the size told, one per record counted; levels,
services and time range are those of the lines; and no non-blank line is unaccounted for.
"""

import json
import random
from collections import Counter
from collections.abc import Set
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest

from formats import FORMATS, kernel
from formats.cores import ALL_COLUMNS, Columns, Wanted, bits_of
from formats.framing import Lines
from formats.levels import LEVELS
from formats.record import REASONS, Context, Encoded, Enrichment, Kept

DATA = Path(__file__).parent.parent / "data"
CORPORA = Path(__file__).parents[3] / "shared" / "corpora"
RECEIVED_AT = "2026-11-20T12:34:56.789012Z"
ADDED = {"hostname": "vm\\1", "source_ip": "192.0.2.7"}  # the backslash: enrichment must not be a template
CONTEXT = Enrichment({name: json.dumps(value).encode() for name, value in ADDED.items()}).at(
    RECEIVED_AT, "unknown", ALL_COLUMNS
)
_LIMIT_BYTES = 2_000_000
#: What is wanted where that is not all.
_LEVELS_OF_ALL = {"ERROR"}
_LEVELS_OF_SOME = {"WARN", "INFO"}
_COUNTED = {"WARN", "ERROR", "FATAL"}
_LIKELY_LEVELS = {"DEBUG", "WARN"}
_LIKELY_LEVELS_OF_ALL = {"TRACE"}
_PAIRS = (b"in", b"s ", b"01")

Record = dict[str, Any]


class Outcome(NamedTuple):
    records: list[Record]
    rejects: list[tuple[str, bytes]]


def parse(line: bytes) -> Record:
    """A JSON object, its numbers as they were written."""
    text = line.decode()  # of bytes `loads` would take UTF-16, and surrogates
    record = _decode(text)
    assert isinstance(record, dict)
    return record


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


@lru_cache(1 << 14)
def _parse_again(line: bytes) -> Record:
    """`parse`, for lines that are looked at from many sides, and records that nobody changes."""
    return parse(line)


_decode = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse).decode


def encode(format: str, block: bytes) -> Outcome:
    """Encode one block, and check what must hold of any."""
    outcome = Outcome([], [])
    for encoded in FORMATS[format].encode(block, CONTEXT):
        check(encoded)
        outcome.records.extend(map(parse, b"".join(encoded.chunks).splitlines()))
        outcome.rejects.extend((reject.reason, reject.data) for reject in encoded.rejects)
    return outcome


def check(encoded: Encoded) -> list[Record]:
    """Check what must hold of any block, and return its records."""
    output = b"".join(encoded.chunks)
    assert encoded.nbytes == len(output)
    assert encoded.records == output.count(b"\n")
    assert output == b"" or output.endswith(b"\n")
    assert b"\r" not in output  # to many readers the end of a line
    records = [_parse_again(line) for line in output.split(b"\n")[:-1]]
    timestamps = [record["timestamp"] for record in records]
    levels = [record["level"] for record in records]
    assert encoded.first == min(timestamps, default="")
    assert encoded.last == max(timestamps, default="")
    assert encoded.levels == {level: levels.count(level) for level in set(levels)}
    assert set(levels) <= set(LEVELS)
    assert encoded.services == {record["service"] for record in records}
    assert encoded.by_service in (None, Counter(record["service"] for record in records))
    assert all(isinstance(record["message"], str) for record in records)
    check_columns(encoded.columns, records)
    if len(encoded.columns) == len(records) > 0:
        last = np.array([len(records) - 1])
        assert encoded.columns.lines(last) in (None, output.splitlines(keepends=True)[-1])
        assert encoded.columns.lines(None) in (None, output)
        for asked in ({"ERROR", "FATAL"}, set(levels)):
            check_counts(encoded.columns, records, asked)
    assert all(reject.reason in REASONS and len(reject.detail) <= 200 for reject in encoded.rejects)
    return records


def check_columns(columns: Columns, records: list[Record]) -> None:
    """Columns are those of all records, or shorter: then they are not asked."""
    assert len(columns) == len(columns.services(None)) == len(columns.messages(None)) == len(columns.letters)
    if not records or len(columns) != len(records):
        return
    levels = [record["level"] for record in records]
    services = [record["service"] for record in records]
    assert bytes(columns.letters).decode() == "".join(level[0] for level in levels)
    for numbers in (None, np.arange(1, len(records), 2)):
        kept = records if numbers is None else records[1::2]
        assert columns.services(numbers) == [record["service"] for record in kept]
        assert columns.messages(numbers).to_list() == [record["message"] for record in kept]
    for asked in ({"ERROR", "FATAL"}, set(levels)):
        fit = [number for number, level in enumerate(levels) if level in asked]
        assert columns.numbers(asked).tolist() == fit
        assert columns.numbers(asked, "no such").tolist() == []
        last = [number for number in fit if services[number] == services[-1]]
        assert columns.numbers(asked, services[-1]).tolist() == last


def check_counts(columns: Columns, records: list[Record], levels: Set[str]) -> None:
    """How many of `records` there are by level and service."""
    pairs = Counter((record["level"], record["service"]) for record in records)
    counts = columns.count(levels)
    counted = {(level, name): number for level, of in counts.items() for name, number in of.items()}
    assert counted == {pair: number for pair, number in pairs.items() if pair[0] in levels}


def assert_same_both_ways(format: str, block: bytes, context: Context = CONTEXT) -> None:
    """The compiled kernels and Python alone make the same of a block: to the byte, in every count and column."""
    assert kernel.COMPILED
    compiled = list(map(_all_of, FORMATS[format].encode(block, context)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "COMPILED", False)
        interpreted = list(map(_all_of, FORMATS[format].encode(block, context)))
    assert compiled == interpreted
    _check_partly(format, block, context)


def _check_partly(format: str, block: bytes, context: Context) -> None:
    """Where some of the records are wanted, these are there, and are counted; the lines are what they were.

    All messages are searched, as they are meant, or it is said that there may be something in them.
    """
    searched: list[bytes] = []

    def nothing(messages: memoryview) -> bool:
        searched.append(bytes(messages))
        return False

    about = context.enrichment, context.received_at, context.service
    made = FORMATS[format].encode(block, context)
    services = sorted({service for whole in made for service in whole.services})
    some = _by_service(services[::2], _LEVELS_OF_SOME)
    likely = _by_service(services[::3], _LIKELY_LEVELS) | _by_service([""], _LIKELY_LEVELS_OF_ALL)
    all_searched = Wanted(
        bits_of(_LEVELS_OF_ALL), some, bits_of(_COUNTED), nothing, b"", likely, b"".join(_PAIRS)
    )
    found = Context(*about, all_searched._replace(search=lambda messages: len(messages) > 0))
    for encoded in FORMATS[format].encode(block, found):
        assert encoded.may_match or not encoded.records
    few = Wanted(
        of_services=some, likely=_by_service(services[1::2], {"ERROR"}), likely_pairs=b"".join(_PAIRS)
    )
    for wanted in (all_searched, all_searched._replace(pairs=b"".join(_PAIRS)), few):
        searched.clear()
        for whole, encoded in zip(made, FORMATS[format].encode(block, Context(*about, wanted)), strict=True):
            output = b"".join(encoded.chunks)
            assert output == b"".join(whole.chunks)
            records = check(encoded)
            if not encoded.may_match:
                asked = [record for record in records if not wanted.pairs or _has_pair(record)]
                _check_in_order([record["message"].encode() for record in asked], b"".join(searched))
            if encoded.kept is not None:
                lines = b"".join(chunk for part in encoded.kept for chunk in part.chunks)
                _check_left_out(output.splitlines(), lines.splitlines(), wanted)
            _check_kept(encoded.take_kept(), records if wanted.counted else None)
            assert (len(encoded.columns), encoded.kept) == (0, None)


def _by_service(services: list[str], levels: Set[str]) -> dict[bytes, int]:
    return {msgspec.json.encode(service)[1:-1]: bits_of(levels) for service in services}


def _has_pair(record: Record) -> bool:
    message = record["message"].encode().lower()
    return any(pair in message for pair in _PAIRS)


def _check_in_order(messages: list[bytes], searched: bytes) -> None:
    """All of these were searched, an LF behind each."""
    at = 0
    for message in messages:
        at = searched.index(message + b"\n", at) + len(message) + 1


def _check_left_out(output: list[bytes], kept: list[bytes], wanted: Wanted) -> None:
    """No record that is wanted is left out, and of those that are counted there is one of each service."""
    of_output = iter(output)
    left_out = []
    for line in kept:
        while (each := next(of_output)) != line:
            left_out.append(_parse_again(each))
    left_out += map(_parse_again, of_output)
    pairs = {(record["level"], record["service"]) for record in map(_parse_again, kept)}
    for record in left_out:
        level, service = bits_of({record["level"]}), msgspec.json.encode(record["service"])[1:-1]
        assert not level & (wanted.levels | wanted.of_services.get(service, 0))
        if _has_pair(record):
            assert not level & (wanted.likely.get(service, 0) | wanted.likely.get(b"", 0))
        assert not level & wanted.counted or (record["level"], record["service"]) in pairs


def _check_kept(parts: list[Kept], records: list[Record] | None) -> None:
    """The columns are those of the lines, and the counts those of the `records`, if these are given."""
    counts = Counter[tuple[str, str]]()
    for part in parts:
        lines = b"".join(part.chunks)
        kept = list(map(_parse_again, lines.splitlines()))
        assert (part.nbytes, part.records) == (len(lines), len(kept))
        assert part.levels.keys() >= {record["level"] for record in kept}
        assert part.services >= {record["service"] for record in kept}
        check_columns(part.columns, kept)
        if len(part.columns) < part.records:
            counts.update((record["level"], record["service"]) for record in kept)
        else:
            for level, services in part.columns.count(_COUNTED).items():
                counts.update({(level, service): number for service, number in services.items()})
    if records is None:
        return
    counted = Counter((record["level"], record["service"]) for record in records)
    assert {pair: number for pair, number in counts.items() if pair[0] in _COUNTED} == {
        pair: number for pair, number in counted.items() if pair[0] in _COUNTED
    }


def _all_of(encoded: Encoded) -> dict[str, Any]:
    """What is to be compared of a block; how it is divided into chunks is not."""
    check(encoded)
    fields = {name: getattr(encoded, name) for name in encoded.__struct_fields__}
    columns = fields.pop("columns")
    fields.pop("by_service")
    fields["chunks"] = b"".join(encoded.chunks)
    return fields | {
        "letters": bytes(columns.letters),
        "service column": columns.services(None),
        "message column": columns.messages(None).to_list(),
    }


def encode_cut(format: str, data: bytes, cuts: list[int]) -> Outcome:
    """Feed `data` in pieces through the framer, as a connection does."""
    framer = Lines(_LIMIT_BYTES)
    outcome = Outcome([], [])
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        block = framer.feed(data[start:end])
        if block:
            assert block.endswith(b"\n")
            _add(outcome, encode(format, block))
    if rest := framer.finish():
        _add(outcome, encode(format, rest))
    assert not framer.oversize
    return outcome


def run(format: str, data: bytes) -> Outcome:
    """Encode whole, byte by byte and cut at random; all must agree."""
    whole = encode(format, data)
    assert encode_cut(format, data, list(range(1, len(data)))) == whole
    rng = random.Random(len(data))
    for _ in range(5):
        cuts = sorted(rng.sample(range(len(data) + 1), k=min(4, len(data))))
        assert encode_cut(format, data, cuts) == whole
    return whole


def own(record: Record) -> Record:
    """A record without what enrichment put there."""
    added = ADDED | {"received_at": RECEIVED_AT}
    return {
        name: value
        for name, value in record.items()
        if added.get(name) != value and (name != "format" or value not in FORMATS)
    }


def cases(format: str, kind: str) -> list[Path]:
    """The case files of tests/data/<format>/<kind>.

    `<case>.in` are the bytes a sender sends; `<case>.out` has one JSON line for each record (without what
    enrichment adds) and for each reject `{"reason": …, "data": …}`, records first.
    """
    found = sorted((DATA / format / kind).glob("*.in"))
    assert found, f"no cases in {DATA / format / kind}"
    return found


def expected(case: Path) -> Outcome:
    lines = [parse(line) for line in case.with_suffix(".out").read_bytes().splitlines()]
    return Outcome(
        [line for line in lines if "reason" not in line],
        [
            (line["reason"], line["data"].encode("utf-8", "surrogateescape"))
            for line in lines
            if "reason" in line
        ],
    )


def run_case(format: str, case: Path) -> None:
    outcome = run(format, case.read_bytes())
    assert Outcome([own(record) for record in outcome.records], outcome.rejects) == expected(case)


def _add(outcome: Outcome, more: Outcome) -> None:
    outcome.records.extend(more.records)
    outcome.rejects.extend(more.rejects)
