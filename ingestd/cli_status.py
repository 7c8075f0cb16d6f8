"""`ingestd status`: how the running daemon does, in a dozen lines and an exit code."""

from __future__ import annotations

import json
import sys

import click

from ingestd.ask import Daemon
from ingestd.cli_options import DEGRADED, asking
from ingestd.terminal.answers import ask_snapshot
from ingestd.terminal.status import summary
from ingestd.visible import json_line


@click.command()
@asking
@click.option("--json", "as_json", is_flag=True, help="Print all that the daemon says, as one JSON object.")
def status(daemon: Daemon, as_json: bool) -> None:
    """Say how the running daemon does.

    Exit code 0: it takes logs in, and nothing is critical. 1: it runs, but a worker is missing, records are lost, the
    disk is full, or the like. 3: it does not run. 4: it cannot be told.
    """
    snapshot, answer = ask_snapshot(daemon)
    if as_json:
        click.echo(json_line(json.dumps(answer, ensure_ascii=False)))
    else:
        click.echo("\n".join(summary(snapshot)))
    sys.exit(0 if snapshot.is_well else DEGRADED)
