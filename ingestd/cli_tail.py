"""`ingestd tail`: the last records of a data folder, and those that come, as text for people or JSON for programs."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import TextIOWrapper
from pathlib import Path

import click

from ingestd.cli_options import INTERRUPTED, config_option, set_option
from ingestd.config import Config, default_path, load
from ingestd.errors import IngestdError
from ingestd.terminal.follow import Follower
from ingestd.terminal.history import History
from ingestd.terminal.lines import Render, coloured, plain, render_json, render_text
from ingestd.terminal.names import services
from ingestd.terminal.selection import FORMATS, LEVELS, Line, Selection, compile_pattern
from ingestd.units import parse_duration

#: How often a followed folder is looked at.
POLL_S = 0.1


def _moment(text: str) -> datetime:
    """In UTC. Raises ValueError and OverflowError."""
    try:
        return datetime.now(UTC) - timedelta(seconds=parse_duration(text))
    except ValueError:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment


def _since(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str:
    """A duration back from now, or a time, as records write theirs."""
    if value is None:
        return ""
    try:
        moment = _moment(value)
    except OverflowError:  # so long ago that it is before the year 1
        moment = datetime.min
    except ValueError:
        raise click.BadParameter(
            f"{value!r}: write how long ago, such as 10m or 1h30m, or a time, such as 2026-11-21T13:30:00Z"
        ) from None
    return f"{moment.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def _known_services(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """For completion, which says nothing of what goes wrong."""
    try:
        given = context.params
        config = load(given.get("path") or default_path(), given.get("overrides") or ())
        # Before an option that has no value yet, click leaves what else was given undecided.
        folder = given.get("data_dir") or next(iter(context.args), config.server.data_dir)
        return sorted(name for name in services(Path(folder)) if name.startswith(incomplete))
    except (IngestdError, OSError):
        return []


@click.command()
@click.argument("data_dir", required=False, type=click.Path(file_okay=False, path_type=Path))
@config_option
@set_option
@click.option("-f", "--follow", is_flag=True, help="Go on with records as they come, until Ctrl-C.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0, 10_000_000),
    metavar="N",
    help="Begin with the last N records. [default: 10; with --since all]",
)
@click.option(
    "--service",
    "wanted_services",
    multiple=True,
    metavar="NAME",
    shell_complete=_known_services,
    help="Only of this service; *, ? and […] are wild. May be given again.",
)
@click.option("--level", type=click.Choice(LEVELS, case_sensitive=False), help="Only of at least this level.")
@click.option(
    "--grep",
    metavar="REGEX",
    help="Only where this is found in the message; a pattern as alert rules take them.",
)
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(FORMATS),
    help="Only what came in this format. May be given again.",
)
@click.option(
    "--since",
    callback=_since,
    metavar="TIME",
    help="Only with a timestamp from then on: how long ago (10m), or when (2026-11-21T13:30:00Z; without a zone UTC).",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print records as they are stored, one JSON object a line."
)
@click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    help="Colour the levels. [default: auto, which is on a terminal unless NO_COLOR is set]",
)
def tail(
    data_dir: Path | None,
    path: Path | None,
    overrides: tuple[str, ...],
    follow: bool,
    lines: int | None,
    wanted_services: tuple[str, ...],
    level: str | None,
    grep: str | None,
    formats: tuple[str, ...],
    since: str,
    as_json: bool,
    color: str,
) -> None:
    """Print the last records that are on disk, of all workers in the order of their receipt.

    Without DATA_DIR: server.data_dir of the configuration. With -f, records come at most a second after they are on
    disk, over rotations and restarts of the daemon.
    """
    config = Config() if data_dir else load(path or default_path(), overrides)
    try:
        search = compile_pattern(grep) if grep else None
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--grep") from error
    selection = Selection((level or "").upper(), wanted_services, formats, since, search)
    paint = coloured if _in_colour(color) else plain
    output = _Output(render_json if as_json else render_text(paint))
    folder = data_dir or Path(config.server.data_dir)
    try:
        with History(folder, _report, config.schema.max_future) as history:
            if lines is None and since:
                output.write(history.all(selection))
            else:
                output.write(history.last(selection, 10 if lines is None else lines))
            if follow:
                _follow(Follower(folder, selection, _report, history.entries, history.take_open()), output)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _follow(follower: Follower, output: _Output) -> None:
    """Write what comes, until interrupted or nobody reads any more."""
    try:
        while output.is_read():
            lines, more = follower.poll()
            output.write(lines)
            if not more:
                time.sleep(POLL_S)
    except KeyboardInterrupt:
        output.write(follower.finish())
        raise
    finally:
        follower.close()


class OutputError(IngestdError):
    """Standard output takes no more."""


class _Output:
    """Standard output, a line for each record."""

    def __init__(self, render: Render) -> None:
        self._render = render
        self._reader = select.poll()
        if isinstance(sys.stdout, TextIOWrapper):  # what its encoding lacks is shown as an escape
            sys.stdout.reconfigure(errors="backslashreplace")
            with suppress(OSError):  # no file, in a test
                self._reader.register(sys.stdout, 0)

    def write(self, lines: Iterable[Line]) -> None:
        """Write and flush. Raises `OutputError`, and `BrokenPipeError` where nobody reads any more."""
        written = False
        try:
            for line in lines:
                sys.stdout.write(f"{self._render(line)}\n")
                written = True
            if written:
                sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            # What is left in the buffer would be tried again at the exit, and fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise OutputError(f"cannot write the output: {error.strerror}") from error

    def is_read(self) -> bool:
        """Whether a reader of the pipe is left; without records to write, nothing else would tell."""
        return not any(event & (select.POLLERR | select.POLLHUP) for _, event in self._reader.poll(0))


def _report(message: str) -> None:
    click.echo(f"ingestd: {message}", err=True)


def _in_colour(when: str) -> bool:
    """NO_COLOR: https://no-color.org."""
    if when == "auto":
        return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return when == "always"
