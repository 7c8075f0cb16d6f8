"""Records of several formats in the order they came, and what is malformed kept as text.

For formats that lose no text for being malformed: what the encoder of one refuses becomes a raw record whose message
is the whole of it, with the field `parse_error`. Only what is not UTF-8, or is cut off, stays refused.
"""

from formats import raw
from formats.record import DETAIL_LIMIT, Context, Encoded, Row

_REFUSED = frozenset({"invalid_utf8", "invalid_frame", "truncated"})


class Runs:
    """A sink: one `Encoded` for each run of records of one format. Rows and rejects are of `format`."""

    def __init__(self, context: Context, format: str) -> None:
        self.encoded: list[Encoded] = []
        self._context = context
        self._format = format

    def extend(self, rows: list[Row]) -> None:
        """Append records that were made one by one."""
        if rows:
            self._run(self._format).extend(rows)

    def append(self, other: Encoded) -> None:
        """Append what came after."""
        if not other.records and not other.rejects:
            return
        if not self.encoded or self.encoded[-1].format != other.format:
            self.encoded.append(other)
        else:
            self.encoded[-1].append(other)

    def reject(self, reason: str, data: bytes, detail: str) -> None:
        """Keep as text; `data` is valid UTF-8 unless the reason is that it is not, or is not whole."""
        if reason in _REFUSED:
            self._run(self._format).reject(reason, data, detail)
        else:
            parse_error = f"{reason}: {detail}"[:DETAIL_LIMIT]
            self._run("raw").extend([raw.keep(data, self._context, parse_error)])

    def _run(self, format: str) -> Encoded:
        if not self.encoded or self.encoded[-1].format != format:
            self.encoded.append(Encoded(format))
        return self.encoded[-1]
