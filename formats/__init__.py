"""Bytes to records: one module per format, each beside the framing it goes with.

No I/O, no clock, no configuration. `FORMATS` joins the parts: a connection takes a framer and an encoder by the
format's name, feeds the one what it reads and the other what comes out.
"""

from collections.abc import Callable
from typing import NamedTuple

from formats import auto, avro, journald, json, protobuf, raw, syslog
from formats.delimited import Delimited
from formats.framing import Framer, Lines
from formats.journald_framing import Journal
from formats.record import Context, Encoded
from formats.syslog_framing import Frames


class Format(NamedTuple):
    """How a stream is cut (`framer` takes the limit of a record in bytes), and how a block becomes records."""

    name: str
    framer: Callable[[int], Framer]
    encode: Callable[[bytes, Context], list[Encoded]]


FORMATS = {
    format.name: format
    for format in (
        Format("json", Lines, json.encode),
        Format("raw", Lines, raw.encode),
        Format("syslog", Frames, syslog.encode),
        Format("journald", Journal, journald.encode),
        Format("protobuf", Delimited, protobuf.encode),
        Format("avro", avro.framer, avro.encode),
        Format("auto", auto.Stream, auto.encode),
    )
}
