"""Finding the run and the sequence of each stored line, without parsing the lines.

Strategy: lines of a store look alike, so where one line has its marker, counted from its end, most others have
theirs. The first line is read in Python; its shape (the marker's text, its distance from the line's end, what
follows the digits) is then looked for by numpy in all lines of the chunk at once, and so on with the first line
that is left. What has no shape in common is read line by line.

A marker is `"run":"<id>","seq":<digits>` with bare quotes, which no text inside a JSON string can imitate (`json`: of
formats that have fields for the two), or, in a line that has none, `run=<id> seq=<digits>` as the end of its message
(`raw`: of the others). So a text that quotes another run's marker does not count for it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tools.loadgen.fields import SEQ_DIGITS
from tools.loadgen.marks import Marks, PackedMarks
from tools.loadgen.zst import Reading, lines

Key = tuple[str, str]
"""A run's id and its kind of marker: `json` or `raw`."""

_JSON_MARK = re.compile(rb'("run":"([A-Za-z0-9_-]{1,16})","seq":)([1-9][0-9]{9})(?![0-9])')
_RAW_MARK = re.compile(rb'((?<![A-Za-z0-9_])run=([A-Za-z0-9_-]{1,16}) seq=)([1-9][0-9]{9})(?=")')
_MESSAGE_MARK = re.compile(r"(?<![A-Za-z0-9_])run=([A-Za-z0-9_-]{1,16}) seq=([1-9][0-9]{9})\Z")
_SHAPES_LIMIT = 16
_HIGH_DIGITS = SEQ_DIGITS - 8
_HIGH_FILL = np.uint64(8 * _HIGH_DIGITS)
_HIGH_SHIFT = np.uint64(64 - 8 * _HIGH_DIGITS)
_ZEROS = np.uint64(0x3030303030303030)

_Lines = npt.NDArray[np.int64]
_Words = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Shape:
    """A marker's place: `mark` begins `distance` bytes before the LF, `after` (1 to 8 bytes) follows its digits."""

    key: Key
    mark: bytes
    distance: int
    after: bytes


@dataclass(slots=True)
class FileScan:
    """What was found in one file."""

    path: Path
    records: int = 0
    others: int = 0
    """Lines without a marker: somebody else's."""
    marks: dict[Key, PackedMarks] = field(default_factory=dict)
    torn_bytes: int = 0
    damage: str = ""


def scan_file(path: Path) -> FileScan:
    """Read one segment. A file that is gone, being renamed, is looked for under its closed name."""
    scanner, reading = Scanner(), Reading()
    found = FileScan(path)
    try:
        for buffer, size in lines(_present(path), reading):
            scanner.feed(buffer, size)
    except OSError as error:
        reading.damage = error.strerror or str(error)
    found.records, found.others = scanner.records, scanner.others
    found.marks = {key: marks.packed() for key, marks in scanner.marks.items()}
    found.torn_bytes, found.damage = reading.torn_bytes, reading.damage
    return found


def _present(path: Path) -> Path:
    closed = path.with_suffix("")
    return closed if path.suffix == ".open" and not path.exists() and closed.exists() else path


