"""What a rule asks of a record: made by the configuration, looked for by workers, shown by `ingestd alerts test`."""

from __future__ import annotations

from typing import NamedTuple


class Condition(NamedTuple):
    """All that is not empty must hold of one and the same record."""

    rule: str
    """The name of the rule."""
    level: str = ""
    """At least this level."""
    service: str = ""
    field: str = ""
    """The field that `pattern` is looked for in: of the record itself, no path; one that is no text as its JSON."""
    pattern: str = ""
    """A regular expression that is searched for anywhere in the value; of a language that is matched in linear time."""
