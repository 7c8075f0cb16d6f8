"""Checking what will be sent against the schemas of a registry: what `--registry` does before a run.

A run's format asks for the latest schema of the subject `log_entry-<format>` (`log_entry-avro`, `log_entry-json`,
`log_entry-protobuf`) over the Confluent REST API. Some hundred records, rendered as they will be sent, are then read
by means that have nothing to do with how they were made: each must be what the schema says.

    avro      the container is read with the registry's schema as the reader's (fastavro)
    json      each line is validated (jsonschema-rs); nothing a schema refers to is fetched
    protobuf  each entry is parsed as the first message of the schema, and may hold no field unknown to it

Limit: the other formats have no schemas. Schemas that refer to other subjects are refused.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError, URLError

import fastavro
import jsonschema_rs
from fastavro.schema import SchemaParseException
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, proto, unknown_fields
from google.protobuf.message import DecodeError

from tools.loadgen.fields import FIRST_SEQ
from tools.loadgen.payloads import Renderer, build_pool
from tools.loadgen.transports import SetupError

TIMEOUT_S = 10.0
SAMPLE_RECORDS = 600
"""Enough to have every kind of text at every level."""

_Latest = dict[str, Any]


class _MisfitError(Exception):
    """The records are not what the schema says, or the schema says nothing that can be checked."""


def check(url: str, formats: tuple[str, ...], run: str, seed: int) -> list[str]:
    """Check records of these formats, and say of each what was done.

    SetupError: there is no registry at `url`, it has no such subject, or the records do not fit its schema.
    """
    return [_check_format(url.rstrip("/"), name, run, seed) for name in formats]


def _check_format(url: str, name: str, run: str, seed: int) -> str:
    if name not in _CHECKS:
        return f"{name} has no schema: its records are not checked"
    kind, check_sample = _CHECKS[name]
    subject = f"log_entry-{name}"
    latest = _fetch(url, subject, kind)
    which = f"{subject}@{latest['version']} of {url}"
    if latest.get("schemaType", "AVRO") != kind:
        raise SetupError(f"{which} is of the type {latest.get('schemaType', 'AVRO')}: {name} needs {kind}")
    if latest.get("references"):
        raise SetupError(f"{which} refers to other schemas: loadgen takes only one that is whole in itself")
    try:
        check_sample(latest["schema"], _sample(name, run, seed))
    except _MisfitError as error:
        raise SetupError(f"the {name} records do not fit {which}: {error}") from error
    return f"{SAMPLE_RECORDS} {name} records fit {which}"


def _sample(name: str, run: str, seed: int) -> bytes:
    """A stream as it will be sent, with its preamble."""
    pool = build_pool(name, run, seed, SAMPLE_RECORDS)
    block = Renderer(pool, 0, SAMPLE_RECORDS).render(FIRST_SEQ, SAMPLE_RECORDS, time.time_ns() // 1000)
    return pool.layout.preamble + block


def _fetch(url: str, subject: str, kind: str) -> _Latest:
    """The latest version of a subject, as the registry describes it."""
    if not url.startswith(("http://", "https://")):
        raise SetupError(f"--registry {url}: a URL is wanted, such as http://127.0.0.1:8080")
    query = "?format=serialized" if kind == "PROTOBUF" else ""
    # A proxy of the environment is for the world outside, and would not know a registry of this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/subjects/{subject}/versions/latest{query}", timeout=TIMEOUT_S) as answer:
            latest = json.load(answer)
    except HTTPError as error:
        with error:
            raise SetupError(_refusal(url, subject, kind, error)) from error
    except (URLError, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise SetupError(f"no registry answers at --registry {url}: {reason}") from error
    except ValueError as error:
        raise SetupError(f"--registry {url} is no schema registry: it does not answer in JSON") from error
    if not isinstance(latest, dict) or not isinstance(latest.get("schema"), str) or "version" not in latest:
        raise SetupError(f"--registry {url} is no schema registry: it answers without a schema")
    return latest


def _refusal(url: str, subject: str, kind: str, error: HTTPError) -> str:
    try:
        answer = json.loads(error.read())
        code, message = answer["error_code"], answer["message"]
    except (ValueError, KeyError, TypeError):
        return f"--registry {url} is no schema registry: it answers {error.code} {error.reason}"
    if code in (40401, 40402):
        return (
            f"the registry {url} has no subject {subject}: register a schema of the type {kind} there, "
            "or leave out --registry"
        )
    return f"the registry {url} refuses {subject}: {message} ({code})"


def _check_avro(schema: str, sample: bytes) -> None:
    try:
        reader = fastavro.reader(io.BytesIO(sample), reader_schema=json.loads(schema))
        records = sum(1 for _ in reader)
    except (SchemaParseException, fastavro.read.SchemaResolutionError, ValueError, KeyError) as error:
        raise _MisfitError(str(error) or type(error).__name__) from error
    if records != SAMPLE_RECORDS:
        raise _MisfitError(f"{records} records are read of {SAMPLE_RECORDS}")


def _check_json(schema: str, sample: bytes) -> None:
    try:
        validator = jsonschema_rs.validator_for(json.loads(schema), offline=True)
        for line in sample.splitlines():
            validator.validate(json.loads(line))
    except jsonschema_rs.ValidationError as error:
        path = "".join(f"/{part}" for part in error.instance_path)
        raise _MisfitError(f"{path or 'the record'}: {error.message}") from error
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise _MisfitError(str(error)) from error


def _check_protobuf(schema: str, sample: bytes) -> None:
    try:
        file = descriptor_pb2.FileDescriptorProto.FromString(base64.b64decode(schema, validate=True))
        pool = descriptor_pool.DescriptorPool()
        pool.Add(file)
        name = ".".join(filter(None, (file.package, file.message_type[0].name)))
        entry_type = message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
    except (binascii.Error, ValueError, DecodeError) as error:
        raise _MisfitError("the registry does not give it in binary form (format=serialized)") from error
    except (TypeError, KeyError, IndexError) as error:
        raise _MisfitError(f"its schema cannot be used: {error}") from error
    stream = io.BytesIO(sample)
    while stream.tell() < len(sample):
        try:
            entry = proto.parse_length_prefixed(entry_type, stream)
        except DecodeError as error:
            raise _MisfitError(f"not a {name}: {error}") from error
        unknown = unknown_fields.UnknownFieldSet(entry)
        if len(unknown):
            raise _MisfitError(f"{name} has no field {unknown[0].field_number} of the type that is sent")


_CHECKS: dict[str, tuple[str, Callable[[str, bytes], None]]] = {
    "avro": ("AVRO", _check_avro),
    "json": ("JSON", _check_json),
    "protobuf": ("PROTOBUF", _check_protobuf),
}
