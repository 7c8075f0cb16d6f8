"""A block of stored records, and what is asked of it: each answer is found once, and only if somebody asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from formats import cores, lines
from formats.cores import Columns, Lists, Numbers, Texts
from formats.record import Encoded
from ingestd.observe.messages import SAMPLE_BYTES


class _Core(msgspec.Struct, gc=False):
    level: str
    service: str
    message: str


_CORES: Final = msgspec.json.Decoder(_Core)
_string: Final = msgspec.json.Decoder(str)


class Block:
    """At least one record. Records are told by their number in the block, from 0."""

    def __init__(self, encoded: Encoded) -> None:
        self.levels: Mapping[str, int] = encoded.levels
        self.services: set[str] = encoded.services
        self.records = encoded.records
        self._encoded = encoded
        self._columns: Columns | None = None
        self._letters: cores.Letters | None = None
        self._numbers: dict[Sequence[str], Numbers] = {}
        self._text = b""
        self._ends: NDArray[np.intp] | None = None

    @property
    def _core(self) -> Columns:
        """The columns of the format; decoded here where it has none."""
        if self._columns is None:
            self._columns = self._encoded.columns
            if len(self._columns) < self.records:
                rows = _CORES.decode_lines(self._lines)
                levels, services, messages = zip(*((row.level, row.service, row.message) for row in rows))  # noqa: B905
                self._columns = Lists(list(levels), list(services), list(messages))
        return self._columns

    def of_levels(self, levels: Sequence[str]) -> Numbers:
        """The records of these levels, ascending; None if these are all."""
        levels = self._present(levels)
        if levels not in self._numbers:
            if len(levels) == len(self.levels):
                self._numbers[levels] = None
            elif not levels:
                self._numbers[levels] = []
            else:
                if self._letters is None:
                    self._letters = self._core.letters
                self._numbers[levels] = cores.numbers_of(self._letters, levels)
        return self._numbers[levels]

    def _present(self, levels: Sequence[str]) -> Sequence[str]:
        """Those of the levels that occur."""
        return tuple(filter(self.levels.__contains__, levels))

    def of_service(self, levels: Sequence[str], service: str) -> Numbers:
        """The records of these levels and of the service; None if these are all."""
        if len(self.services) == 1:
            return self.of_levels(levels) if service in self.services else []
        found: list[int] = []
        for level in self._present(levels):
            found += self._core.of_service(self.of_levels((level,)), service)
        return sorted(found)

    def services_of(self, numbers: Numbers) -> list[str]:
        """The services of these records."""
        if len(self.services) == 1:
            return [*self.services] * (self.records if numbers is None else len(numbers))
        return self._core.services(numbers)

    def messages_of(self, numbers: Numbers) -> Texts:
        """The messages of these records."""
        return self._core.messages(numbers)

    def count(self, level: str) -> Mapping[str, int]:
        """How many records of a level that occurs each service has."""
        if len(self.services) == 1:
            return dict.fromkeys(self.services, self.levels[level])
        return self._core.count(self.of_levels((level,)))

    def count_all(self) -> Mapping[str, int]:
        """How many records each service has."""
        return self._core.count(None)

    def fields_of(self, numbers: Numbers, decoder: msgspec.json.Decoder[Any]) -> list[str | None]:
        """The values of a field of these records, of which `decoder` is that of `field_decoder`; what is no text as
        its JSON."""
        text = self._lines if numbers is None else b"".join(map(self._line, numbers))
        return [_text(record.value) for record in decoder.decode_lines(text)]

    def sample(self, number: int) -> str:
        """One record as it is stored, cut."""
        return self._line(number)[:-1][:SAMPLE_BYTES].decode(errors="ignore")

    def sample_of(self, level: str, service: str) -> str:
        """A record of this level and service; there is one."""
        numbers = self.of_service((level,), service)
        return self.sample(0 if numbers is None else numbers[0])

    @property
    def _lines(self) -> bytes:
        if not self._text:
            self._text = b"".join(self._encoded.chunks)
        return self._text

    def _line(self, number: int) -> bytes:
        if self._ends is None:
            self._ends = lines.ends(self._lines)
        start = int(self._ends[number - 1]) if number else 0
        return self._lines[start : int(self._ends[number])]


def field_decoder(field: str) -> msgspec.json.Decoder[Any]:
    """Decodes records to an object with the field's JSON as `value`, empty where there is none."""
    fields = [("value", msgspec.Raw, msgspec.Raw())]
    return msgspec.json.Decoder(msgspec.defstruct("Field", fields, rename={"value": field}, gc=False))


def _text(value: msgspec.Raw) -> str | None:
    data = bytes(value)
    if data.startswith(b'"'):
        return _string.decode(data)
    return data.decode() if data else None
