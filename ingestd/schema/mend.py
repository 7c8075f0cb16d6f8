"""What becomes of text that breaks a default rule: it is kept, and what offends is put right.

    a timestamp out of its window    becomes the time of receipt          as told: original.timestamp
    a service that is too long       is cut to the length it may have     as told: original.service

`parse_error` says which rules were broken. Who sends JSON, Protobuf or Avro can send it again; what comes as syslog or
out of a journal is text that nobody would. Only a message that is too long stays refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

#: Formats whose text is kept.
KEPT_FORMATS: Final = frozenset({"syslog", "journald"})

_PARSE_ERROR: Final = "parse_error"

_RECORD: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXT: Final = msgspec.json.Decoder(str)


def mended(line: bytes, faults: Mapping[str, str], max_service_chars: int) -> bytes:
    """The record of a stored line, put right.

    `faults` says how `timestamp`, `service` or both break a rule. All other fields stay as they are, byte for byte.
    """
    record: dict[str, Any] = _RECORD.decode(line)
    reasons = [_TEXT.decode(record[_PARSE_ERROR])] if _PARSE_ERROR in record else []
    for field, detail in faults.items():
        record[f"original.{field}"] = record[field]
        reasons.append(f"schema: {detail}")
    if "timestamp" in faults:
        record["timestamp"] = record["received_at"]
    if "service" in faults:
        record["service"] = _TEXT.decode(record["service"])[:max_service_chars]
    record[_PARSE_ERROR] = "; ".join(reasons)
    return msgspec.json.encode(record) + b"\n"
