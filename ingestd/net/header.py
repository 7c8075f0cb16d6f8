"""The header line of a connection (docs/wire.md): `INGEST/1 <format> [key=value …]` LF, ASCII, at most 512 bytes.

Fed the first bytes of a connection, it answers once it knows: the format that is named; or the one whose framing the
bytes need if they are no header, mostly `auto`; or a `HeaderError` whose text is what the sender is told after `ERR `.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from formats import FORMATS
from formats.detect import sniff
from ingestd.sequences.table import is_client_id
from ingestd.tokens import PREFIX

MAX_HEADER_BYTES: Final = 512
_START: Final = b"INGEST/"
_VERSION: Final = "1"

#: Each key once, with what its value must be.
_VALUES: Final[dict[str, tuple[Callable[[str], bool], str]]] = {
    "compression": ("zstd".__eq__, "is zstd or not given"),
    "schema": (bool, "names one subject, schema=<subject>[@version]"),
    "token": (bool, "is one secret"),
    "ack": ("1".__eq__, "is 1 or not given"),
    "client": (is_client_id, "is 1 to 64 of letters, digits and ._:-"),
}


#: Where a header may say a secret, well formed or not: what is shown of it ends there.
_SECRET: Final = re.compile(rf"(token(?=\W)|{PREFIX}).*", re.IGNORECASE | re.DOTALL)


class HeaderError(Exception):
    """The header is refused; `str()` is the reason the sender is told."""


class Header(NamedTuple):
    """How a connection speaks. `named` is False where no header was sent; `rest` are the bytes behind it.

    `schema` is the `<subject>[@version]` that its records must be as, empty where it named none. `client` is set where
    its batches are numbered and acknowledged. `compressed`: the stream, or each batch, is zstd.
    """

    format: str
    named: bool
    rest: bytes
    schema: str = ""
    client: str = ""
    compressed: bool = False
    token: str = ""


def read_header(data: bytes) -> Header | None:
    """What the first bytes of a connection say; None while it cannot be told yet. Raises `HeaderError`."""
    if not data.startswith(_START):
        return None if _START.startswith(data) else _sniffed(data)
    line, delimiter, rest = data.partition(b"\n")
    if len(line) >= MAX_HEADER_BYTES:
        raise HeaderError(f"header longer than {MAX_HEADER_BYTES} bytes")
    if not delimiter:
        return None
    return _parse(line.rstrip(b"\r"), rest)


def _sniffed(data: bytes) -> Header | None:
    format_ = sniff(data)
    return None if format_ is None else Header(format_, False, data)


def _parse(line: bytes, rest: bytes) -> Header:
    """What a complete header line says."""
    try:
        words = line.decode("ascii").split()
    except UnicodeDecodeError:
        raise HeaderError("header is not ASCII") from None
    version = words[0].partition("/")[2]
    if version != _VERSION:
        raise HeaderError(f"unsupported version {_shown(version)}, this is INGEST/{_VERSION}")
    if len(words) < 2:
        raise HeaderError(f"no format, one of {' '.join(FORMATS)}")
    keys: dict[str, str] = {}
    for word in words[2:]:
        key, equals, value = word.partition("=")
        if not equals:
            raise HeaderError(f"{_shown(word)} is not key=value")
        if key not in _VALUES:
            raise HeaderError(f"unknown key {_shown(key)}, one of {' '.join(_VALUES)}")
        is_valid, wanted = _VALUES[key]
        if key in keys or not is_valid(value):
            raise HeaderError(f"{_shown(word)}: {key} {wanted}")
        keys[key] = value
    if words[1] not in FORMATS:
        raise HeaderError(f"unsupported format {_shown(words[1])}, one of {' '.join(FORMATS)}")
    if ("ack" in keys) != ("client" in keys):
        raise HeaderError("ack=1 and client=<id> go together: batches are numbered by client")
    schema, client, token = (keys.get(key, "") for key in ("schema", "client", "token"))
    return Header(words[1], True, rest, schema, client, "compression" in keys, token)


def _shown(text: str) -> str:
    """What a sender wrote, made short and printable for the answer and the log, without a secret."""
    return ascii(_SECRET.sub(r"\1...", text)[:40])[1:-1]
