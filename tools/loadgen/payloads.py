"""Records as bytes, at some tens of nanoseconds each.

Strategy: a pool of some ten thousand records is rendered once. A batch is a slice of it, copied into the
lane's own buffer, into which numpy writes the timestamps and the sequence digits: four scatters a batch, no
Python per record. Void dtypes of the field's width on overlapping strides make each scatter one memcpy a record.

The pool is made of groups of a fixed number of records and a fixed number of bytes (with a run id of 8, json 8
in 1,360, raw 12 in 1,308), while single records vary in length. So every datagram but the last of a batch has one
size below 1,400 bytes, which lets the kernel cut a large send into datagrams (UDP_SEGMENT).

Sequences have ten digits, from 1,000,000,000 on: JSON numbers may not begin with a zero. Run and sequence stand
next to each other, `"run":"ab12cd34","seq":1000000000` or `run=ab12cd34 seq=1000000000`, so that one pattern
finds both. A new format is one entry of LAYOUTS.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from operator import add
from random import Random
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tools.loadgen import text

FIRST_SEQ = 1_000_000_000
SEQ_DIGITS = 10
END_SEQ = 10**SEQ_DIGITS
RUN_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,16}")
BLOCK_RECORDS = 2_400
"""Most records of one rendered block: about 400 KB, which stays in a core's cache."""
DATAGRAM_LIMIT_BYTES = 1_400
"""A datagram is smaller than this, so that it passes an Ethernet of 1,500 even through a tunnel."""
POOL_RECORDS = 64_800
"""About 11 MB of JSON: far more than the window of zstd level 1, so that no repetition is in sight of it."""

_RUN_BYTES = 8  # of a run id that loadgen draws itself
_DIGITS_LIMIT = 7  # of a duration
_SIX = 1_000_000
_Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Layout:
    """How a format looks: where its fixed-width fields are, and what its records weigh with a run id of 8.

    `line` renders one record with its LF and with placeholders in the fixed-width fields. `stamp` renders the
    first `stamp_bytes` of a timestamp at `stamp_offset`; where `micros`, six digits of microseconds follow, each
    record its own. The sequence stands `seq_from_end` bytes before the end of the record.
    """

    mean_bytes: int
    longest_bytes: int
    stamp_offset: int
    stamp_bytes: int
    micros: bool
    seq_from_end: int
    stamp: Callable[[int], bytes]
    line: Callable[[str, str, str, str], str]