class Scanner:
    """Counts the markers of one file, fed chunk by chunk."""

    def __init__(self) -> None:
        self.records = 0
        self.others = 0
        self.marks: dict[Key, Marks] = {}
        self._shapes: list[Shape] = []

    def feed(self, buffer: bytearray, size: int) -> None:
        """Count the whole lines in the first `size` bytes."""
        chunk = np.frombuffer(buffer, np.uint8, size)
        ends = np.flatnonzero(chunk == ord("\n"))
        starts = np.empty_like(ends)
        starts[0], starts[1:] = 0, ends[:-1] + 1
        full = ends > starts
        if not full.all():
            starts, ends = starts[full], ends[full]
        self.records += len(ends)
        for known in self._shapes:
            starts, ends = self._match(chunk, known, starts, ends)
        found = self._shapes
        while len(ends):
            line = bytes(buffer[starts[0] : ends[0] + 1])
            shape = read_shape(line)
            if shape is None or len(found) >= 2 * _SHAPES_LIMIT or shape in found:
                starts, ends = self._read_line(line, starts, ends)
            else:
                found = [shape, *found]
                starts, ends = self._match(chunk, shape, starts, ends)
        self._shapes = found[:_SHAPES_LIMIT]

    def _match(
        self, chunk: npt.NDArray[np.uint8], shape: Shape, starts: _Lines, ends: _Lines
    ) -> tuple[_Lines, _Lines]:
        """Count the lines of this shape; return the others."""
        if not len(ends):
            return starts, ends
        at = ends - shape.distance
        fits = at >= starts
        at = np.maximum(at, 0)
        for offset in (*range(0, len(shape.mark) - 8, 8), len(shape.mark) - 8):
            fits &= _gather(chunk, at, offset, 8) == _word(shape.mark[offset : offset + 8])
        digits = len(shape.mark)
        after = digits + SEQ_DIGITS
        fits &= _gather(chunk, at, after, len(shape.after)) == _word(shape.after)
        high, high_good = _digits(
            _gather(chunk, at, digits, _HIGH_DIGITS) << _HIGH_SHIFT | _ZEROS >> _HIGH_FILL
        )
        low, low_good = _digits(_gather(chunk, at, digits + _HIGH_DIGITS, 8))
        fits &= low_good
        fits &= high_good
        seqs = high * 10**8 + low
        if fits.all():
            self._marks(shape.key).add(seqs)
            return starts[:0], ends[:0]
        self._marks(shape.key).add(seqs[fits])
        return starts[~fits], ends[~fits]

    def _read_line(self, line: bytes, starts: _Lines, ends: _Lines) -> tuple[_Lines, _Lines]:
        found = read_line(line)
        if found is None:
            self.others += 1
        else:
            self._marks(found[0]).add(np.array([found[1]], np.int64))
        return starts[1:], ends[1:]

    def _marks(self, key: Key) -> Marks:
        if key not in self.marks:
            self.marks[key] = Marks()
        return self.marks[key]


def read_shape(line: bytes) -> Shape | None:
    """The shape of a line (with its LF) that has exactly one marker; None: it has none, or must be read with care."""
    for kind, pattern, other, after_bytes in (("json", _JSON_MARK, None, 1), ("raw", _RAW_MARK, b'"seq"', 8)):
        marks = list(pattern.finditer(line))
        if len(marks) > 1 or (marks and other is not None and other in line):
            return None
        if marks:
            match = marks[0]
            size = min(after_bytes, len(line) - match.end())
            after = line[match.end() : match.end() + (1 << size.bit_length() - 1)]
            return Shape((match[2].decode(), kind), match[1], len(line) - 1 - match.start(), after)
    return None


def read_line(line: bytes) -> tuple[Key, int] | None:
    """The run and sequence of one line, by parsing it; None: it has none."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    run, seq, message = record.get("run"), record.get("seq"), record.get("message")
    if isinstance(run, str) and isinstance(seq, int) and len(str(seq)) == SEQ_DIGITS:
        return (run, "json"), seq
    match = _MESSAGE_MARK.search(message) if isinstance(message, str) else None
    return ((match[1], "raw"), int(match[2])) if match else None


def _gather(chunk: npt.NDArray[np.uint8], at: _Lines, offset: int, width: int) -> _Words:
    """The `width` bytes (1, 2, 4 or 8) at at + offset, as little-endian words.

    Items of a void dtype may lie at any byte. The positions of lines that turned out not to fit may reach beyond the
    chunk; they read something, which does not matter.
    """
    items = np.ndarray((len(chunk) - width + 1,), f"V{width}", buffer=chunk, strides=(1,))
    words = items[np.minimum(at + offset, len(items) - 1)].view(
        f"<u{width}"
    )  # not take: it would copy all items
    return words.astype(np.uint64, copy=False)


def _word(data: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(data, "little"))


_STEPS: tuple[tuple[int, int, int], ...] = (
    (10, 8, 0x00FF00FF00FF00FF),
    (100, 16, 0x0000FFFF0000FFFF),
    (10_000, 32, 0x00000000FFFFFFFF),
)


def _digits(words: _Words) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Eight ASCII digits a word as a number, and whether they all are digits.

    Pairs, then fours, then eights are joined within the word: the first digit is in the lowest byte.
    """
    values = words ^ _ZEROS
    good = ((values + np.uint64(0x7676767676767676)) | values) & np.uint64(0x8080808080808080) == 0
    for factor, shift, mask in _STEPS:
        values = (values * np.uint64(factor) + (values >> np.uint64(shift))) & np.uint64(mask)
    return values.astype(np.int64), good
