"""Protobuf schemas (proto2, proto3, editions), by protoc.

protoc runs as a process of its own, with a time limit: it is the reference parser, and it is C++ fed by strangers. A
schema may also come as a FileDescriptorProto in base64, which is what Confluent's serializers send; it is kept so. No
well-kept library compares two versions from Python, so none is refused: docs/registry.md says so.
"""

from __future__ import annotations

import base64
import binascii
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import DecodeError

from ingestd.registry.errors import SchemaError
from ingestd.registry.parsed import Parsed, Source

PROTOC_TIMEOUT_S: Final = 10.0

#: What the schema itself is called beside those it refers to.
_ROOT: Final = "schema.proto"
_GIVEN: Final = "given.descriptors"
_MADE: Final = "made.descriptors"


def parse(text: str, references: Sequence[Source]) -> Parsed:
    """Read a schema. Raises SchemaError."""
    if not text.strip():
        raise SchemaError("an empty schema")
    # Compared in binary form: two texts that differ in layout and comments only have the same descriptor.
    identity = _serialize(text, references)
    return Parsed(text, text, identity, None)


def why_not(_reader: None, _writer: None) -> list[str]:
    """Nothing: see above."""
    return []


def _serialize(text: str, references: Sequence[Source]) -> str:
    """The FileDescriptorProto in base64."""
    with tempfile.TemporaryDirectory(prefix="ingestd-protoc-") as folder:
        given = FileDescriptorSet()
        for reference in references:
            _place(Path(folder), reference.name, reference.text, given)
        root = _place(Path(folder), _ROOT, text, given)
        (Path(folder) / _GIVEN).write_bytes(given.SerializeToString())
        _compile(folder, root)
        made = FileDescriptorSet.FromString((Path(folder) / _MADE).read_bytes())
    return base64.b64encode(made.file[-1].SerializeToString(deterministic=True)).decode()


def _place(folder: Path, name: str, text: str, given: FileDescriptorSet) -> str:
    """Put a schema where protoc finds it, and return the name it has there."""
    descriptor = _deserialize(text)
    if descriptor is not None:
        if name != _ROOT:
            descriptor.name = name
        given.file.append(descriptor)
        return descriptor.name
    parts = PurePosixPath(name).parts
    if not name.isprintable() or not parts or parts[0] == "/" or ".." in parts:
        raise SchemaError(f"the reference {name!r} is no path that an import may name")
    path = folder.joinpath(*parts)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except (OSError, UnicodeEncodeError) as error:
        raise SchemaError(f"{name!r} cannot be compiled: {error}") from error
    return name


def _deserialize(text: str) -> FileDescriptorProto | None:
    """The descriptor that base64 holds, None of a text in the language: that has characters base64 lacks."""
    try:
        return FileDescriptorProto.FromString(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, DecodeError):
        return None


def _compile(folder: str, root: str) -> None:
    """Run protoc over the schema of this name. Raises SchemaError with its first words."""
    options = ["-I.", f"--descriptor_set_in={_GIVEN}", f"--descriptor_set_out={_MADE}", "--include_imports"]
    if root.startswith("-"):
        raise SchemaError(f"a file cannot be called {root!r}")
    try:
        done = subprocess.run(
            # Isolated (-I), or else what lies in the folder could take the place of Python's modules.
            [sys.executable, "-I", "-m", "grpc_tools.protoc", *options, root],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROTOC_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SchemaError(f"protoc did not end within {PROTOC_TIMEOUT_S:g} s") from None
    except ValueError as error:  # a NUL in the name
        raise SchemaError(str(error)) from error
    if done.returncode:
        raise SchemaError(
            done.stderr.decode(errors="replace").strip() or f"protoc ended with {done.returncode}"
        )
