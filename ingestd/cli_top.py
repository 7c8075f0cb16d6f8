"""`ingestd top`: the dashboard's essentials, live on a terminal. `q` or Ctrl-C quits."""

from __future__ import annotations

import sys

import click

from ingestd.ask import Daemon
from ingestd.cli_options import DEGRADED, INTERRUPTED, asking

ASK_S = 1.0


@click.command()
@asking
@click.option("--once", is_flag=True, help="Print one frame and end.")
def top(daemon: Daemon, once: bool) -> None:
    """Watch the running daemon: what comes in, what is wrong, its workers; q quits.

    A daemon that stops is waited for, and found again wherever it then listens.
    """
    from ingestd.terminal import live  # loads rich, which no other command needs
    from ingestd.terminal.watch import Watch

    console = live.console_of_stdout()
    watch = Watch(daemon, ASK_S)
    if once:
        reading = watch.look()
        if reading.trouble:
            raise reading.trouble
        live.show_once(console, reading)
        sys.exit(0 if reading.snapshot and reading.snapshot.is_well else DEGRADED)
    if not live.can_draw(console):
        raise click.UsageError(
            "there is no terminal to draw on; --once prints one frame, `ingestd status` a summary"
        )
    watch.start()
    try:
        live.show(console, watch)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    finally:
        watch.stop()
