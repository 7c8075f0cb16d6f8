"""The options that several commands of `ingestd` share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Final

import click

from ingestd.ask import STATE_FILE, Daemon, parse_url
from ingestd.config import default_path, load

#: Exit code of who asked how the daemon does: it runs, and something is wrong.
DEGRADED: Final = 1

#: Exit code of a process that Ctrl-C ended.
INTERRUPTED: Final = 130

config_option = click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(path_type=Path),
    help="TOML file. Without it: conf/ingestd.toml, else /etc/ingestd/ingestd.toml, else the defaults.",
)
set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Set one key over the file. May be given again.",
)


def asking(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command, as its first argument, the running `Daemon` that its options name.

    Found through `ingestd.json` in the state_dir of the configuration, unless --url names one.
    """

    @wraps(command)
    def call(
        path: Path | None,
        overrides: tuple[str, ...],
        url: str | None,
        token_file: Path | None,
        ca: Path | None,
        **given: Any,
    ) -> None:
        config = load(path or default_path(), overrides)
        daemon = Daemon(
            state_file=Path(config.server.state_dir, STATE_FILE),
            url=url or "",
            certificate=Path(config.http.cert) if config.http.cert else None,
            ca=ca,
            # The registry's own token opens as much; it is for the daemon of this configuration, not for any other.
            token=_secret(token_file) if token_file else "" if url else config.registry.token,
        )
        command(daemon, **given)

    for option in reversed(_ASKING_OPTIONS):
        call = option(call)
    return call


def _url(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    try:
        return None if value is None else parse_url(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _secret(path: Path) -> str:
    """The token that a file holds, alone on its line."""
    try:
        words = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise click.BadParameter(f"{path}: {reason}", param_hint="--token-file") from error
    if len(words) != 1 or not words[0].isascii():
        raise click.BadParameter(
            f"{path}: must hold one token, as `ingestd token` printed it; not the line with its hash",
            param_hint="--token-file",
        )
    return words[0]


_ASKING_OPTIONS: Final = (
    config_option,
    set_option,
    click.option(
        "--url",
        metavar="URL",
        callback=_url,
        help="HTTP address of the daemon. [default: the running daemon of the configuration]",
    ),
    click.option(
        "--token-file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="File that holds a token, where http.tokens_file asks for one.",
    ),
    click.option(
        "--ca",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="PEM file of the CA that signed the daemon's certificate.",
    ),
)
