"""What the registry's questions mean: versions of subjects, compatibility, references, and deletion in two steps.

A version that is deleted is hidden: it keeps its number and can be read by id, so that what was written with it can
still be decoded. Deleting it again, `permanent`, forgets it. Every method is one question of the API, and raises
`ApiError` where that has an error for an answer. All belong to one thread, that of the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from ingestd.registry import errors
from ingestd.registry.errors import ApiError, SchemaError
from ingestd.registry.judge import Case, Document, judge
from ingestd.registry.kinds import KINDS
from ingestd.registry.parsed import Source
from ingestd.registry.store import Entry, Reference, Row, Store, digest

DEFAULT_LEVEL: Final = "BACKWARD"
MAX_VERSION: Final = 2**31 - 1
MAX_SUBJECT_CHARS: Final = 255

#: How many schemas one may refer to, through others too.
MAX_REFERENCES: Final = 200

#: The subject that the global compatibility level is kept under.
GLOBAL: Final = ""


class Proposal(NamedTuple):
    """A schema as a client sent it."""

    kind: str
    text: str
    references: tuple[Reference, ...]


class Operations:
    """The registry over one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def subjects(self, prefix: str, deleted: bool) -> list[str]:
        """The names of all subjects."""
        return self._store.subjects(prefix, deleted)

    def versions(self, subject: str, deleted: bool = False) -> list[Entry]:
        """The versions of a subject; with `deleted`, the hidden ones too."""
        found = _visible(self._store.of_subject(subject), deleted)
        if not found:
            raise errors.subject_not_found(subject)
        return found

    def version(self, subject: str, version: str, deleted: bool = False) -> Entry:
        """One version of a subject by its number, or the `latest`."""
        return _pick(self.versions(subject, deleted), version)

    def schema(self, schema_id: int, deleted: bool = True) -> list[Entry]:
        """The versions that are the schema of this id, at least one."""
        found = self._store.of_schema(schema_id)
        if not found:
            raise ApiError(40403, f"Schema {schema_id} not found")
        return _visible(found, deleted)

    def serialized(self, entry: Entry) -> str:
        """The text of a schema in its binary form, in base64; as it is where its kind has no such form."""
        if entry.kind != "PROTOBUF":
            return entry.text
        return judge(Case(entry.kind, self._document(entry.text, entry.references))).identity

    def referred_by(self, subject: str, version: str) -> list[int]:
        """The ids of the schemas that refer to a version."""
        found = self._store.referring_to(subject, self.version(subject, version).version)
        return sorted({entry.id for entry in _visible(found, False)})

    def register(self, subject: str, proposal: Proposal, normalize: bool) -> Entry:
        """Make a schema the next version of a subject; what is a version already stays that version."""
        if not (0 < len(subject) <= MAX_SUBJECT_CHARS and subject.isprintable()):
            raise errors.invalid_subject(subject)
        with self._store.changing():
            entries = self._store.of_subject(subject)
            live = _visible(entries, False)
            level = self._level_of(subject)
            row, conflicts = self._judge(proposal, normalize, level, _relevant(level, live))
            if (same := _find(live, row, normalize)) is not None:
                return same
            if conflicts:
                raise errors.incompatible(subject, conflicts)
            version = entries[-1].version + 1 if entries else 1
            schema_id = self._store.add(subject, version, row)
        return Entry(
            subject, version, schema_id, row.kind, row.text, row.references, row.identity, deleted=False
        )

    def look_up(self, subject: str, proposal: Proposal, normalize: bool, deleted: bool) -> Entry:
        """The version of a subject that is this schema."""
        entries = self.versions(subject, deleted)
        row, _ = self._judge(proposal, normalize)
        found = _find(entries, row, normalize)
        if found is None:
            raise errors.schema_not_found()
        return found

    def check(self, subject: str, version: str | None, proposal: Proposal, normalize: bool) -> list[str]:
        """Why a schema is incompatible with a version, or with those that its registration would be held against."""
        level = self._level_of(subject)
        live = _visible(self._store.of_subject(subject), False)
        if version is None or (not live and _number(version) is None):
            against = _relevant(level, live)
        else:
            against = [self.version(subject, version)]
        _, conflicts = self._judge(proposal, normalize, level, against)
        return conflicts

    def delete_subject(self, subject: str, permanent: bool) -> list[int]:
        """Hide all versions of a subject, or forget what is hidden; returns their numbers."""
        with self._store.changing():
            entries = self._store.of_subject(subject)
            live = _visible(entries, False)
            if not entries:
                raise errors.subject_not_found(subject)
            if permanent and live:
                raise errors.subject_not_soft_deleted(subject)
            if not permanent and not live:
                raise errors.subject_soft_deleted(subject)
            gone = self._delete(entries if permanent else live, permanent)
            if permanent:
                self._store.unset_level(subject)
        return gone

    def delete_version(self, subject: str, version: str, permanent: bool) -> int:
        """Hide a version, or forget it if it is hidden; returns its number."""
        with self._store.changing():
            entry = self.version(subject, version, deleted=permanent or _number(version) is not None)
            if permanent and not entry.deleted:
                raise errors.version_not_soft_deleted(subject, entry.version)
            if not permanent and entry.deleted:
                raise errors.version_soft_deleted(subject, entry.version)
            self._delete([entry], permanent)
        return entry.version

    def _delete(self, entries: Iterable[Entry], permanent: bool) -> list[int]:
        gone = []
        for subject, version, *_ in entries:
            if _visible(self._store.referring_to(subject, version), permanent):
                raise errors.still_referenced(subject, version)
            (self._store.remove if permanent else self._store.hide)(subject, version)
            gone.append(version)
        return gone

    def level(self, subject: str, inherit: bool) -> str:
        """The compatibility level of a subject, or with `inherit` the global one where it has none."""
        level = self._store.level(subject)
        if level is None and not inherit and subject != GLOBAL:
            raise errors.level_not_configured(subject)
        return level or self._level_of(subject)

    def set_level(self, subject: str, level: str) -> str:
        """Set the compatibility level of a subject or the global one; returns it as it is spelled."""
        if level.upper() not in errors.LEVELS:
            raise errors.invalid_level()
        self._store.set_level(subject, level.upper())
        return level.upper()

    def unset_level(self, subject: str) -> str:
        """Go back to the global level, or to BACKWARD; returns the level that was."""
        level = self._store.level(subject)
        if level is None and subject != GLOBAL:
            raise errors.level_not_configured(subject)
        self._store.unset_level(subject)
        return level or DEFAULT_LEVEL

    def _level_of(self, subject: str) -> str:
        return self._store.level(subject) or self._store.level(GLOBAL) or DEFAULT_LEVEL

    def _judge(
        self, proposal: Proposal, normalize: bool, level: str = "NONE", against: Sequence[Entry] = ()
    ) -> tuple[Row, list[str]]:
        """The schema as it would be kept, and why the level does not let it stand beside these."""
        kind, text, references = proposal
        if kind not in KINDS:
            raise errors.invalid_schema(f"unknown schemaType {kind[:40]!r}, one of {', '.join(KINDS)}")
        for name, subject, version in references:
            try:
                self.version(subject, str(version))
            except ApiError as error:
                raise errors.invalid_schema(f"reference {name!r}: {error}") from error
        if level == "NONE":
            against = ()
        others = [entry for entry in against if entry.kind == kind]
        try:
            verdict = judge(
                Case(
                    kind,
                    self._document(text, references),
                    [self._document(entry.text, entry.references) for entry in others],
                    reads=not level.startswith("FORWARD"),
                    is_read=not level.startswith("BACKWARD"),
                )
            )
        except SchemaError as error:
            raise errors.invalid_schema(str(error)) from error
        conflicts = [
            f"version {entry.version} {reason}"
            for entry, reasons in zip(others, verdict.conflicts, strict=True)
            for reason in reasons
        ]
        conflicts += [
            f"version {entry.version} is {entry.kind} and this {kind}"
            for entry in against
            if entry.kind != kind
        ]
        stored = verdict.normal if normalize else verdict.text
        identity = digest(kind, references, verdict.identity)
        return Row(kind, stored, references, identity, verdict.light), conflicts

    def _document(self, text: str, references: Sequence[Reference]) -> Document:
        return Document(text, self._sources(references))

    def _sources(self, references: Sequence[Reference]) -> list[Source]:
        """The schemas referred to, each behind those that it refers to itself."""
        found: dict[Reference, Source] = {}
        self._gather(references, found, 0)
        return list(found.values())

    def _gather(self, references: Sequence[Reference], found: dict[Reference, Source], depth: int) -> None:
        for reference in references:
            if reference in found:
                continue
            if max(depth, len(found)) >= MAX_REFERENCES:
                raise SchemaError(f"it refers to more than {MAX_REFERENCES} schemas")
            entry = self.version(reference.subject, str(reference.version), deleted=True)
            self._gather(entry.references, found, depth + 1)
            found[reference] = Source(reference.name, entry.text)


