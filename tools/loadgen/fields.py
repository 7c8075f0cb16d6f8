"""Fields of a fixed width, for many records at once: the bytes of consecutive numbers, and of timestamps.

Strategy: a number is cut into a high part, the same for up to a million records, and a low part that is looked up in
a table of all its values. A run of consecutive numbers is then a slice of the table, and writing it into records one
scatter of numpy. Items have the void dtype of the field's width, so that each is one memcpy.

Sequences are 1,000,000,000 to 9,999,999,999: ten digits without a leading zero, which JSON forbids, and five bytes
both as a varint (2^28 to 2^35) and, doubled, as the zigzag varint of Avro.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FIRST_SEQ = 1_000_000_000
SEQ_DIGITS = 10
END_SEQ = 10**SEQ_DIGITS

Items = npt.NDArray[np.void]

_SIX = 1_000_000
_VARINT_BITS = 21  # of the low three bytes


class SeqForm(NamedTuple):
    """How a sequence is written: as `high(n // low_count)` and `low()[n % low_count]`, each at its place.

    `first` is FIRST_SEQ so written, which stands in a rendered record until the sequence is known.
    """

    first: bytes
    low_at: int
    high_at: int
    low_count: int
    low: Callable[[], Items]
    high: Callable[[int], bytes]


class Stamp(NamedTuple):
    """How a timestamp is written: `render` makes what changes once in `tick_us`, of microseconds since 1970.

    Where `micros`, six digits follow, each record its own. `mark` is what stands in a rendered record instead.
    """

    mark: bytes
    tick_us: int
    micros: bool
    render: Callable[[int], bytes]


@cache
def six_digits() -> Items:
    """000000 to 999999 as items of six bytes (6 MB); a run of consecutive numbers is a slice of it.

    Made once, as the other tables are; call it before forking, so that processes share it.
    """
    digits = np.empty((_SIX, 6), np.uint8)
    rest = np.arange(_SIX, dtype=np.uint32)
    for column in range(5, -1, -1):
        digits[:, column] = rest % 10 + ord("0")
        rest //= 10
    return digits.reshape(-1).view("V6")


@cache
def _low_varints(factor: int) -> Items:
    """The multiples of `factor` below 2^21 as the first three bytes of a longer varint (6 MB for all)."""
    numbers = np.arange(0, 1 << _VARINT_BITS, factor, dtype=np.uint32)
    octets = np.empty((len(numbers), 3), np.uint8)
    for column in range(3):
        octets[:, column] = numbers >> 7 * column & 0x7F | 0x80
    return octets.reshape(-1).view("V3")


def varint(number: int) -> bytes:
    """A number, not negative, seven bits a byte, the lowest first, the last byte below 128."""
    octets = bytearray()
    while number > 0x7F:
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    octets.append(number)
    return bytes(octets)


def zigzag(number: int) -> bytes:
    """An Avro int or long that is not negative."""
    return varint(2 * number)


DECIMAL = SeqForm(b"%d" % FIRST_SEQ, SEQ_DIGITS - 6, 0, _SIX, six_digits, lambda high: b"%04d" % high)
VARINT = SeqForm(varint(FIRST_SEQ), 0, 3, 1 << _VARINT_BITS, lambda: _low_varints(1), varint)
ZIGZAG = SeqForm(zigzag(FIRST_SEQ), 0, 3, 1 << _VARINT_BITS - 1, lambda: _low_varints(2), varint)


def _rfc_3339(now_us: int) -> bytes:
    return time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(now_us // _SIX)).encode()


def _with_millis(now_us: int) -> bytes:
    seconds = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now_us // _SIX))
    return f"{seconds},{now_us // 1000 % 1000:03d}".encode()


RFC_3339 = Stamp(b"2026-01-01T00:00:00.000000Z", _SIX, True, _rfc_3339)
LOG4J = Stamp(b"2026-01-01 00:00:00,000", 1000, False, _with_millis)
EPOCH_US = Stamp(b"1767225600000000", _SIX, True, lambda now_us: b"%d" % (now_us // _SIX))
