"""Flags: set once or often, across pages, merged from several files."""

import numpy as np

from tools.loadgen.marks import PAGE, Marks, PackedMarks


def marked(*seqs: int) -> PackedMarks:
    marks = Marks()
    marks.add(np.array(seqs, np.int64))
    return marks.packed()


def seen(marks: PackedMarks, first: int, last: int) -> list[int]:
    found: list[int] = []
    for begin, flags in marks.slices(first, last):
        if flags is not None:
            found += (begin + np.flatnonzero(flags)).tolist()
    return found


def test_copies_count_as_records_and_not_as_sequences() -> None:
    marks = marked(5, 5, 5, 7)
    assert (marks.records, marks.distinct) == (4, 2)


def test_slices_hold_exactly_their_range() -> None:
    seqs = [PAGE - 2, PAGE - 1, PAGE, PAGE + 9, 3 * PAGE]
    marks = marked(*seqs)
    for first in (0, PAGE - 2, PAGE - 1, PAGE, PAGE + 1, PAGE + 9):
        for last in (PAGE - 1, PAGE, PAGE + 8, PAGE + 9, 3 * PAGE):
            assert seen(marks, first, last) == [seq for seq in seqs if first <= seq <= last]


def test_a_page_of_which_nothing_was_seen_is_none() -> None:
    assert list(marked(1).slices(PAGE, PAGE + 1)) == [(PAGE, None)]


def test_merging_is_or_and_adds_the_records() -> None:
    marks = marked(1, 2)
    marks.merge(marked(2, 3, PAGE))
    assert (marks.records, marks.distinct) == (5, 4)
    assert seen(marks, 0, PAGE) == [1, 2, 3, PAGE]