def _visible(entries: list[Entry], deleted: bool) -> list[Entry]:
    return [entry for entry in entries if deleted or not entry.deleted]


def _relevant(level: str, live: list[Entry]) -> list[Entry]:
    """Those that a new version must be compatible with."""
    return live if level.endswith("_TRANSITIVE") else live[-1:]


def _find(entries: list[Entry], row: Row, normalize: bool) -> Entry | None:
    """The latest that is the same schema."""
    if normalize:
        return next((entry for entry in reversed(entries) if entry.identity == row.identity), None)
    same = (row.kind, row.text, row.references)
    return next(
        (entry for entry in reversed(entries) if (entry.kind, entry.text, entry.references) == same), None
    )


def _number(version: str) -> int | None:
    """The number of a version as a client names it, None for the latest."""
    if version in ("latest", "-1"):
        return None
    if not (
        version.isascii() and version.isdecimal() and len(version) <= 10 and 0 < int(version) <= MAX_VERSION
    ):
        raise errors.invalid_version(version)
    return int(version)


def _pick(entries: list[Entry], version: str) -> Entry:
    number = _number(version)
    if number is None:
        return entries[-1]
    found = next((entry for entry in entries if entry.version == number), None)
    if found is None:
        raise errors.version_not_found(number)
    return found
