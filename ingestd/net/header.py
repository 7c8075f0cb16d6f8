"""The header line of a connection (docs/wire.md): `INGEST/1 <format> [key=value …]` LF, ASCII, at most 512 bytes.

Fed the first bytes of a connection, it answers once it knows: the format that is named; or the one whose framing the
bytes need if they are no header, mostly `auto`; or a `HeaderError` whose text is what the sender is told after `ERR `.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from formats import FORMATS
from formats.detect import sniff

MAX_HEADER_BYTES: Final = 512
_START: Final = b"INGEST/"
_VERSION: Final = "1"

#: Keys and formats that the protocol knows and this version does not serve.
_KEYS: Final = frozenset({"compression", "token", "ack", "client"})


class HeaderError(Exception):
    """The header is refused; `str()` is the reason the sender is told."""


class Header(NamedTuple):
    """How a connection speaks. `named` is False where no header was sent; `rest` are the bytes behind it.

    `schema` is the `<subject>[@version]` that its records must be as, empty where it named none.
    """

    format: str
    named: bool
    rest: bytes
    schema: str = ""


def read_header(data: bytes) -> Header | None:
    """What the first bytes of a connection say; None while it cannot be told yet. Raises `HeaderError`."""
    if not data.startswith(_START):
        return None if _START.startswith(data) else _sniffed(data)
    line, delimiter, rest = data.partition(b"\n")
    if len(line) >= MAX_HEADER_BYTES:
        raise HeaderError(f"header longer than {MAX_HEADER_BYTES} bytes")
    if not delimiter:
        return None
    format_, schema = _parse(line.rstrip(b"\r"))
    return Header(format_, True, rest, schema)


def _sniffed(data: bytes) -> Header | None:
    format_ = sniff(data)
    return None if format_ is None else Header(format_, False, data)


def _parse(line: bytes) -> tuple[str, str]:
    """The format and the schema that a complete header line names."""
    try:
        words = line.decode("ascii").split()
    except UnicodeDecodeError:
        raise HeaderError("header is not ASCII") from None
    version = words[0].partition("/")[2]
    if version != _VERSION:
        raise HeaderError(f"unsupported version {_shown(version)}, this is INGEST/{_VERSION}")
    if len(words) < 2:
        raise HeaderError(f"no format, one of {' '.join(FORMATS)}")
    schema = ""
    for word in words[2:]:
        key, equals, value = word.partition("=")
        if not equals:
            raise HeaderError(f"{_shown(word)} is not key=value")
        if key == "schema":
            if schema or not value:
                raise HeaderError("schema names one subject, schema=<subject>[@version]")
            schema = value
            continue
        problem = "unsupported" if key in _KEYS else "unknown"
        raise HeaderError(f"{problem} key {_shown(key)}")
    if words[1] not in FORMATS:
        raise HeaderError(f"unsupported format {_shown(words[1])}, one of {' '.join(FORMATS)}")
    return words[1], schema


def _shown(text: str) -> str:
    """What a sender wrote, made short and printable for the answer."""
    return ascii(text[:40])[1:-1]
