"""The table that joins framing and formats."""

from formats import FORMATS
from tests.formats.harness import CONTEXT


def test_every_format_is_under_its_name() -> None:
    assert list(FORMATS) == ["json", "raw", "auto"]
    for name, format in FORMATS.items():
        assert format.name == name
        framer = format.framer(100)
        block = framer.feed(b'{"message":"hi"}\n{')
        (encoded,) = format.encode(block, CONTEXT)
        assert (encoded.records, framer.pending_bytes) == (1, 1)
