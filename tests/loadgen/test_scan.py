"""Finding markers: every place in a line, every mix of runs and formats, and texts that only look like markers."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.loadgen.segments import RUN, frame, stored_json, stored_raw
from tools.loadgen.marks import PackedMarks
from tools.loadgen.payloads import FIRST_SEQ
from tools.loadgen.scan import Key, Scanner, read_line, scan_file

SEQ = 1_234_567_890


def scan(*lines: str) -> tuple[dict[Key, list[int]], Scanner]:
    data = bytearray("".join(line + "\n" for line in lines).encode())
    scanner = Scanner()
    scanner.feed(data, len(data))
    return {key: sequences(marks.packed()) for key, marks in scanner.marks.items()}, scanner


def sequences(marks: PackedMarks) -> list[int]:
    found: list[int] = []
    for number in sorted(marks.pages):
        found += ((number << 20) + np.flatnonzero(np.unpackbits(marks.pages[number]))).tolist()
    return found


def test_markers_are_found_wherever_they_stand() -> None:
    lines = [
        stored_json(FIRST_SEQ),
        stored_json(FIRST_SEQ + 1, source_ip="127.0.0.1"),
        json.dumps({"seq": FIRST_SEQ + 2, "message": "apart", "run": RUN}),
        json.dumps({"run": RUN, "seq": FIRST_SEQ + 3}, separators=(",", ":")),
        stored_json(FIRST_SEQ + 4, message="longer" * 1_000),
    ]
    found, scanner = scan(*lines)
    assert found == {(RUN, "json"): list(range(FIRST_SEQ, FIRST_SEQ + 5))}
    assert (scanner.records, scanner.others) == (5, 0)


def test_raw_markers_end_the_message() -> None:
    found, _ = scan(stored_raw(SEQ), stored_raw(SEQ + 1, text="ä"), stored_raw(SEQ + 2, format="raw", n=3))
    assert found == {(RUN, "raw"): [SEQ, SEQ + 1, SEQ + 2]}


@pytest.mark.parametrize("run", ["a", "e2e-1", "sixteen_letters_"])
def test_runs_of_every_length(run: str) -> None:
    found, _ = scan(stored_json(SEQ, run), stored_raw(SEQ + 1, run), stored_json(SEQ + 2, run))
    assert found == {(run, "json"): [SEQ, SEQ + 2], (run, "raw"): [SEQ + 1]}


def test_a_text_of_another_run_does_not_count_for_it() -> None:
    other = "ffffffff"
    quoted = f'"run":"{other}","seq":{SEQ}'
    lines = [
        stored_json(FIRST_SEQ, message=f"run={other} seq={SEQ}"),
        stored_json(FIRST_SEQ + 1, message=quoted),
        stored_json(FIRST_SEQ + 2, message=f"see {quoted}", note=f"run={other} seq={SEQ}"),
        stored_raw(FIRST_SEQ + 3, text=f"run={other} seq={SEQ}"),
        stored_raw(FIRST_SEQ + 4, text=quoted),
        stored_json(FIRST_SEQ + 5, context={"run": other, "seq": SEQ}),
    ]
    for _ in range(3):
        found, scanner = scan(*lines)
        assert found == {
            (RUN, "json"): [FIRST_SEQ, FIRST_SEQ + 1, FIRST_SEQ + 2, FIRST_SEQ + 5],
            (RUN, "raw"): [FIRST_SEQ + 3, FIRST_SEQ + 4],
        }
        assert scanner.others == 0
        lines.reverse()


def test_a_raw_shape_does_not_catch_a_json_line() -> None:
    """The quoted marker stands at the very distance from the end at which the raw one was found."""
    victim = stored_json(FIRST_SEQ, message=f"run=ffffffff seq={SEQ}")
    distance = len(victim) - victim.index("run=ffffffff")
    raw = stored_raw(SEQ, "ffffffff")
    padding = distance - (len(raw) - raw.index("run=ffffffff")) - len(',"pad":""')
    raw = stored_raw(SEQ, "ffffffff", pad="x" * padding)
    assert len(raw) - raw.index("run=ffffffff") == distance
    found, _ = scan(raw, victim)
    assert found == {("ffffffff", "raw"): [SEQ], (RUN, "json"): [FIRST_SEQ]}


def test_lines_of_others_are_counted_and_blank_ones_are_not() -> None:
    others = [
        '{"message":"hi"}',
        "not json",
        '{"run":3,"seq":"x"}',
        f'{{"run":"{RUN}","seq":12}}',
        "[1]",
        "[",
    ]
    found, scanner = scan(*others, "", stored_json(SEQ))
    assert found == {(RUN, "json"): [SEQ]}
    assert (scanner.records, scanner.others) == (len(others) + 1, len(others))


def test_digits_of_every_value_are_read() -> None:
    seqs = sorted({FIRST_SEQ, 9_999_999_999, SEQ, *range(1_000_000_000, 9_999_999_999, 98_765_431)})
    assert scan(*map(stored_json, seqs))[0] == {(RUN, "json"): seqs}


@pytest.mark.parametrize("wrong", ["1:34567890", "123456789/", "123456789a", "12345678", "12345678901"])
def test_what_is_not_ten_digits_is_no_sequence(wrong: str) -> None:
    line = stored_json(SEQ)
    found, scanner = scan(line, line.replace(str(SEQ), wrong), line)
    assert found == {(RUN, "json"): [SEQ]}
    assert scanner.others == 1


def test_many_shapes_and_runs_in_one_chunk() -> None:
    lines = [
        stored_json(FIRST_SEQ + number, f"run{number % 37}", tail="x" * (number % 53))
        for number in range(2_000)
    ]
    found, scanner = scan(*lines)
    assert sum(map(len, found.values())) == 2_000
    assert len(found) == 37
    assert scanner.others == 0


def test_the_numpy_way_and_the_parser_agree() -> None:
    lines = [stored_json(FIRST_SEQ + number, more="y" * (number % 5)) for number in range(300)]
    parsed = [read_line(line.encode()) for line in lines]
    assert scan(*lines)[0] == {(RUN, "json"): [found[1] for found in parsed if found]}


def test_a_file_renamed_meanwhile_is_found(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl.zst").write_bytes(frame(stored_json(SEQ)))
    assert scan_file(tmp_path / "log.jsonl.zst.open").records == 1


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    assert scan_file(tmp_path / "none.jsonl.zst").damage == "No such file or directory"
