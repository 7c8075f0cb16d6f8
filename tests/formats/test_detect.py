"""Detection: no line of the corpus is taken for another kind, whatever stands around it; streams by their first bytes.

tests/data/detect/<kind>.txt holds lines as real senders write them. What becomes of them is the table in
docs/formats.md, which must be current: `python -m tests.formats.test_detect` prints it.
"""

import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats import detect
from formats.detect import KINDS
from tests.formats.harness import CORPORA, DATA

pytestmark = pytest.mark.usefixtures("way")

LINES = [
    (kind, line + b"\n")
    for kind in KINDS
    for line in (DATA / "detect" / f"{kind}.txt").read_bytes().split(b"\n")[:-1]
]
DOCUMENT = DATA.parent.parent / "docs" / "formats.md"


def kinds_of(block: bytes) -> list[str]:
    """The kind of each line."""
    runs = detect.lines_of(block)
    assert b"".join(piece for _, piece in runs) == block
    assert all(one[0] != other[0] for one, other in pairwise(runs))
    return [kind for kind, piece in runs for _ in range(piece.count(b"\n") + (not piece.endswith(b"\n")))]


def confusion() -> str:
    """The table of what the lines are (rows) and what they are taken for (columns)."""
    taken = Counter((kind, detect.lines_of(line)[0][0]) for kind, line in LINES)
    rows = [f"| {kind} | " + " | ".join(str(taken[kind, other]) for other in KINDS) + " |" for kind in KINDS]
    head = "| is, taken for | " + " | ".join(KINDS) + " |"
    return "\n".join([head, "| --- " * (len(KINDS) + 1) + "|", *rows])


@pytest.mark.parametrize(("kind", "line"), LINES)
def test_a_line(kind: str, line: bytes) -> None:
    assert kinds_of(line) == [kind]
    assert kinds_of(line[:-1]) == [kind]
    assert kinds_of(line[:-1] + b"\r\n") == [kind]


def test_the_corpus_is_large_enough() -> None:
    assert all(count >= 60 for count in Counter(kind for kind, _ in LINES).values())
    assert len(set(LINES)) == len(LINES)


def test_lines_in_any_order() -> None:
    rng = random.Random(1)
    for _ in range(20):
        mixed = rng.sample(LINES, len(LINES))
        assert kinds_of(b"".join(line for _, line in mixed)) == [kind for kind, _ in mixed]


def test_the_documented_table_is_current() -> None:
    assert confusion() in DOCUMENT.read_text(encoding="utf-8"), "run python -m tests.formats.test_detect"


@given(
    st.lists(
        st.sampled_from([line for _, line in LINES]) | st.binary(max_size=40).map(lambda b: b + b"\n"),
        max_size=12,
    )
)
def test_each_line_is_what_it_is_alone(lines: list[bytes]) -> None:
    for line in b"".join(lines).split(b"\n")[:-1]:
        if line.strip():
            assert kinds_of(b"".join(lines))[b"".join(lines).split(b"\n").index(line)] == kinds_of(line)[0]


@given(st.sampled_from([line for _, line in LINES]), st.data())
def test_a_line_cut_short_is_looked_at_no_further_than_its_end(line: bytes, data: st.DataObject) -> None:
    cut = line[: data.draw(st.integers(1, len(line) - 1))]
    alone = kinds_of(cut)[:1]
    for behind in (b"\n", b"\n" + b"0" * 80, b"\n" + line, b"\n1 2026-11-20T12:00:00Z h a - - -"):
        assert kinds_of(cut + behind)[:1] == alone


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("s4/CentOS7_secure", "syslog"),
        ("s4/CentOS9_anaconda_journal.log", "syslog"),
        ("s4/CentOS9_audit_audit.log", "raw"),
        ("s4/CentOS7_tuned.log", "raw"),
        ("s4/CentOS9_anaconda_packaging.log", "raw"),
        ("elastic-examples/apache_logs", "raw"),
        ("elastic-examples/nginxplus_json_logs.ndjson", "json"),
    ],
)
def test_genuine_logs(name: str, kind: str) -> None:
    path = CORPORA / "logs" / name
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    assert Counter(kinds_of(path.read_bytes())) == {kind: len(path.read_bytes().splitlines())}


def test_genuine_journals_as_json() -> None:
    real = CORPORA / "journald" / "real"
    if not real.is_dir():
        pytest.skip(f"{real} is not there")
    for path in real.glob("*.ndjson"):
        assert set(kinds_of(path.read_bytes())) == {"journald"}


def test_naughty_strings_are_text() -> None:
    path = CORPORA / "logs" / "naughty" / "blns.txt"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    assert "syslog" not in kinds_of(path.read_bytes())
    assert "journald" not in kinds_of(path.read_bytes())


@pytest.mark.parametrize("ending", [b"", b"\n", b"\n\0", b"\n\n"])
def test_nul_at_the_end_of_a_line_with_a_pri(ending: bytes) -> None:
    for text in (b"<12>text\0", b"<14> is a number\0", b"<0>\0"):
        assert kinds_of(text + ending)[0] == "syslog"
    for text in (b"<12>text", b"<12>te\0xt", b"<192>text\0", b"<012>text\0", b"<a>\0", b"<\0", b"<", b"\0"):
        assert kinds_of(text + ending)[0] == "raw"


@pytest.mark.parametrize(
    ("head", "format"),
    [
        (b"", None),
        (b"O", None),
        (b"Obj", None),
        (b"Obj\x01\x04", "avro"),
        (b"Object created", "auto"),
        (b"_", None),
        (b"__CURSOR", None),
        (b"__CURSOR=s=1\n", "journald"),
        (b"__REALTIME_TIMESTAMP=1\n", "journald"),
        (b"__init__ called", "auto"),
        (b"MESSAGE=text\n", "auto"),
        (b"8", None),
        (b"83 ", None),
        (b"83 <", None),
        (b"83 <34", None),
        (b"83 <34>1 2003-10-11T22:14:15.003Z", "syslog"),
        (b"34 bottles", "auto"),
        (b"34 <html>", "auto"),
        (b"34\n", "auto"),
        (b"0 <34>1", "auto"),
        (b"1234567890 <34>", "auto"),
        (b"1763640000", "auto"),
        (b"<34>1 2003-10-11T22:14:15.003Z host app - - -", "auto"),
        (b'{"message":"m"}\n', "auto"),
        (b"\n", "auto"),
        (b"\x00", "auto"),
    ],
)
def test_sniff(head: bytes, format: str | None) -> None:
    assert detect.sniff(head) == format


@given(
    st.binary(max_size=30) | st.sampled_from([b"123456789 <191>1", b"__MONOTONIC_TIMESTAMP=1", b"Obj\x01"])
)
def test_what_is_sniffed_stays(data: bytes) -> None:
    known = [format for end in range(len(data) + 1) if (format := detect.sniff(data[:end])) is not None]
    assert len(set(known)) <= 1
    assert len(data) < 22 or known


if __name__ == "__main__":
    print(confusion())
