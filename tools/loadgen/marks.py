"""Which sequences of a run were seen: one flag per sequence, in pages of a million.

A flag can only be set, so that marks of several files are merged by OR. How often a sequence was seen need not be
kept: duplicates are the records counted less the flags set. Packed to bits, a hundred million sequences are 12.5 MB.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

PAGE_BITS = 20
PAGE = 1 << PAGE_BITS

Flags = npt.NDArray[np.uint8]


class Marks:
    """The sequences of one run in one file, being read. A flag is a byte here, for speed."""

    def __init__(self) -> None:
        self.records = 0
        self._pages: dict[int, Flags] = {}

    def add(self, seqs: npt.NDArray[np.int64]) -> None:
        """Mark sequences, each as often as it is named."""
        self.records += len(seqs)
        numbers = seqs >> PAGE_BITS
        for number in np.unique(numbers).tolist():
            page = self._pages.get(number)
            if page is None:
                page = self._pages[number] = np.zeros(PAGE, np.uint8)
            page[seqs[numbers == number] & (PAGE - 1)] = 1

    def packed(self) -> PackedMarks:
        """The same as bits, small enough to pass between processes."""
        packed = PackedMarks()
        packed.records = self.records
        packed.pages = {number: np.packbits(page) for number, page in self._pages.items()}
        return packed


class PackedMarks:
    """The sequences of one run in any number of files."""

    def __init__(self) -> None:
        self.records = 0
        self.pages: dict[int, Flags] = {}

    def merge(self, other: PackedMarks) -> None:
        """Add what was seen elsewhere."""
        self.records += other.records
        for number, page in other.pages.items():
            mine = self.pages.get(number)
            self.pages[number] = page if mine is None else mine | page

    @property
    def distinct(self) -> int:
        """How many different sequences were seen."""
        return sum(int(np.count_nonzero(np.unpackbits(page))) for page in self.pages.values())

    def slices(self, first: int, last: int) -> Iterator[tuple[int, Flags | None]]:
        """The flags of `first` to `last`, page by page: the first sequence of a piece and its flags (0 or 1 each).

        A piece of which nothing was seen comes as None.
        """
        for number in range(first >> PAGE_BITS, (last >> PAGE_BITS) + 1):
            base = number << PAGE_BITS
            begin, end = max(first, base), min(last, base + PAGE - 1)
            page = self.pages.get(number)
            if page is None:
                yield begin, None
                continue
            byte = (begin - base) >> 3
            bits = np.unpackbits(page[byte : ((end - base) >> 3) + 1])
            skip = (begin - base) - (byte << 3)
            yield begin, bits[skip : skip + end - begin + 1]
