"""Records of several formats in the order they came, and what is malformed kept as text.

For formats that lose no text for being malformed: what the encoder of one refuses becomes a raw record whose message
is the whole of it, with the field `parse_error`. Only what is not UTF-8, or is cut off, stays refused.
"""

from formats import raw
from formats.record import DETAIL_LIMIT, Context, Encoded, Row

_REFUSED = frozenset({"invalid_utf8", "invalid_frame", "truncated"})


_MANY_RUNS = 16  # each costs as much as some ten records


class Runs:
    """A sink: one `Encoded` for each run of records of one format. Rows and rejects are of `format`.

    Where runs are many, further records join the last run of their format: then only these keep their order.
    """

    def __init__(self, context: Context, format: str) -> None:
        self._runs: list[_Run] = []
        self._last: dict[str, _Run] = {}
        self._context = context
        self._format = format
        self._kept = raw.Kept(context)

    @property
    def encoded(self) -> list[Encoded]:
        """What became of all."""
        return [run.finish() for run in self._runs]

    def extend(self, rows: list[Row]) -> None:
        """Append records that were made one by one."""
        if rows:
            self._run(self._format).rows += rows

    def append(self, other: Encoded) -> None:
        """Append what came after."""
        if other.records or other.rejects or other.heartbeats:
            self._run(other.format).finish().append(other)

    def reject(self, reason: str, data: bytes, detail: str) -> None:
        """Keep as text; `data` is valid UTF-8 unless the reason is that it is not, or is not whole."""
        if reason in _REFUSED:
            self._run(self._format).encoded.reject(reason, data, detail)
        else:
            parse_error = f"{reason}: {detail}"[:DETAIL_LIMIT]
            self._run("raw").rows.append(self._kept.row(data, parse_error))

    def _run(self, format: str) -> "_Run":
        """The run to append to."""
        if self._runs and self._runs[-1].encoded.format == format:
            return self._runs[-1]
        run = self._last.get(format) if len(self._runs) >= _MANY_RUNS else None
        if run is None:
            run = self._last[format] = _Run(format)
            self._runs.append(run)
        return run


class _Run:
    """Records of one format. `rows` are those that are not in `encoded` yet: it takes many for the price of a few."""

    __slots__ = ("encoded", "rows")

    def __init__(self, format: str) -> None:
        self.encoded = Encoded(format)
        self.rows: list[Row] = []

    def finish(self) -> Encoded:
        if self.rows:
            self.encoded.extend(self.rows)
            self.rows = []
        return self.encoded
