"""The command: `loadgen` sends, `loadgen verify` reads back.

Everything a person can get wrong ends in one line that says what, where and what to do. Exit codes: 0 all is
well; 1 something failed, or verify is not exact; 2 the options make no sense.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import click
from click.core import ParameterSource

from tools.loadgen import acked, fleet, verify
from tools.loadgen.layouts import DATAGRAM_FORMATS, FORMATS, LAYOUTS, MIXED
from tools.loadgen.payloads import RUN_PATTERN
from tools.loadgen.plan import DEFAULT_BATCH, DEFAULT_CONNECTIONS, Plan
from tools.loadgen.progress import ProgressLine
from tools.loadgen.report import Report, ReportError
from tools.loadgen.transports import SetupError, Target, client_tls, show_certificate

_PORT = click.IntRange(1, 65535)
_AT_LEAST_ONE = click.IntRange(min=1)
_POSITIVE = click.FloatRange(min=0, min_open=True)
_FILE = click.Path(dir_okay=False, path_type=Path)

_WORD_LIMIT = 400
"""Of a header line of 512 bytes, what is certainly left beside its other words."""
_WORD = re.compile(rf"[!-~]{{1,{_WORD_LIMIT}}}")


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--address", default="127.0.0.1", show_default=True, help="Host to send to.")
@click.option("--tcp-port", type=_PORT, default=3001, show_default=True, help="TCP port.")
@click.option("--udp-port", type=_PORT, default=3002, show_default=True, help="UDP port, with --udp.")
@click.option("--udp", is_flag=True, help="Send datagrams instead of TCP.")
@click.option(
    "--format",
    "format_name",
    type=click.Choice(FORMATS),
    default="json",
    show_default=True,
    help="What to send; mixed: each connection takes the next format.",
)
@click.option(
    "--batch",
    type=_AT_LEAST_ONE,
    help=f"Records per batch.  [default: {DEFAULT_BATCH}; less for a low --rate]",
)
@click.option("--interval", type=_POSITIVE, help="Milliseconds between batches, over all connections.")
@click.option("--rate", type=_POSITIVE, help="Records a second, over all connections.  [default: unpaced]")
@click.option("--seconds", type=_POSITIVE, help="Stop after so long.")
@click.option("--count", type=_AT_LEAST_ONE, help="Stop after so many records.")
@click.option(
    "--connections",
    type=click.IntRange(1, 10_000),
    help=f"How many at a time.  [default: {DEFAULT_CONNECTIONS}; mixed: one for each format]",
)
@click.option(
    "--processes", type=click.IntRange(1, 256), default=1, show_default=True, help="Sender processes."
)
@click.option("--ca", type=_FILE, help="PEM file of the CA that signed the server's certificate.")
@click.option("--insecure", is_flag=True, help="Do not check the server's certificate.")
@click.option("--cert", type=_FILE, help="PEM file of a client certificate to show, with --key.")
@click.option("--key", type=_FILE, help="PEM file of its private key.")
@click.option(
    "--token-file",
    type=_FILE,
    help="File with the token to show.  [default: the environment's LOADGEN_TOKEN]",
)
@click.option("--plain", is_flag=True, help="TCP without TLS.")
@click.option("--burst", type=_AT_LEAST_ONE, help="Records sent back to back when due.  [default: one batch]")
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same texts.")
@click.option(
    "--run", "run_id", help="Run id in every record, 1 to 16 of A-Z a-z 0-9 _ -.  [default: random]"
)
@click.option(
    "--registry",
    metavar="URL",
    help="Check records first by the schemas log_entry-<format> (avro, json, protobuf) of this registry.",
)
@click.option(
    "--schema",
    metavar="SUBJECT[@VERSION]",
    help="Have the server judge the records by this JSON schema of its registry.",
)
@click.option("--ack", is_flag=True, help="Numbered batches, acknowledged once they are on disk.")
@click.option("--client", metavar="ID", help="With --ack: clients are ID-0, ID-1, …  [default: the run id]")
@click.option(
    "--spool",
    type=click.Path(file_okay=False, path_type=Path),
    help="With --ack: keep what is not acknowledged here, and begin with what an earlier run left.",
)
@click.option("--report", type=_FILE, help="Write here what was sent, for verify.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
@click.pass_context
def main(context: click.Context, /, **options: Any) -> None:
    """Send logs to ingestd until --seconds or --count is reached, or Ctrl-C.

    `loadgen verify` then says whether each of them was stored exactly once.
    """
    if context.invoked_subcommand is not None:
        given = [
            name for name in options if context.get_parameter_source(name) is not ParameterSource.DEFAULT
        ]
        if given:
            raise click.UsageError(f"options of {context.invoked_subcommand} stand behind it")
        return
    _send(**options)


def _send(
    *,
    address: str,
    tcp_port: int,
    udp_port: int,
    udp: bool,
    format_name: str,
    interval: float | None,
    connections: int | None,
    processes: int,
    ca: Path | None,
    insecure: bool,
    cert: Path | None,
    key: Path | None,
    token_file: Path | None,
    plain: bool,
    run_id: str | None,
    registry: str | None,
    ack: bool,
    client: str | None,
    spool: Path | None,
    report: Path | None,
    as_json: bool,
    **load: Any,
) -> None:
    _check_transport(udp, plain, ca, insecure)
    _check_ack(ack, udp, client, spool)
    if (cert is None) != (key is None) or (cert and (udp or plain)):
        raise click.UsageError("--cert and --key go together, and with TLS")
    _check_schema(load["schema"], udp)
    connections = _connections(udp, format_name, connections)
    run_id = run_id or secrets.token_hex(4)
    if not RUN_PATTERN.fullmatch(run_id):
        raise click.UsageError(f"--run {run_id!r}: 1 to 16 of A-Z a-z 0-9 _ -")
    if processes > connections:
        raise click.UsageError(f"--processes {processes} needs as many --connections, not {connections}")
    if report is not None and not report.absolute().parent.is_dir():
        raise click.UsageError(f"--report {report}: there is no folder {report.absolute().parent}")
    try:
        tls = None if udp or plain else client_tls(str(ca) if ca else None, insecure)
        if tls is not None and cert is not None and key is not None:
            show_certificate(tls, cert, key)
        plan = Plan(
            Target(address, udp_port if udp else tcp_port, udp, tls),
            format_name,
            run_id,
            connections=connections,
            processes=processes,
            interval_s=None if interval is None else interval / 1000,
            token=None if udp else _token(token_file),
            **load,
        )
        if registry is not None:
            _check_schemas(registry, plan)
        with acked.prepared(plan, client, spool, report) if ack else nullcontext(plan) as plan:
            with ProgressLine() as line:
                result = fleet.run(plan, line)
            if report is not None:
                result.write(report)
    except (SetupError, ReportError) as error:
        _fail(str(error))
    _tell(result, as_json)
    if result.failed or result.uncertain == result.sent > 0:
        raise SystemExit(1)


def _check_transport(udp: bool, plain: bool, ca: Path | None, insecure: bool) -> None:
    tls = [name for name, given in (("--ca", ca), ("--insecure", insecure)) if given]
    clear = [name for name, given in (("--udp", udp), ("--plain", plain)) if given]
    if len(clear) == 2:
        raise click.UsageError("--udp and --plain exclude each other: --plain is TCP without TLS")
    if tls and clear:
        raise click.UsageError(f"{tls[0]} is about TLS, and {clear[0]} uses none: leave one of them out")
    if len(tls) == 2:
        raise click.UsageError("--ca and --insecure exclude each other: check the certificate or do not")


def _check_ack(ack: bool, udp: bool, client: str | None, spool: Path | None) -> None:
    if ack and udp:
        raise click.UsageError("--ack needs a connection, and datagrams have none: leave out --udp")
    alone = [name for name, given in (("--client", client), ("--spool", spool)) if given is not None]
    if alone and not ack:
        raise click.UsageError(f"{alone[0]} is about acknowledgements: add --ack")


def _check_schema(schema: str | None, udp: bool) -> None:
    """Whether a header line can carry it: one word of printable ASCII."""
    if schema is None:
        return
    if udp:
        raise click.UsageError("--schema stands in the header line, and datagrams have none: leave out --udp")
    if not _WORD.fullmatch(schema):
        raise click.UsageError(
            f"--schema {schema!r}: 1 to {_WORD_LIMIT} printable ASCII characters, no space"
        )


def _token(file: Path | None) -> str | None:
    """The token to show, from where no list of processes shows it: a file, else the environment."""
    if file is None:
        token = os.environ.get("LOADGEN_TOKEN")
    else:
        try:
            token = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SetupError(f"--token-file {file}: cannot be read: {error}") from error
    if token is not None and not _WORD.fullmatch(token):
        raise SetupError(f"the token is not 1 to {_WORD_LIMIT} printable ASCII characters without a space")
    return token


def _connections(udp: bool, format_name: str, asked: int | None) -> int:
    """How many connections there will be, if they can carry the format."""
    if udp and format_name not in DATAGRAM_FORMATS:
        raise click.UsageError(
            f"--udp carries {', '.join(DATAGRAM_FORMATS)}; {format_name} needs a stream: leave out --udp"
        )
    if format_name != MIXED:
        return asked or DEFAULT_CONNECTIONS
    if asked is not None and asked < len(LAYOUTS):
        raise click.UsageError(
            f"--format {MIXED} needs a connection for each of its {len(LAYOUTS)} formats: "
            f"--connections {len(LAYOUTS)} or more, not {asked}"
        )
    return asked or len(LAYOUTS)


def _check_schemas(registry: str, plan: Plan) -> None:
    from tools.loadgen import schemas  # its libraries take longer to load than all the rest

    for done in schemas.check(registry, plan.formats, plan.run, plan.seed):
        click.echo(f"loadgen: {done}", err=True)


def _tell(report: Report, as_json: bool) -> None:
    for what, times in report.notes.items():
        click.echo(f"loadgen: {what}" + (f" ({times:,} times)" if times > 1 else ""), err=True)
    if report.behind:
        click.echo(
            f"loadgen: could not keep up: {report.behind:,} records were due and not sent, "
            f"and bursts were up to {report.late_s:.2f} s late",
            err=True,
        )
    if report.transport == "tcp" and report.uncertain == report.sent > 0:
        click.echo("loadgen: nothing was confirmed: if that port speaks TLS, leave out --plain", err=True)
    if as_json:
        click.echo(json.dumps(report.summary()))
        return
    click.echo(
        f"run {report.run}: sent {report.sent:,} {report.format} records ({report.bytes / 1e6:,.1f} MB, "
        f"{report.transport}) in {report.seconds:.2f} s: {report.rate:,.0f} records/s; "
        + (f"acknowledged {report.sent - report.uncertain:,}, " if report.acked else "")
        + f"failed {report.failed:,}, uncertain {report.uncertain:,}; "
        f"{report.cpu_us_per_record:.3f} us of CPU per record"
    )
    if len(report.formats) > 1:
        click.echo("  " + ", ".join(f"{name} {sent:,}" for name, sent in report.formats.items()))


@main.command("verify")
@click.argument("data_dir", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--report", "reports", type=_FILE, multiple=True, help="A report of loadgen; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--processes", type=_AT_LEAST_ONE, help="Files read at a time.  [default: one per core]")
def verify_command(data_dir: Path, reports: tuple[Path, ...], as_json: bool, processes: int | None) -> None:
    """Read the segments of DATA_DIR and say whether each record of each report is there exactly once.

    Exit code 0 if so, else 1. Without --report, list the runs that are there, and their duplicates.
    """
    try:
        known = [Report.read(path) for path in reports]
        stored = verify.read_folder(data_dir, processes)
        verdicts = verify.judge(stored, known)
    except (ReportError, verify.VerifyError) as error:
        _fail(str(error))
    runs = [] if reports else verify.list_runs(stored)
    exact = all(verdict.exact for verdict in verdicts) and not stored.damaged
    exact = exact and not any(run.duplicated for run in runs)
    if as_json:
        found = [asdict(item) for item in verdicts or runs]
        sums = verify.totals(verdicts) if reports else {}
        click.echo(json.dumps({**sums, "exact": exact, "runs": found, **verify.files_summary(stored)}))
    else:
        _tell_files(stored)
        for verdict in verdicts:
            _tell_verdict(verdict)
        for run in runs:
            click.echo(
                f"run {run.run} ({run.format}): records {run.records:,}, duplicated {run.duplicated:,}"
            )
    if not exact:
        raise SystemExit(1)


def _tell_files(stored: verify.Stored) -> None:
    click.echo(
        f"{stored.files:,} files, {stored.records:,} records, {stored.others:,} of them not of loadgen"
    )
    for name, size in stored.torn.items():
        click.echo(f"{name}: the last frame is cut ({size:,} bytes): being written, or its writer was killed")
    for name, why in stored.damaged.items():
        click.echo(f"{name}: {why}")


def _tell_verdict(verdict: verify.Verdict) -> None:
    allowed = f", uncertain {verdict.uncertain_found:,} of {verdict.uncertain:,}" if verdict.uncertain else ""
    click.echo(
        f"run {verdict.run} ({verdict.format}, {verdict.transport}): expected {verdict.expected:,}, "
        f"found {verdict.found:,}, missing {verdict.missing:,}, duplicated {verdict.duplicated:,}, "
        f"unexpected {verdict.unexpected:,}{allowed}: {'exact' if verdict.exact else 'NOT EXACT'}"
    )
    for first, last in verdict.missing_ranges:
        click.echo(f"  missing {first} to {last}")
    if verdict.missing and verdict.transport == "udp":
        click.echo("  UDP promises nothing: compare with the kernel drops the daemon counted")


def _fail(message: str) -> NoReturn:
    click.echo(f"loadgen: {message}", err=True)
    raise SystemExit(1)
