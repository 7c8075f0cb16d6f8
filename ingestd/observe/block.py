"""Blocks of stored records, one behind the other, and what is asked of them: each answer is found once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence, Set
from functools import cached_property
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from formats import cores, lines
from formats.cores import Apart, Joined, Numbers, Texts
from formats.record import Encoded, Kept
from ingestd.observe.messages import SAMPLE_BYTES


class _Core(msgspec.Struct, gc=False):
    level: str
    service: str
    message: str


#: One in so many records is decoded by itself; of more of them all.
_FEW: Final = 8

_CORES: Final = msgspec.json.Decoder(_Core)
_string: Final = msgspec.json.Decoder(str)


class Block:
    """Records that are asked about together, told by their number, from 0.

    Of levels that are only counted there may be no more than one of each service; of others only those that may match.
    """

    def __init__(self, parts: Iterable[Encoded | Kept]) -> None:
        """The columns of the parts are taken over."""
        parts = list(parts)
        self.records = 0
        self.levels: dict[str, int] = {}
        self.services: set[str] = set()
        self._columns = Joined()
        for part in parts:
            self.records += part.records
            for level, records in part.levels.items():
                self.levels[level] = self.levels.get(level, 0) + records
            self.services.update(part.services)
            self._columns.append(part.columns if len(part.columns) == part.records else _Decoded(part))
        self._numbers: dict[Sequence[str], Numbers] = {}
        self._messages: Texts | None = None
        self._lines = _Lines(parts)

    def count_all(self, levels: Iterable[str]) -> int:
        """How many records of these levels there were, those included that are not here: nobody asks for them."""
        return sum([self.levels.get(level, 0) for level in levels])

    def of_levels(self, levels: Sequence[str]) -> Numbers:
        """The records of these levels, ascending; None if these are all."""
        levels = self._present(levels)
        if len(levels) == len(self.levels):
            return None
        if levels not in self._numbers:
            self._numbers[levels] = self._columns.numbers(levels)
        return self._numbers[levels]

    def _present(self, levels: Iterable[str]) -> Sequence[str]:
        """Those of the levels that occur."""
        return tuple(filter(self.levels.__contains__, levels))

    def of_service(self, levels: Sequence[str], service: str) -> Numbers:
        """The records of these levels and of the service; None if these are all."""
        if self.services == {service}:
            return self.of_levels(levels)
        return self._columns.numbers(self._present(levels), service)

    def services_of(self, numbers: Numbers) -> list[str]:
        """The services of these records."""
        if len(self.services) == 1:
            return [*self.services] * (self.records if numbers is None else len(numbers))
        return self._columns.services(numbers)

    def messages_of(self, numbers: Numbers) -> Texts:
        """The messages of these records."""
        if numbers is not None:
            return self._columns.messages(numbers)
        if self._messages is None:
            self._messages = self._columns.messages(None)
        return self._messages

    def count(self, levels: Collection[str]) -> cores.Counts:
        """How many records of each of these levels each service has that has any."""
        present = self._present(levels)
        if len(self.services) == 1:
            (service,) = self.services
            return {level: {service: self.levels[level]} for level in present}
        return self._columns.count(present) if present else {}

    def fields_of(self, numbers: Numbers, decoder: msgspec.json.Decoder[Any]) -> list[str | None]:
        """The values of a field of these records, of which `decoder` is that of `field_decoder`; what is no text as
        its JSON."""
        text = self._lines.text if numbers is None else self._lines_of(numbers)
        return [_text(record.value) for record in decoder.decode_lines(text)]

    def sample(self, number: int) -> str:
        """One record as it is stored, cut."""
        return self._lines_of(np.array([number]))[:-1][:SAMPLE_BYTES].decode(errors="ignore")

    def samples_of(self, level: str, services: Set[str]) -> dict[str, str]:
        """A record of this level of each of the services; there is one. In one pass, however many these are."""
        if not services:
            return {}
        numbers = self.of_levels((level,))
        firsts = first_places(self.services_of(numbers))
        places = [(service, firsts[service]) for service in services]
        return {
            service: self.sample(place if numbers is None else int(numbers[place]))
            for service, place in places
        }

    def _lines_of(self, numbers: cores.SomeNumbers) -> bytes:
        known = self._columns.lines(numbers)
        return self._lines.of(numbers) if known is None else known


def first_places(services: Sequence[str]) -> dict[str, int]:
    """Where each of them comes first."""
    return dict(zip(reversed(services), range(len(services) - 1, -1, -1), strict=True))


class _Lines:
    """Lines in chunks, put together when they are asked for."""

    def __init__(self, parts: Sequence[Encoded | Kept]) -> None:
        self._parts = parts

    @cached_property
    def text(self) -> bytes:
        return b"".join([chunk for part in self._parts for chunk in part.chunks])

    @cached_property
    def _ends(self) -> NDArray[np.intp]:
        return lines.ends(self.text)

    def of(self, numbers: cores.SomeNumbers) -> bytes:
        """The lines of these records."""
        return b"".join(map(self._line, numbers.tolist()))

    def _line(self, number: int) -> bytes:
        start = int(self._ends[number - 1]) if number else 0
        return self.text[start : int(self._ends[number])]


class _Decoded(Apart):
    """The columns of records that have none: their lines are decoded, as many as are asked for."""

    def __init__(self, encoded: Encoded | Kept) -> None:
        self._records = encoded.records
        self._lines = _Lines([encoded])

    def __len__(self) -> int:
        return self._records

    @cached_property
    def _all_rows(self) -> list[_Core]:
        return _CORES.decode_lines(self._lines.text)

    def _rows(self, numbers: Numbers) -> list[_Core]:
        if numbers is None or len(numbers) * _FEW > self._records:
            return cores.pick(self._all_rows, numbers)
        return _CORES.decode_lines(self.lines(numbers))

    def lines(self, numbers: Numbers) -> bytes:
        return self._lines.text if numbers is None else self._lines.of(numbers)

    @cached_property
    def levels(self) -> list[str]:
        return [row.level for row in self._all_rows]

    @cached_property
    def letters(self) -> cores.Letters:
        return cores.letters_of(self.levels)

    def services(self, numbers: Numbers) -> list[str]:
        return [row.service for row in self._rows(numbers)]

    def messages(self, numbers: Numbers) -> Texts:
        return Texts.of([row.message for row in self._rows(numbers)])


def field_decoder(field: str) -> msgspec.json.Decoder[Any]:
    """Decodes records to an object with the field's JSON as `value`, empty where there is none."""
    fields = [("value", msgspec.Raw, msgspec.Raw())]
    return msgspec.json.Decoder(msgspec.defstruct("Field", fields, rename={"value": field}, gc=False))


def _text(value: msgspec.Raw) -> str | None:
    data = bytes(value)
    if data.startswith(b'"'):
        return _string.decode(data)
    return data.decode() if data else None
