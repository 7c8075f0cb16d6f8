"""The verdict, on files the test writes: exact, missing, duplicated, unexpected, uncertain, torn, damaged."""

from pathlib import Path

import pytest

from tests.loadgen.segments import RUN, frame, stored_json, stored_raw, write
from tools.loadgen.payloads import FIRST_SEQ
from tools.loadgen.report import Report, Span
from tools.loadgen.senders import Outcome
from tools.loadgen.verify import Verdict, VerifyError, judge, list_runs, read_folder, totals


def report(confirmed: list[Span], uncertain: list[Span] | None = None, run: str = RUN) -> Report:
    def there(spans: list[Span]) -> list[Span]:
        return [(FIRST_SEQ + first, FIRST_SEQ + last) for first, last in spans]

    outcome = Outcome(confirmed=there(confirmed), uncertain=there(uncertain or []))
    return Report.of(outcome, run, "json", "tls", 1.0, 0.0)


def verdict(folder: Path, sent: Report, processes: int = 1) -> Verdict:
    (made,) = judge(read_folder(folder, processes), [sent])
    return made


def figures(made: Verdict) -> tuple[int, int, int, int, int]:
    return made.expected, made.found, made.missing, made.duplicated, made.unexpected


@pytest.mark.parametrize("processes", [1, 2])
def test_exact_over_several_files_and_processes(tmp_path: Path, processes: int) -> None:
    write(tmp_path / "log_0_a.jsonl.zst", range(0, 1_000, 2))
    write(tmp_path / "log_1_a.jsonl.zst", range(1, 500, 2))
    write(tmp_path / "log_1_b.jsonl.zst.open", range(501, 1_000, 2))
    made = verdict(tmp_path, report([(0, 999)]), processes)
    assert figures(made) == (1_000, 1_000, 0, 0, 0)
    assert made.exact


def test_missing_is_counted_and_located(tmp_path: Path) -> None:
    write(tmp_path / "log.jsonl.zst", [*range(10), *range(15, 20), *range(21, 30)])
    made = verdict(tmp_path, report([(0, 31)]))
    assert figures(made) == (32, 24, 8, 0, 0)
    assert made.missing_ranges == [
        (FIRST_SEQ + first, FIRST_SEQ + last) for first, last in ((10, 14), (20, 20), (30, 31))
    ]
    assert not made.exact


def test_missing_whole_pages_are_one_range(tmp_path: Path) -> None:
    write(tmp_path / "log.jsonl.zst", [0])
    made = verdict(tmp_path, report([(0, 5_000_000)]))
    assert made.missing == 5_000_000
    assert made.missing_ranges == [(FIRST_SEQ + 1, FIRST_SEQ + 5_000_000)]


@pytest.mark.parametrize("processes", [1, 2])
def test_duplicated_within_a_file_and_across(tmp_path: Path, processes: int) -> None:
    write(tmp_path / "log_0.jsonl.zst", [*range(100), 5, 5])
    write(tmp_path / "log_1.jsonl.zst", [7])
    made = verdict(tmp_path, report([(0, 99)]), processes)
    assert figures(made) == (100, 100, 0, 3, 0)
    assert not made.exact


def test_uncertain_is_allowed_and_not_required(tmp_path: Path) -> None:
    write(tmp_path / "log.jsonl.zst", [*range(100), 203, 204])
    made = verdict(tmp_path, report([(0, 99)], [(200, 299)]))
    assert figures(made) == (100, 100, 0, 0, 0)
    assert (made.uncertain, made.uncertain_found, made.exact) == (100, 2, True)


def test_an_uncertain_one_twice_is_a_duplicate(tmp_path: Path) -> None:
    write(tmp_path / "log.jsonl.zst", [*range(100), 203, 203])
    made = verdict(tmp_path, report([(0, 99)], [(200, 299)]))
    assert (made.duplicated, made.exact) == (1, False)


def test_what_nobody_claims_is_unexpected(tmp_path: Path) -> None:
    write(tmp_path / "log.jsonl.zst", range(105))
    made = verdict(tmp_path, report([(0, 99)]))
    assert figures(made) == (100, 100, 0, 0, 5)
    assert not made.exact


def test_other_runs_and_the_other_format_do_not_matter(tmp_path: Path) -> None:
    lines = [
        stored_json(FIRST_SEQ),
        stored_json(FIRST_SEQ, "other"),
        stored_raw(FIRST_SEQ),
        '{"message":"hi"}',
    ]
    (tmp_path / "log.jsonl.zst").write_bytes(frame(*lines))
    stored = read_folder(tmp_path, 1)
    assert judge(stored, [report([(0, 0)])])[0].exact
    assert stored.others == 1
    assert [(run.run, run.format, run.records) for run in list_runs(stored)] == [
        (RUN, "json", 1),
        (RUN, "raw", 1),
        ("other", "json", 1),
    ]


def test_a_run_that_left_nothing_is_all_missing(tmp_path: Path) -> None:
    write(tmp_path / "log.jsonl.zst", range(5))
    assert figures(verdict(tmp_path, report([(0, 99)], run="absent"))) == (100, 0, 100, 0, 0)


def test_several_reports_are_summed(tmp_path: Path) -> None:
    write(tmp_path / "log.jsonl.zst", range(5))
    stored = read_folder(tmp_path, 1)
    verdicts = judge(stored, [report([(0, 4)]), report([(0, 4)], run="absent")])
    assert totals(verdicts) == {"expected": 10, "found": 5, "missing": 5, "duplicated": 0, "unexpected": 0}
    with pytest.raises(VerifyError, match="two reports"):
        judge(stored, [report([(0, 4)]), report([(0, 4)])])


def test_a_torn_open_file_is_told_and_a_torn_closed_one_is_damage(tmp_path: Path) -> None:
    whole, torn = frame(stored_json(FIRST_SEQ)), frame(stored_json(FIRST_SEQ + 1))[:-2]
    (tmp_path / "log_0.jsonl.zst.open").write_bytes(whole + torn)
    stored = read_folder(tmp_path, 1)
    assert stored.torn == {"log_0.jsonl.zst.open": len(torn)}
    assert not stored.damaged
    assert judge(stored, [report([(0, 0)])])[0].exact
    (tmp_path / "log_1.jsonl.zst").write_bytes(torn)
    assert list(read_folder(tmp_path, 1).damaged) == ["log_1.jsonl.zst"]


def test_rejects_are_not_stored_records(tmp_path: Path) -> None:
    write(tmp_path / "log.jsonl.zst", range(5))
    write(tmp_path / "rejects_0.jsonl.zst", range(5))
    assert read_folder(tmp_path, 1).records == 5


def test_a_folder_without_segments_is_said(tmp_path: Path) -> None:
    with pytest.raises(VerifyError, match="data_dir"):
        read_folder(tmp_path)