def _json_stamp(now_us: int) -> bytes:
    return time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(now_us // _SIX)).encode()


def _json_line(level: str, service: str, message: str, run: str) -> str:
    return (
        f'{{"timestamp":"2026-01-01T00:00:00.000000Z","level":"{level}","service":"{service}",'
        f'"message":"{message}","run":"{run}","seq":{FIRST_SEQ}}}\n'
    )


def _raw_stamp(now_us: int) -> bytes:
    seconds = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now_us // _SIX))
    return f"{seconds},{now_us // 1000 % 1000:03d}".encode()


def _raw_line(level: str, service: str, message: str, run: str) -> str:
    return f"2026-01-01 00:00:00,000 {level} {service}: {message} run={run} seq={FIRST_SEQ}\n"


LAYOUTS: dict[str, Layout] = {
    "json": Layout(170, 180, len('{"timestamp":"'), 20, True, SEQ_DIGITS + 2, _json_stamp, _json_line),
    "raw": Layout(109, 140, 0, 23, False, SEQ_DIGITS + 1, _raw_stamp, _raw_line),
}
FORMATS = tuple(LAYOUTS)


class Group(NamedTuple):
    """So many records weigh exactly so many bytes together, and one at most `longest_bytes`."""

    records: int
    total_bytes: int
    longest_bytes: int


def group_of(format_name: str, run: str) -> Group:
    """As many records of this run as fit a datagram; one, if even that is larger than a datagram should be."""
    layout, more = LAYOUTS[format_name], len(run) - _RUN_BYTES
    mean_bytes = layout.mean_bytes + more
    records = max(1, (DATAGRAM_LIMIT_BYTES - 1) // mean_bytes)
    return Group(records, records * mean_bytes, layout.longest_bytes + more)


@dataclass(frozen=True, slots=True)
class Pool:
    """Rendered records, immutable and shared by all lanes; record i is data[starts[i]:starts[i + 1]]."""

    layout: Layout
    group: Group
    data: bytes
    starts: _Positions

    @property
    def records(self) -> int:
        return len(self.starts) - 1


def build_pool(format_name: str, run: str, seed: int, records: int = POOL_RECORDS) -> Pool:
    """Render at least so many records (whole groups); the same arguments give the same bytes.

    ValueError: the run id is not of RUN_PATTERN.
    """
    if not RUN_PATTERN.fullmatch(run):
        raise ValueError(f"run id {run!r}: 1 to 16 of A-Z a-z 0-9 _ -")
    layout, group = LAYOUTS[format_name], group_of(format_name, run)
    rng = Random(seed)
    levels = text.levels(-(-records // group.records) * group.records, rng)
    lines: list[str] = []
    for first in range(0, len(levels), group.records):
        lines += _render_group(layout, group, levels[first : first + group.records], run, rng)
    starts = np.zeros(len(lines) + 1, np.int64)
    np.cumsum([len(line) for line in lines], out=starts[1:])
    return Pool(layout, group, "".join(lines).encode("ascii"), starts)


def _render_group(layout: Layout, group: Group, levels: list[str], run: str, rng: Random) -> list[str]:
    """Records of these levels that weigh what the group does: the digits of their durations make up the rest."""
    while True:
        services = [text.service(rng) for _ in levels]
        messages = [text.message(level, rng) for level in levels]
        bare = [
            len(layout.line(*words, run)) + text.DURATION_OVERHEAD_BYTES
            for words in zip(levels, services, messages, strict=True)
        ]
        widths = _widths(group, bare, rng)
        if widths:
            break
    return [
        layout.line(level, service, message + text.duration(width, rng), run)
        for level, service, message, width in zip(levels, services, messages, widths, strict=True)
    ]


def _widths(group: Group, bare: list[int], rng: Random) -> list[int]:
    """How many digits each record takes, 1 to _DIGITS_LIMIT, none longer than longest_bytes; [] if it cannot be."""
    share, rest = divmod(group.total_bytes - sum(bare), len(bare))
    if not 1 <= share < _DIGITS_LIMIT:
        return []
    widths = [share + (i < rest) for i in range(len(bare))]
    rng.shuffle(widths)
    lengths = list(map(add, bare, widths))
    while max(lengths) > group.longest_bytes:
        long, short = lengths.index(max(lengths)), lengths.index(min(lengths))
        if widths[long] == 1 or widths[short] == _DIGITS_LIMIT:
            return []
        for which, change in ((long, -1), (short, 1)):
            widths[which] += change
            lengths[which] += change
    return widths


@cache
def six_digits() -> npt.NDArray[np.void]:
    """000000 to 999999 as items of six bytes (6 MB); a run of consecutive numbers is a slice of it.

    Made once; call it before forking, so that processes share it.
    """
    digits = np.empty((_SIX, 6), np.uint8)
    rest = np.arange(_SIX, dtype=np.uint32)
    for column in range(5, -1, -1):
        digits[:, column] = rest % 10 + ord("0")
        rest //= 10
    return digits.reshape(-1).view("V6")


class Renderer:
    """Renders blocks for one lane out of a shared pool. Not for two threads at once: a block lives in its buffer."""

    def __init__(self, pool: Pool, first_row: int, block_records: int) -> None:
        """Start at `first_row` of the pool (rounded to its group), render at most `block_records` at a time."""
        layout = pool.layout
        self._pool = pool
        self._layout = layout
        self._block_records = min(block_records, BLOCK_RECORDS, pool.records)
        self._row = self._aligned(first_row % pool.records)
        groups = -(-self._block_records // pool.group.records)
        self._buffer = bytearray(groups * pool.group.total_bytes)
        self._view = memoryview(self._buffer)
        self._stamps = self._fields(layout.stamp_bytes, layout.stamp_offset)
        self._micros = self._fields(6, layout.stamp_offset + layout.stamp_bytes) if layout.micros else None
        self._seq_high = self._fields(SEQ_DIGITS - 6, 0)
        self._seq_low = self._fields(6, SEQ_DIGITS - 6)
        self._second: tuple[int, npt.NDArray[np.void]] = (-1, np.empty(0, "V1"))
        six_digits()

    @property
    def block_records(self) -> int:
        """The most records that one call of `render` takes."""
        return self._block_records

    def render(self, first_seq: int, records: int, now_us: int) -> memoryview:
        """The next `records` (1 to block_records) of the pool with sequences from `first_seq`, stamped `now_us`.

        Where a format has microseconds, the records are one apart and the last has `now_us` (none reaches back
        into the second before). The view is good until the next call.
        """
        row = self._row if self._row + records <= self._pool.records else 0
        self._row = self._aligned(row + records + self._pool.group.records - 1) % self._pool.records
        starts = self._pool.starts[row : row + records + 1]
        base, end = int(starts[0]), int(starts[-1])
        self._buffer[: end - base] = memoryview(self._pool.data)[base:end]
        at = starts - base
        self._stamp(at[:-1], now_us)
        self._number(at[1:] - self._layout.seq_from_end, first_seq)
        return self._view[: end - base]

    def _stamp(self, at: _Positions, now_us: int) -> None:
        tick = now_us // (_SIX if self._micros is not None else 1000)
        if tick != self._second[0]:
            self._second = (tick, np.frombuffer(self._layout.stamp(now_us), f"V{self._layout.stamp_bytes}"))
        self._stamps[at] = self._second[1]
        if self._micros is not None:
            first = max(0, now_us % _SIX - len(at) + 1)
            self._micros[at] = six_digits()[first : first + len(at)]

    def _number(self, at: _Positions, first_seq: int) -> None:
        done = 0
        while done < len(at):  # more than once only where the upper digits change within the block
            high, low = divmod(first_seq + done, _SIX)
            part = at[done : done + _SIX - low]
            self._seq_high[part] = np.frombuffer(b"%0*d" % (SEQ_DIGITS - 6, high), f"V{SEQ_DIGITS - 6}")
            self._seq_low[part] = six_digits()[low : low + len(part)]
            done += len(part)

    def _aligned(self, row: int) -> int:
        return row - row % self._pool.group.records

    def _fields(self, width: int, offset: int) -> npt.NDArray[np.void]:
        """The buffer as items of `width` bytes at every byte from `offset` on: assigning to [positions] scatters."""
        count = len(self._buffer) - width - offset + 1
        return np.ndarray((count,), f"V{width}", buffer=self._buffer, offset=offset, strides=(1,))
