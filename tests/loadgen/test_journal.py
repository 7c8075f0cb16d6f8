from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.loadgen import journal
from tools.loadgen.journal import Journal, JournalError, Span, journal_of, minus
from tools.loadgen.report import Report, ReportError, merged

SEQUENCES = st.sets(st.integers(0, 40))


def spans(sequences: set[int]) -> list[Span]:
    return merged((sequence, sequence) for sequence in sequences)


@given(SEQUENCES, SEQUENCES)
def test_minus_is_the_difference_of_sets(some: set[int], others: set[int]) -> None:
    assert merged(minus(spans(some), spans(others))) == spans(some - others)


def write(path: Path) -> None:
    written = Journal(path, "r1", "json", "tls")
    for what, span in (
        ("sent", (1, 10)),
        ("sent", (11, 20)),
        ("acknowledged", (1, 10)),
        ("sent", (101, 110)),
    ):
        written.add(what, span)
    written.close()


def test_it_stands_for_the_report_of_a_run_that_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write(journal_of(path))
    report = Report.read(path)
    assert (report.run, report.format, report.transport, report.acked) == ("r1", "json", "tls", True)
    assert report.ranges.confirmed == [(1, 10)]
    assert report.ranges.uncertain == [(11, 20), (101, 110)]
    assert (report.sent, report.uncertain) == (30, 20)


def test_what_was_refused_in_part_is_uncertain(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    written = Journal(journal_of(path), "r1", "json", "tls")
    written.add("sent", (1, 10))
    written.add("refused", (1, 10))
    written.close()
    assert Report.read(path).ranges.uncertain == [(1, 10)]


def test_a_line_without_its_end_was_never_written(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    write(path)
    with path.open("ab") as file:
        file.write(b"acknowledged 11 2")
    assert journal.read(path).spans["acknowledged"] == [(1, 10)]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "\n",
        "{}\n",
        '{"version": 2}\n',
        '{"version": 1}\n',
        '{"version": 1, "run": "r", "format": "json"}\nx\n',
    ],
)
def test_another_kind_of_file_is_told(tmp_path: Path, content: str) -> None:
    journal_of(tmp_path / "report.json").write_text(content)
    with pytest.raises(JournalError):
        journal.read(journal_of(tmp_path / "report.json"))
    with pytest.raises(ReportError):
        Report.read(tmp_path / "report.json")
