"""Records as bytes, at some tens of nanoseconds each.

Strategy: a pool of some ten thousand records is rendered once. A batch is a slice of it, copied into the
lane's own buffer, into which numpy writes the timestamps and the sequences: four scatters a batch, no Python per
record (see `fields`). How a record looks, and what goes around a block of them, is in `layouts`.

Where records go as datagrams, the pool is made of groups of a fixed number of records and a fixed number of bytes
(with a run id of 8, json 8 in 1,360, raw 12 in 1,308), while single records vary in length. So every datagram but
the last of a batch has one size below 1,400 bytes, which lets the kernel cut a large send into datagrams
(UDP_SEGMENT).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from operator import add
from random import Random
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tools.loadgen import text
from tools.loadgen.fields import END_SEQ, FIRST_SEQ, Items, six_digits
from tools.loadgen.layouts import FORMATS, LAYOUTS, Layout

__all__ = ["END_SEQ", "FIRST_SEQ", "FORMATS"]

RUN_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,16}")
DATAGRAM_LIMIT_BYTES = 1_400
"""A datagram is smaller than this, so that it passes an Ethernet of 1,500 even through a tunnel."""
POOL_RECORDS = 64_800
"""About 11 MB of JSON: far more than the window of zstd level 1, so that no repetition is in sight of it."""

_RUN_BYTES = 8  # of a run id that loadgen draws itself
_DIGITS_LIMIT = 7  # of a duration
_FREE_DIGITS = (2, 6)  # of a duration, where nothing else decides
_WRAP_LIMIT_BYTES = 32  # of what goes before a block, and after it
_SIX = 1_000_000
_Positions = npt.NDArray[np.int64]


class Group(NamedTuple):
    """So many records weigh exactly so many bytes together, and one at most `longest_bytes`."""

    records: int
    total_bytes: int
    longest_bytes: int


def group_of(format_name: str, run: str) -> Group:
    """As many records of this run as fit a datagram; one, if even that is larger than a datagram should be.

    ValueError: the format does not go in datagrams.
    """
    weight, more = LAYOUTS[format_name].weight, len(run) - _RUN_BYTES
    if weight is None:
        raise ValueError(f"{format_name} does not go in datagrams")
    mean_bytes = weight.mean_bytes + more
    records = max(1, (DATAGRAM_LIMIT_BYTES - 1) // mean_bytes)
    return Group(records, records * mean_bytes, weight.longest_bytes + more)


@dataclass(frozen=True, slots=True)
class Pool:
    """Rendered records, immutable and shared by all lanes; record i is data[starts[i]:starts[i + 1]].

    `stamp_at` and `seq_at` are where in `data` its fixed-width fields begin. Where there are no datagrams, a group is
    one record, and weighs at most what it says.
    """

    layout: Layout
    group: Group
    data: bytes
    starts: _Positions
    stamp_at: _Positions
    seq_at: _Positions

    @property
    def records(self) -> int:
        return len(self.starts) - 1


def build_pool(
    format_name: str,
    run: str,
    seed: int,
    records: int = POOL_RECORDS,
    layouts: Mapping[str, Layout] = LAYOUTS,
) -> Pool:
    """Render at least so many records (whole groups); the same arguments give the same bytes.

    The tables of `fields` are made too, so that processes forked afterwards share them. ValueError: the run id is not
    of RUN_PATTERN.
    """
    if not RUN_PATTERN.fullmatch(run):
        raise ValueError(f"run id {run!r}: 1 to 16 of A-Z a-z 0-9 _ -")
    layout = layouts[format_name]
    rng = Random(seed)
    if layout.weight is None:
        lines = [_render_free(layout, level, run, rng) for level in text.levels(records, rng)]
        longest_bytes = max(map(len, lines))
        group = Group(1, longest_bytes, longest_bytes)
    else:
        group = group_of(format_name, run)
        levels = text.levels(-(-records // group.records) * group.records, rng)
        lines = []
        for first in range(0, len(levels), group.records):
            lines += _render_group(layout, group, levels[first : first + group.records], run, rng)
    six_digits()
    layout.seq.low()
    starts = np.zeros(len(lines) + 1, np.int64)
    np.cumsum([len(line) for line in lines], out=starts[1:])
    stamp_at = np.array([line.index(layout.stamp.mark) for line in lines], np.int64) + starts[:-1]
    seq_at = np.array([line.rindex(layout.seq.first) for line in lines], np.int64) + starts[:-1]
    return Pool(layout, group, b"".join(lines), starts, stamp_at, seq_at)


def _render_free(layout: Layout, level: str, run: str, rng: Random) -> bytes:
    """A record of whatever length."""
    words = text.service(rng), text.message(level, rng) + text.duration(rng.randint(*_FREE_DIGITS), rng)
    return layout.record(level, *words, run)


def _render_group(layout: Layout, group: Group, levels: list[str], run: str, rng: Random) -> list[bytes]:
    """Records of these levels that weigh what the group does: the digits of their durations make up the rest."""
    while True:
        services = [text.service(rng) for _ in levels]
        messages = [text.message(level, rng) for level in levels]
        bare = [
            len(layout.record(*words, run)) + text.DURATION_OVERHEAD_BYTES
            for words in zip(levels, services, messages, strict=True)
        ]
        widths = _widths(group, bare, rng)
        if widths:
            break
    return [
        layout.record(level, service, message + text.duration(width, rng), run)
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


class Renderer:
    """Renders blocks for one lane out of a shared pool. Not for two threads at once: a block lives in its buffer."""

    def __init__(self, pool: Pool, first_row: int, block_records: int) -> None:
        """Start at `first_row` of the pool (rounded to its group), render at most `block_records` at a time."""
        layout = pool.layout
        self._pool = pool
        self._block_records = min(block_records, layout.block_records, pool.records)
        self._row = self._aligned(first_row % pool.records)
        self._room = _WRAP_LIMIT_BYTES if layout.wrap else 0
        groups = -(-self._block_records // pool.group.records)
        self._buffer = bytearray(groups * pool.group.total_bytes + 2 * self._room)
        self._view = memoryview(self._buffer)
        self._tick = -1
        self._ticked = np.empty(0, "V1")

    @property
    def block_records(self) -> int:
        """The most records that one call of `render` takes."""
        return self._block_records

    def render(self, first_seq: int, records: int, now_us: int) -> memoryview:
        """The next `records` (1 to block_records) of the pool with sequences from `first_seq`, stamped `now_us`.

        Where a format has microseconds, the records are one apart and the last has `now_us` (none reaches back
        into the second before). The view is good until the next call.
        """
        pool, begin = self._pool, self._room
        row = self._row if self._row + records <= pool.records else 0
        self._row = self._aligned(row + records + pool.group.records - 1) % pool.records
        base, end = int(pool.starts[row]), int(pool.starts[row + records])
        filled = begin + end - base
        self._buffer[begin:filled] = memoryview(pool.data)[base:end]
        self._stamp(pool.stamp_at[row : row + records] - (base - begin), now_us)
        self._number(pool.seq_at[row : row + records] - (base - begin), first_seq)
        if pool.layout.wrap is not None:
            before, after = pool.layout.wrap(records, filled - begin)
            self._buffer[begin - len(before) : begin] = before
            self._buffer[filled : filled + len(after)] = after
            begin, filled = begin - len(before), filled + len(after)
        return self._view[begin:filled]

    def _stamp(self, at: _Positions, now_us: int) -> None:
        stamp = self._pool.layout.stamp
        tick = now_us // stamp.tick_us
        if tick != self._tick:
            self._tick, self._ticked = tick, _item(stamp.render(now_us))
        self._scatter(at, self._ticked)
        if stamp.micros:
            first = max(0, now_us % _SIX - len(at) + 1)
            self._scatter(at + self._ticked.itemsize, six_digits()[first : first + len(at)])

    def _number(self, at: _Positions, first_seq: int) -> None:
        form, done = self._pool.layout.seq, 0
        while done < len(at):  # more than once only where the high part changes within the block
            high, low = divmod(first_seq + done, form.low_count)
            part = at[done : done + form.low_count - low]
            self._scatter(part + form.high_at, _item(form.high(high)))
            self._scatter(part + form.low_at, form.low()[low : low + len(part)])
            done += len(part)

    def _scatter(self, at: _Positions, items: Items) -> None:
        """Write items (one, or one for each position) into the buffer: all its bytes taken as items that overlap."""
        count = len(self._buffer) - items.itemsize + 1
        np.ndarray((count,), items.dtype, buffer=self._buffer, strides=(1,))[at] = items

    def _aligned(self, row: int) -> int:
        return row - row % self._pool.group.records


def _item(octets: bytes) -> Items:
    return np.frombuffer(octets, f"V{len(octets)}")
