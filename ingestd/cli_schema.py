"""`ingestd schema`: register, list, get and check schemas in the registry of a running daemon.

The daemon is found through `ingestd.json` in the state_dir of the configuration, unless `--url` names a registry; any
that speaks the Confluent REST API will do.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Final

import click

from ingestd.cli_options import config_option, set_option
from ingestd.config import default_path, load
from ingestd.registry.client import Client, RegistryError

#: The kind of schema that a file holds, by its name.
KINDS: Final = {".avsc": "AVRO", ".json": "JSON", ".proto": "PROTOBUF"}

_REGISTRY_OPTIONS: Final = (
    config_option,
    set_option,
    click.option("--url", help="The registry. [default: the running daemon's]"),
    click.option(
        "--token",
        envvar="INGESTD_REGISTRY_TOKEN",
        help="Secret for writing. [default: $INGESTD_REGISTRY_TOKEN, else registry.token]",
    ),
    click.option(
        "--ca",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="PEM file of the CA that signed the certificate of an https registry.",
    ),
)
_SCHEMA_OPTIONS: Final = (
    click.argument("subject"),
    click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path)),
    click.option(
        "--type",
        "kind",
        type=click.Choice(tuple(KINDS.values()), case_sensitive=False),
        help="[default: by the file's name: .avsc, .json, .proto]",
    ),
    click.option(
        "--reference",
        "references",
        multiple=True,
        metavar="NAME=SUBJECT@VERSION",
        help="A schema that this one refers to by NAME. May be given again.",
    ),
    click.option("--normalize", is_flag=True, help="Let the order of keys not count."),
)

_Command = Callable[..., None]


def _with(*options: Callable[[_Command], _Command]) -> Callable[[_Command], _Command]:
    """All of these options, in this order in the help."""

    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _asking(command: _Command) -> _Command:
    """Give a command the client of the registry that its options name."""

    @wraps(command)
    def call(
        path: Path | None,
        overrides: tuple[str, ...],
        url: str | None,
        token: str | None,
        ca: Path | None,
        **given: Any,
    ) -> None:
        config = load(path or default_path(), overrides)
        secret = config.registry.token if token is None else token
        scheme = "https" if config.http.cert else "http"
        command(Client(url or _daemon_url(Path(config.server.state_dir), scheme), secret, ca), **given)

    return _with(*_REGISTRY_OPTIONS)(call)


@click.group()
def schema() -> None:
    """Keep schemas in the registry of a running daemon."""


@schema.command()
@_with(*_SCHEMA_OPTIONS)
@_asking
def register(client: Client, subject: str, normalize: bool, **given: Any) -> None:
    """Make the schema in FILE the next version of SUBJECT, if it is compatible."""
    body = _proposal(**given)
    flag = str(normalize).lower()
    client.ask("POST", "subjects", subject, "versions", body=body, normalize=flag)
    kept = client.ask("POST", "subjects", subject, body=body, normalize=flag)
    click.echo(f"{subject}: version {kept['version']}, id {kept['id']}")


@schema.command("list")
@click.argument("subject", required=False)
@_asking
def list_(client: Client, subject: str | None) -> None:
    """List all subjects, or the versions of SUBJECT."""
    subjects = client.ask("GET", "subjects") if subject is None else [subject]
    for name in subjects:
        numbers = client.ask("GET", "subjects", name, "versions")
        for number in numbers[-1:] if subject is None else numbers:
            version = client.ask("GET", "subjects", name, "versions", str(number))
            click.echo(f"{name}@{number}  {version.get('schemaType', 'AVRO')}  id {version['id']}")


@schema.command()
@click.argument("subject", metavar="SUBJECT[@VERSION]")
@_asking
def get(client: Client, subject: str) -> None:
    """Print a schema, without a version the latest."""
    name, version = _split(subject)
    click.echo(client.ask("GET", "subjects", name, "versions", version)["schema"])


@schema.command()
@_with(*_SCHEMA_OPTIONS)
@_asking
def check(client: Client, subject: str, normalize: bool, **given: Any) -> None:
    """Say whether the schema in FILE could be registered; exit 1 and say why where it could not.

    SUBJECT@VERSION asks about that version alone.
    """
    name, version = _split(subject)
    path = ["compatibility", "subjects", name, "versions", *([version] if name != subject else [])]
    flag = str(normalize).lower()
    answer = client.ask("POST", *path, body=_proposal(**given), verbose="true", normalize=flag)
    if not answer["is_compatible"]:
        raise RegistryError("\n  ".join([f"{subject}: not compatible", *answer.get("messages", ())]))
    click.echo(f"{subject}: compatible")


def _proposal(file: Path, kind: str | None, references: tuple[str, ...]) -> dict[str, object]:
    kind = kind or KINDS.get(file.suffix)
    if kind is None:
        raise click.UsageError(
            f"{file}: cannot tell the type by the name; give --type {'|'.join(KINDS.values())}"
        )
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RegistryError(f"{file}: not UTF-8 at byte {error.start}") from error
    except OSError as error:
        raise RegistryError(f"{file}: cannot be read: {error.strerror}") from error
    return {
        "schema": text,
        "schemaType": kind.upper(),
        "references": [_reference(each) for each in references],
    }


def _reference(text: str) -> dict[str, object]:
    name, _, target = text.partition("=")
    subject, version = _split(target)
    if not name or not subject or not version.isdecimal():
        raise click.UsageError(
            f"--reference {text}: write it as NAME=SUBJECT@VERSION, such as common.proto=common@3"
        )
    return {"name": name, "subject": subject, "version": int(version)}


def _split(text: str) -> tuple[str, str]:
    """Subject and version of `subject@version`; an @ before anything else is part of the subject."""
    subject, _, version = text.rpartition("@")
    if subject and (version.isdecimal() or version == "latest"):
        return subject, version
    return text, "latest"


def _daemon_url(state_dir: Path, scheme: str) -> str:
    """Where the daemon of this configuration listens. Raises RegistryError."""
    path = state_dir / "ingestd.json"
    try:
        return f"{scheme}://{json.loads(path.read_bytes())['http']}"
    except FileNotFoundError:
        reason = "no such file; is the daemon running?"
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"cannot be read: {error}"
    raise RegistryError(f"{path}: {reason} Name another configuration with -c, or a registry with --url")
