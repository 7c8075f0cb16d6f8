"""Entries taken in columns become what they become one by one, whatever stands among them."""

from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats import journald, journald_columns
from formats.journald_columns import encode_stretches
from tests.formats.harness import CONTEXT, check

pytestmark = pytest.mark.usefixtures("way")

_NUMBER = 250  # entries, more than have to come before they are taken in columns


def _entry(index: int, *more: str) -> bytes:
    lines = (
        f"__REALTIME_TIMESTAMP={1763640000999900 + index}",
        f"PRIORITY={index % 9}",
        "_HOSTNAME=web1",
        f"SYSLOG_IDENTIFIER={'' if index % 7 == 3 else 'api'}",
        "_SYSTEMD_UNIT=api.service",
        f'MESSAGE=a="{index}"\t\\ é',
        *more,
    )
    return "".join(f"{line}\n" for line in lines).encode() + b"\n"


_ENTRIES = [_entry(index) for index in range(_NUMBER)]

_Fields = list[tuple[str, Any]]  # of a record, in their order
_Outcome = tuple[list[_Fields], list[tuple[str, bytes]]]


@pytest.fixture(autouse=True)
def _first_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journald_columns, "_shapes", journald_columns.Shapes())


def _encode(*blocks: bytes) -> _Outcome:
    records: list[_Fields] = []
    rejects: list[tuple[str, bytes]] = []
    for block in blocks:
        for encoded in journald.encode(block, CONTEXT):
            records += [list(record.items()) for record in check(encoded)]
            assert len(encoded.columns) == (encoded.records if encoded.format == "journald" else 0)
            rejects += [(reject.reason, reject.data) for reject in encoded.rejects]
    return records, rejects


@cache
def _one_by_one() -> list[_Fields]:
    return _encode(*_ENTRIES)[0]


def _taken(block: bytes) -> list[tuple[int, int]]:
    return [(stretch.start, stretch.end) for stretch in encode_stretches(block, CONTEXT)]


@pytest.mark.parametrize(
    "entries",
    [
        _ENTRIES,
        [_entry(index, "A=", "B=") for index in range(_NUMBER)],
        [b"A=%d\nPRIORITY=3\n\n" % index for index in range(_NUMBER)],
        [b"_SYSTEMD_UNIT=%d\nMESSAGE=\n\n" % (index % 2) for index in range(_NUMBER)],
        [b"SYSLOG_IDENTIFIER=\n__REALTIME_TIMESTAMP=1763640000000001\n\n"] * _NUMBER,
    ],
)
def test_entries_of_one_shape_are_taken_at_once(entries: list[bytes]) -> None:
    block = b"".join(entries)
    assert _taken(block) == [(0, len(block))]
    assert _encode(block) == _encode(*entries)


@pytest.mark.parametrize(
    "odd",
    [
        _entry(1, "MORE=1"),
        _entry(1).replace(b"PRIORITY", b"PRIORITX"),
        _entry(1).replace(b"PRIORITY=1\n", b""),
        _entry(1).replace(b"PRIORITY=1\n_HOSTNAME=web1\n", b"_HOSTNAME=web1\nPRIORITY=1\n"),
        _entry(1).replace(b"PRIORITY=", b"PRIORITY"),
        _entry(1).replace(b"PRIORITY=", b"_HOSTNAME="),
        _entry(1).replace(b"=1763640000999901\n", b"=17636400009999010\n"),
        _entry(1).replace(b"=1763640000999901\n", b"=soon\n"),
        _entry(1).replace(b"=1763640000999901\n", "=١٧٦٣٦٤٠٠٠٠٩٩٩٩٠١\n".encode()),
        _entry(1).replace(b"=api\n", b"=\xff\n"),
        _entry(1).replace(b"MESSAGE=", b"MESSAGE\n\x05" + b"\0" * 7 + b"\n\n\n\n\n\nA="),
        b"X" + _entry(1),
        b"\n\n",
        b"=\n\n",
        b"A=1\n\n",
    ],
)
@pytest.mark.parametrize("at", [0, 1, 120, _NUMBER - 1, _NUMBER])
def test_an_entry_unlike_the_others_is_not_passed_over(odd: bytes, at: int) -> None:
    _encode(b"".join(_ENTRIES))
    records, rejects = _encode(odd)
    one_by_one = _one_by_one()
    whole = _encode(b"".join([*_ENTRIES[:at], odd, *_ENTRIES[at:]]))
    assert whole == ([*one_by_one[:at], *records, *one_by_one[at:]], rejects)


def test_an_entry_cut_short_is_not_passed_over() -> None:
    block = b"".join(_ENTRIES)
    for missing in (1, 2, 3, 30):
        records, rejects = _encode(_ENTRIES[-1][:-missing])
        assert _encode(block[:-missing]) == (_one_by_one()[:-1] + records, rejects)


def test_only_the_neighbours_of_what_is_unlike_the_others_go_another_way() -> None:
    entries = _ENTRIES * 8
    _taken(b"".join(entries))
    entries[17] = _entry(17, "MORE=1")
    block = b"".join(entries)
    taken = _taken(block)
    assert taken[0][0] > 0 and taken[-1][1] == len(block)
    assert all(end == start for (_, end), (start, _) in pairwise(taken))
    assert taken[0][0] < 32 << 10


def _shapes(number: int) -> Iterator[bytes]:
    """Blocks of entries, each of other names than those before."""
    for shape in range(number):
        yield b"".join(b"A%d=%d\nMESSAGE=m\n\n" % (shape, index) for index in range(_NUMBER))


def test_names_have_to_come_often() -> None:
    few = b"".join(_ENTRIES[:40])
    assert [bool(_taken(few)) for _ in range(6)] == [False] * 4 + [True] * 2


def test_names_are_forgotten_when_they_are_too_many() -> None:
    shapes = journald_columns._shapes
    for block in _shapes(200):
        assert _taken(block)
        assert shapes.known <= 64


@pytest.mark.parametrize("fields", [1, 65])
def test_too_few_or_too_many_fields_go_another_way(fields: int) -> None:
    entry = b"".join(b"A%d=1\n" % field for field in range(fields)) + b"\n"
    assert not _taken(entry * _NUMBER)
    assert _encode(entry * 3) == _encode(*[entry] * 3)


_PARTS = [b"A=1\nMESSAGE=x\n\n" * 5, b"A=1\nMESSAGE=x\n\n", b"MESSAGE=x\nA=1\n\n" * 4, b"\n", b"A=1\n\n", b"=\n\n",
          b"A=\xff\nMESSAGE=\n\n", b"A\nMESSAGE=\n\n"]  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.sampled_from(_PARTS), min_size=2, max_size=12))
def test_any_mixture_becomes_what_its_entries_do(parts: list[bytes]) -> None:
    block = b"".join(parts)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("_FEW_BYTES", 64), ("_FEW_ENTRIES", 3), ("_OFTEN", 1)):
            patch.setattr(journald_columns, name, value)
        assert _encode(block) == _encode(*(entry + b"\n\n" for entry in block.split(b"\n\n")))
