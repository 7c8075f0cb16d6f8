"""The `ingestd` command: run the daemon, check a configuration, make certificates and tokens, keep schemas.

Each command reads its arguments, calls one function, and says what came of it. A mistake of the user
(`IngestdError`) is one message on stderr and the exit code the error carries: 78 for the configuration, 2 for
the command line itself (click's), 1 for the rest. Modules that only `run` needs are imported by `run`, so that
the other commands answer at once.
"""

import gc
import os
import sys
from pathlib import Path
from typing import Any

import click

from ingestd import __version__, journal
from ingestd.cli_alerts import alerts
from ingestd.cli_completion import completion
from ingestd.cli_doctor import doctor
from ingestd.cli_options import config_option, set_option
from ingestd.cli_schema import schema
from ingestd.cli_status import status
from ingestd.cli_tail import tail
from ingestd.cli_top import top
from ingestd.config import Config, default_path, load
from ingestd.config_files import check_files
from ingestd.config_patterns import check_patterns
from ingestd.errors import IngestdError


class _Group(click.Group):
    """A group that turns an IngestdError into its message and exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except IngestdError as error:
            click.echo(journal.complaint(f"ingestd: {error}"), err=True)
            ctx.exit(error.exit_code)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ingestd")
def main() -> None:
    """Take logs in over TLS TCP and UDP and keep them in rotating .jsonl.zst files."""


main.add_command(alerts)
main.add_command(completion)
main.add_command(doctor)
main.add_command(schema)
main.add_command(status)
main.add_command(tail)
main.add_command(top)


@main.command()
@config_option
@set_option
def run(path: Path | None, overrides: tuple[str, ...]) -> None:
    """Run the daemon in the foreground until SIGTERM or SIGINT."""
    # numpy's threads, one for each core, would have nothing to do but to spin a while at the start
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.disable()  # what is imported stays
    from ingestd import startup

    gc.enable()
    journal.set_up()
    sys.exit(startup.run(lambda: _load(path, overrides)[0]))


@main.command()
@config_option
@set_option
@click.option(
    "--reload", "for_reload", is_flag=True, help="Ask as a reload does: would this code take a daemon over?"
)
def check(path: Path | None, overrides: tuple[str, ...], for_reload: bool) -> None:
    """Check the configuration and the files it names; exit 78 and say everything that is wrong."""
    config, source = _load(path, overrides)
    click.echo(f"ingestd: {source}: ok")
    if for_reload:
        from ingestd import startup

        click.echo(startup.rehearse(config))


@main.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="A further host name or IP address of the server. May be given again.",
)
@click.option(
    "--client",
    "clients",
    multiple=True,
    metavar="NAME",
    help="Make a client certificate NAME.crt with this host name too. May be given again.",
)
@click.option("--force", is_flag=True, help="Replace what is there: all of it, the CA too.")
def certs(folder: Path, hosts: tuple[str, ...], clients: tuple[str, ...], force: bool) -> None:
    """Make a CA, a server and a client certificate in DIR.

    The server certificate is for localhost, this machine's name and each --host. Files that are there are
    kept. To renew one certificate, remove its .crt and .key and run this again: the CA signs a new one.
    """
    from ingestd.certs import make

    pairs = make(folder, hosts, clients, force=force)
    for pair in pairs:
        did = "made" if pair.made else "kept (there already)"
        click.echo(f"{pair.cert}, {pair.key.name}: {did}, valid until {pair.expires:%Y-%m-%d}")
    if hosts and not next(pair for pair in pairs if pair.name == "server").made:
        click.echo("ingestd: --host had no effect on the certificate that is there; use --force", err=True)


@main.command()
@click.argument("name")
@click.option(
    "--client",
    default="*",
    metavar="PATTERN",
    help="Client ids that it may send as, such as web-*. [default: any]",
)
@click.option("--file", type=click.Path(dir_okay=False, path_type=Path), help="Add its line to this file.")
def token(name: str, client: str, file: Path | None) -> None:
    """Make a token for NAME and print it, once: the daemon keeps only a hash of it.

    The line with the hash belongs into auth.tokens_file or http.tokens_file; a running daemon takes notice.
    """
    from ingestd.tokens import add_line, make_token

    secret, line = make_token(name, client)
    if file is None:
        click.echo(f"ingestd: put this line into the tokens_file:\n{line}", err=True)
    else:
        add_line(file, line)
    click.echo(secret)


def _load(path: Path | None, overrides: tuple[str, ...]) -> tuple[Config, str]:
    """The configuration, its files checked, and the name of where it came from."""
    chosen = path or default_path()
    source = str(chosen or "built-in defaults")
    config = load(chosen, overrides)
    check_files(config, source)
    check_patterns(config, source)
    return config, source
