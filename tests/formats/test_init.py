"""The table that joins framing and formats."""

from formats import FORMATS
from tests.formats.harness import CONTEXT

LINES = ("json", "raw", "auto")


def test_every_format_is_under_its_name() -> None:
    assert all(format.name == name for name, format in FORMATS.items())
    assert set(LINES) <= set(FORMATS)


def test_a_format_of_lines_goes_on_behind_a_whole_one() -> None:
    for name in LINES:
        format = FORMATS[name]
        framer = format.framer(100)
        block = framer.feed(b'{"message":"hi"}\n{')
        (encoded,) = format.encode(block, CONTEXT)
        assert (encoded.records, framer.pending_bytes) == (1, 1)
