"""The last lines and all lines of a folder, and how little is read for them."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import formats
from formats import levels as formats_levels
from formats import record as formats_record
from ingestd.store.segment import Description
from ingestd.terminal import frames, selection, source
from ingestd.terminal.folder import FolderError, segments
from ingestd.terminal.history import History
from ingestd.terminal.selection import Selection, compile_pattern
from tests.terminal.segments import frame, numbers, record, write

ALL = Selection()
DAY_S = 86_400.0


def last(folder: Path, count: int, wanted: Selection = ALL) -> list[int]:
    told: list[str] = []
    with History(folder, told.append, DAY_S) as history:
        lines = numbers(history.last(wanted, count))
    assert told == []
    return lines


def everything(folder: Path, wanted: Selection = ALL) -> list[int]:
    with History(folder, lambda _: None, DAY_S) as history:
        return numbers(list(history.all(wanted)))


def test_names_are_those_of_formats() -> None:
    assert selection.LEVELS == formats_levels.LEVELS
    assert selection.CORE_FIELDS == formats_record.CORE_FIELDS
    assert set(selection.FORMATS) == formats.FORMATS.keys() - {"auto"}


def test_two_workers_over_several_files(tmp_path: Path) -> None:
    write(tmp_path, frame([record(1), record(4)]) + frame([record(5)], 2))
    write(tmp_path, frame([record(8)], 3), opened="000007", open_=True)
    write(tmp_path, frame([record(2), record(3)], worker=1), worker=1)
    write(tmp_path, frame([record(6), record(7)], 2, worker=1), worker=1, opened="000005_1", open_=True)
    write(tmp_path, b"not read", opened="000009").rename(tmp_path / "log_0_20261121_000009.jsonl.zst.bad")
    (tmp_path / "rejects_0.jsonl.zst").write_bytes(b"not read")
    assert everything(tmp_path) == [1, 2, 3, 4, 5, 6, 7, 8]
    for count in range(10):
        assert last(tmp_path, count) == [1, 2, 3, 4, 5, 6, 7, 8][8 - min(count, 8) :]


def test_the_number_in_a_name_is_a_number(tmp_path: Path) -> None:
    for number in (10, 9, 0):
        suffix = f"_{number}" if number else ""
        write(tmp_path, frame([record(number)], number), opened=f"000000{suffix}")
    assert [entry.number for entry in segments(tmp_path)] == [0, 9, 10]


def test_a_forged_time_of_receipt_hides_no_other_record(tmp_path: Path) -> None:
    forged = [record(number, received_at="1970") for number in (7, 8)]
    write(tmp_path, frame([record(5), *forged, record(9)]))
    write(tmp_path, frame([record(1), record(2), record(3)], worker=1), worker=1)
    assert last(tmp_path, 1) == [9]
    assert sorted(everything(tmp_path)) == [1, 2, 3, 5, 7, 8, 9]


def test_fields_of_another_type(tmp_path: Path) -> None:
    typed = [{**record(1), "received_at": 5}, {**record(2), "received_at": None}]
    lines = b"".join(json.dumps(each | {"format": ["x"]}).encode() + b"\n" for each in typed)
    write(tmp_path, frame(typed, lines=lines))
    assert everything(tmp_path) == [1, 2]


def test_only_what_is_needed_is_decompressed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    def counting(fd: int, found: frames.Frame) -> bytes:
        read.append(found.description.frame)
        return frames.lines_of(fd, found)

    monkeypatch.setattr(source, "lines_of", counting)
    write(tmp_path, b"".join(frame([record(number)], number) for number in range(1, 50)))
    other = [record(number, "ERROR", "db", format="raw") for number in range(50, 100)]
    write(tmp_path, b"".join(frame([each], 50 + n) for n, each in enumerate(other)), opened="000050")
    assert last(tmp_path, 3) == [97, 98, 99]
    assert read == [99, 98, 97]
    for wanted in (
        Selection(services=["a*"]),
        Selection(formats=["json"]),
        Selection(since=record(48)["timestamp"], formats=["json"]),
    ):
        read.clear()
        assert last(tmp_path, 2, wanted) == [48, 49]
        assert read == [49, 48]
    read.clear()
    assert last(tmp_path, 100, Selection(level="WARN")) == list(range(50, 100))
    assert len(read) == 50


def test_what_was_written_long_before_is_not_opened(tmp_path: Path) -> None:
    old = write(tmp_path, b"would be told")
    os.utime(old, (0, 0))
    write(tmp_path, frame([record(2)]), opened="000002")
    assert last(tmp_path, 10, Selection(since=record(1)["timestamp"])) == [2]


def test_a_segment_that_was_to_be_cut(tmp_path: Path) -> None:
    first = frame([record(1)])
    path = write(tmp_path, first + frame([record(2)], 2), open_=True)
    path.with_name(f"{path.name.partition('.')[0]}.{len(first)}.cut").touch()
    write(tmp_path, frame([record(2)], 2), opened="000001")
    assert everything(tmp_path) == [1, 2]


def test_damage_is_told_and_stepped_over(tmp_path: Path) -> None:
    damaged = bytearray(frame([record(2)], 2))
    damaged[-1] ^= 1
    content = frame([record(1)]) + damaged + b"rubbish" + frame([record(3)], 3) + frame([record(4)], 4)[:-1]
    write(tmp_path, content)
    told: list[str] = []
    with History(tmp_path, told.append, DAY_S) as history:
        assert numbers(list(history.all(ALL))) == [1, 3]
    start = len(frame([record(1)]))
    name = f"{tmp_path}/log_0_20261121_000000.jsonl.zst"
    assert [message.partition(f"{name}: skipped ")[2].partition(":")[0] for message in told] == [
        f"7 bytes at byte {start + len(damaged)}",
        f"{len(frame([record(4)], 4)) - 1} bytes at byte {len(content) - len(frame([record(4)], 4)) + 1}",
        f"{len(damaged)} bytes at byte {start}",
    ]


def test_a_torn_end_is_told_once_nobody_writes_it(tmp_path: Path) -> None:
    path = write(tmp_path, frame([record(1)]) + b"\x5e", open_=True)
    told: list[str] = []
    with History(tmp_path, told.append, DAY_S):
        assert told == []  # it may be in the making
    os.utime(path, (0, 0))
    with History(tmp_path, told.append, DAY_S):
        assert len(told) == 1
        assert "skipped 1 bytes" in told[0]


def test_lines_that_are_no_records(tmp_path: Path) -> None:
    lines = b'[1]\n{"message":"one\n\xff\n' + b'{"level":"ERROR",\r"message":"message 5"}\n'
    write(tmp_path, frame([record(1)], lines=lines))
    with History(tmp_path, lambda _: None, DAY_S) as history:
        assert [line.data for line in history.all(ALL)] == lines.split(b"\n")[:-1]
        assert numbers(list(history.all(Selection(search=compile_pattern("5"))))) == [5]


def test_a_link_to_nowhere_is_told(tmp_path: Path) -> None:
    write(tmp_path, frame([record(1)]))
    (tmp_path / "log_1_20261121_000003.jsonl.zst.open").symlink_to("nowhere/at/all")
    told: list[str] = []
    with History(tmp_path, told.append, DAY_S) as history:
        assert numbers(history.last(ALL, 5)) == [1]
    assert [message.partition(".open: ")[2] for message in told] == ["skipped: No such file or directory"]


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match=r"none: No such file or directory; name the data_dir"):
        History(tmp_path / "none", lambda _: None, DAY_S)


def test_patterns() -> None:
    assert compile_pattern("größ.*✓$")("size\ngröße ✓")
    assert not compile_pattern("^disk")("no disk")
    assert not compile_pattern("(a+)+$")("a" * 100_000 + "b")  # exponential with a matcher that goes back
    for wrong in ("(", "", "(a)\\1"):
        with pytest.raises(ValueError, match=f"^{re.escape(repr(wrong))}: "):
            compile_pattern(wrong)


LEVELS = st.sampled_from(selection.LEVELS)
SERVICES = st.sampled_from(["api", "db", "web-1", "web-2"])
FORMATS = st.sampled_from(selection.FORMATS)


@settings(max_examples=50, deadline=None)
@given(
    blocks=st.lists(st.lists(st.tuples(LEVELS, SERVICES, FORMATS), min_size=1, max_size=4), max_size=8),
    level=st.just("") | LEVELS,
    services=st.lists(SERVICES | st.just("web-*"), max_size=2),
    wanted_formats=st.lists(FORMATS, max_size=2),
    since=st.none() | st.integers(0, 40),
    count=st.integers(0, 40),
)
def test_any_selection_is_as_asking_each_record(
    tmp_path_factory: pytest.TempPathFactory,
    blocks: list[list[tuple[str, str, str]]],
    level: str,
    services: list[str],
    wanted_formats: list[str],
    since: int | None,
    count: int,
) -> None:
    folder = tmp_path_factory.mktemp("data")
    expected = []
    number = 0
    for block_number, block in enumerate(blocks):
        records = []
        for level_, service, format_ in block:
            records.append(record(number, level_, service, format=format_))
            if (
                (not level or selection.LEVELS.index(level_) >= selection.LEVELS.index(level))
                and (
                    not services
                    or service in services
                    or ("web-*" in services and service.startswith("web-"))
                )
                and (not wanted_formats or format_ in wanted_formats)
                and (since is None or number >= since)
            ):
                expected.append(number)
            number += 1
        worker = block_number % 2
        write(folder, frame(records, block_number, worker), worker=worker, opened=f"{block_number:06}")
    wanted = Selection(level, services, wanted_formats, "" if since is None else record(since)["timestamp"])
    assert everything(folder, wanted) == expected
    assert last(folder, count, wanted) == expected[max(0, len(expected) - count) :]


def test_a_frame_without_records_is_not_opened() -> None:
    empty = Description(1, "x", 0, 1, 9, 0, 0, "", "", {}, [], {})
    assert not ALL.may_hold(empty)
