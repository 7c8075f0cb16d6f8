r"""Several patterns searched for in many short texts at once: which text has a match of which pattern.

Strategy. The texts are joined by line ends, and one scan looks for all patterns. `(?:pattern)[^\n]*\n` is reported
where the line of a match ends, so once for each line however often it matches; a pattern with `$` cannot go on behind
it, and is reported where its matches end. From there the text is found. A match that reached over a joint is none: of
patterns that can do that each text is asked again by itself.

A report costs as much as to scan ten texts. So where they are many (a storm), the patterns that make them are for some
time looked for in a few of the texts only, and the others are first asked which of them occur at all.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Final, NamedTuple

import hyperscan
import numpy as np

from formats.cores import Texts
from ingestd.observe.literals import literal_of
from ingestd.observe.patterns import FLAGS, compile_patterns

#: Reports that are no storm: so many, and one for so many texts.
_FREE_REPORTS: Final = 64
_TEXTS_PER_REPORT: Final = 32

#: Of one scan: texts of a thousand lines may have a report for each. It takes some 5 ms.
_MOST_REPORTS: Final = 16_384

#: For so many calls a storm is taken to last.
_STORM_CALLS: Final = 256

#: Texts that are searched for the patterns of a storm, divided by their number: so many or one in so many; and the
#: fewest.
_SAMPLE_TEXTS: Final = 64
_TEXTS_PER_SAMPLE: Final = 16
_LEAST_SAMPLE: Final = 4

#: What may match a line end: classes that are not told by what they have, and escapes not known to be harmless.
_CROSSES: Final = re.compile(r"\[\^|\[:|\(\?[a-z]*s|\\[^bBdwtrf!-/:-@\[-`{-~]|[\0-\x1f]")


class Hits(NamedTuple):
    """The texts, by number, that one of the patterns was found in, of `searched` of them that were looked at."""

    pattern: int
    texts: list[int]
    searched: int


class Search:
    """Made of patterns that `check_pattern` has nothing against. Raises `hyperscan.error` for others."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = [pattern.encode() for pattern in patterns]
        self._crosses = [_CROSSES.search(pattern) is not None for pattern in patterns]
        self._by_line = list(map(_by_line, self._patterns))
        self._all = compile_patterns(self._by_line)
        self._first = [compile_patterns(self._patterns)]
        literals = list(map(literal_of, patterns))
        if all(literals):
            self._first.insert(0, compile_patterns([literal.encode() for literal in literals]))
        self._any = compile_patterns(self._patterns, FLAGS | hyperscan.HS_FLAG_SINGLEMATCH)
        self._alone: dict[int, hyperscan.Database] = {}
        self._whole: dict[int, hyperscan.Database] = {}
        self._storms: dict[int, int] = {}  # pattern, and for how many calls yet
        self._calls = 0

    @property
    def in_storm(self) -> bool:
        """Whether a pattern made so many reports lately that it is looked for in a few of the texts only."""
        return bool(self._storms)

    def find(self, texts: Texts, among: int = 0) -> list[Hits]:
        """What is found where; patterns that are not found are left out.

        If there are more records `among` which the texts were chosen, what makes a storm is measured by them.
        """
        among = max(among, len(texts))
        if self._storms:
            return self._find_in_storm(texts, among)
        if not self.may_find(texts):
            return []
        ends, whole = _scan(self._all, texts.data)
        self._watch(ends, among)
        if not whole:
            return self._find_in_storm(texts, among)
        return self._hits(ends, texts)

    def may_find(self, texts: Texts) -> bool:
        """Whether any pattern occurs: mostly none, which is told at several times the speed of where they do."""
        return bool(self._storms) or self.may_be_in(texts.data)

    def may_be_in(self, data: bytes | memoryview) -> bool:
        """Whether any pattern occurs in texts with an LF behind each: a `formats.cores.Search`."""
        for database in self._first:
            try:
                database.scan(data, _stop)  # type: ignore[type-var]  # any buffer will do
            except hyperscan.ScanTerminated:
                continue
            return False
        return True

    def _occurring(self, texts: Texts) -> dict[int, list[int]]:
        """The patterns that occur at all; twice as slow as to ask for one, and bounded where they occur often."""
        return _scan(self._any, texts.data)[0]

    def _find_in_storm(self, texts: Texts, among: int) -> list[Hits]:
        hits = self._sample(texts)
        if len(self._storms) < len(self._patterns):
            hits += self._find_calm(texts, among)
        self._storms = {pattern: calls - 1 for pattern, calls in self._storms.items() if calls > 1}
        return hits

    def _find_calm(self, texts: Texts, among: int) -> list[Hits]:
        """Find the patterns that are in no storm."""
        ends: dict[int, list[int]] = {}
        partly = set()
        for pattern in self._occurring(texts).keys() - self._storms.keys():
            if pattern not in self._alone:
                self._alone[pattern] = compile_patterns([self._by_line[pattern]])
            found, whole = _scan(self._alone[pattern], texts.data)
            if found:
                ends[pattern] = found[0]
            if not whole:
                partly.add(pattern)
        hits = self._hits(ends, texts) if ends else []
        self._watch(ends, among)
        fewer = max(1, len(texts) - 1)
        return [each._replace(searched=fewer) if each.pattern in partly else each for each in hits]

    def _sample(self, texts: Texts) -> list[Hits]:
        """Look for the patterns of storms in a few of the texts, others each time."""
        share = max(_SAMPLE_TEXTS, len(texts) // _TEXTS_PER_SAMPLE)
        size = min(len(texts), max(_LEAST_SAMPLE, share // len(self._storms)))
        self._calls += 1
        start = self._calls * size % (len(texts) - size + 1)
        sample = texts.part(start, start + size)
        found, _ = _scan(self._all, sample.data)
        ends = {pattern: found[pattern] for pattern in found.keys() & self._storms.keys()}
        return [
            Hits(pattern, [start + place for place in places], size)
            for pattern, places, _ in self._hits(ends, sample)
        ]

    def _watch(self, ends: dict[int, list[int]], among: int) -> None:
        """Take the patterns with the most reports for a storm, until the others are few enough."""
        reports = sum(map(len, ends.values()))
        allowed = min(_FREE_REPORTS + among // _TEXTS_PER_REPORT, _MOST_REPORTS // 2)
        if reports > allowed:
            for pattern in sorted(ends, key=lambda pattern: len(ends[pattern]), reverse=True):
                self._storms[pattern] = _STORM_CALLS
                reports -= len(ends[pattern])
                if reports <= allowed:
                    break

    def _hits(self, ends: dict[int, list[int]], texts: Texts) -> list[Hits]:
        hits = []
        for pattern, reported in ends.items():
            found = _places(texts, reported)
            if self._crosses[pattern]:
                found = [text for text in found if self._is_in(pattern, texts[text])]
            if found:
                hits.append(Hits(pattern, found, len(texts)))
        return hits

    def _is_in(self, pattern: int, text: bytes) -> bool:
        database = self._whole.get(pattern)
        if database is None:
            flags = FLAGS | hyperscan.HS_FLAG_SINGLEMATCH
            database = self._whole[pattern] = compile_patterns([self._patterns[pattern]], flags)
        found, _ = _scan(database, text)
        return bool(found)


def _by_line(pattern: bytes) -> bytes:
    """What is reported once for each line with a match of `pattern`, or as close to that as is possible."""
    to_the_end = b"(?:%b)[^\n]*\n" % pattern
    try:
        compile_patterns([to_the_end])
    except hyperscan.error:
        return pattern
    return to_the_end


def _scan(database: hyperscan.Database, data: bytes) -> tuple[dict[int, list[int]], bool]:
    """By pattern, the offsets behind what it was reported at, in no order; and whether these are all."""
    ends: dict[int, list[int]] = defaultdict(list)
    left = _MOST_REPORTS

    def report(pattern: int, _start: int, end: int, _flags: int, _context: object) -> bool:
        nonlocal left
        left -= 1
        ends[pattern].append(end)
        return not left

    try:
        database.scan(data, match_event_handler=report)
    except hyperscan.ScanTerminated:
        return ends, False
    return ends, True


def _stop(*_match: object) -> bool:
    return True


def _places(texts: Texts, ends: list[int]) -> list[int]:
    """Which texts these ends are of, each once, ascending."""
    found = texts.ends.searchsorted(np.array(ends) - 1)
    return sorted(set(found.tolist()))  # np.unique takes five times as long
