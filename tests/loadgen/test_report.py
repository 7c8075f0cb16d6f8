"""The report: its arithmetic, its file, and what it refuses."""

import json
from pathlib import Path

import pytest

from tools.loadgen.report import Report, ReportError, count, merged
from tools.loadgen.senders import Outcome


def made() -> Report:
    outcome = Outcome(
        sent=300,
        bytes=51_000,
        failed=7,
        confirmed=[(200, 299), (100, 199)],
        uncertain=[(500, 599)],
        formats={"raw": 100, "json": 200},
    )
    outcome.note("Connection reset by peer")
    return Report.of(outcome, "ab12cd34", "json", "tls", seconds=2.0, cpu_s=0.003)


def test_its_figures_agree() -> None:
    report = made()
    assert report.ranges.confirmed == [(100, 299)]
    assert count(report.ranges.confirmed) + report.uncertain == report.sent
    assert report.rate == 150.0
    assert report.cpu_us_per_record == pytest.approx(10.0)
    assert "ranges" not in report.summary()
    assert {"run", "sent", "bytes", "seconds", "rate", "failed"} <= report.summary().keys()


def test_it_comes_back_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    made().write(path)
    assert Report.read(path) == made()
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]


def test_a_report_from_before_formats_were_counted_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    made().write(path)
    values = json.loads(path.read_text())
    assert values.pop("formats") == {"json": 200, "raw": 100}
    path.write_text(json.dumps(values))
    assert Report.read(path).formats == {}


def test_nothing_sent_divides_by_nothing() -> None:
    report = Report.of(Outcome(), "r", "json", "udp", seconds=0.0, cpu_s=0.1)
    assert (report.rate, report.cpu_us_per_record) == (0.0, 0.0)


def test_spans_are_merged() -> None:
    assert merged([(5, 9), (1, 4), (20, 30), (25, 26)]) == [(1, 9), (20, 30)]
    assert count([(1, 9), (20, 30)]) == 20


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 2}', '{"version": 1, "ranges": 3}', "\xff"])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ReportError, match=r"other\.json"):
        Report.read(path)


@pytest.mark.parametrize("ranges", [[[9, 1]], [[1, 5], [5, 9]]])
def test_contradictory_ranges_are_refused(tmp_path: Path, ranges: list[list[int]]) -> None:
    path = tmp_path / "report.json"
    made().write(path)
    values = json.loads(path.read_text())
    values["ranges"]["confirmed"] = ranges
    path.write_text(json.dumps(values))
    with pytest.raises(ReportError, match="range"):
        Report.read(path)


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="No such file"):
        made().write(tmp_path / "none" / "report.json")
    with pytest.raises(ReportError, match="No such file"):
        Report.read(tmp_path / "none.json")
