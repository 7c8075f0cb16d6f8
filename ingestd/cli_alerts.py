"""`ingestd alerts`: what fires in the running daemon, silences, and what a rule would make of records."""

from __future__ import annotations

import getpass
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import quote

import click

from ingestd.ask import Daemon
from ingestd.cli_options import asking, config_option, set_option
from ingestd.config import default_path, load
from ingestd.config_patterns import check_patterns
from ingestd.units import parse_duration
from ingestd.visible import json_line, visible

#: Something fires, or with `test`: nothing would.
NOT_WELL: Final = 1

#: Events that `test` shows; of more, the number.
_MOST_EVENTS: Final = 50


@click.group()
def alerts() -> None:
    """See alerts, silence them, and try rules out."""


@alerts.command("list")
@asking
@click.option("--all", "every", is_flag=True, help="Each rule too, and alerts that are over.")
@click.option("--json", "as_json", is_flag=True, help="Print all that the daemon says, as one JSON object.")
def list_(daemon: Daemon, every: bool, as_json: bool) -> None:
    """Say what fires in the running daemon. Exit code 1 where something does that is not silenced."""
    answer = daemon.ask("/api/alerts")
    answer["silences"] = daemon.ask("/api/silences")["silences"]
    if as_json:
        click.echo(json_line(json.dumps(answer, ensure_ascii=False)))
    else:
        click.echo("\n".join(_listed(answer, every=every)))
    fires = any(one["state"] == "firing" and not one["silenced_by"] for one in answer["alerts"])
    sys.exit(NOT_WELL if fires else 0)


def _listed(answer: dict[str, Any], *, every: bool) -> Iterable[str]:
    if not answer["alerts"]:
        yield f"nothing fires, of {len(answer['rules'])} rules"
    for one in answer["alerts"]:
        state = "silenced" if one["silenced_by"] else one["state"]
        yield f"{state:8}  {one['severity']:8}  {_moment(one)}  {one['rule']}: {visible(one['summary'])}"
    if answer["truncated"]:
        yield f"and {answer['truncated']} more"
    for one in answer["silences"]:
        if one["active"]:
            matchers = " ".join(f"{name}={visible(value)}" for name, value in one["matchers"].items())
            words = f"by {visible(one['author'])} {visible(one['comment'])}".strip()
            yield f"silence   {one['id']}  until {one['until'][:19]}Z  {matchers}  {words}"
    for one in answer["notifiers"]:
        if one["last_error"] or every:
            yield (
                f"notifier  {one['name']}: {one['delivered']} delivered, {one['waiting']} waiting"
                + (f"; {visible(one['last_error'])}" if one["last_error"] else "")
            )
    if every:
        for one in answer["rules"]:
            yield f"rule      {one['name']}: {one['kind']}, {one['severity']}, {one['state']}" + (
                ", built in" if one["builtin"] else ""
            )
        for one in answer["history"]:
            yield f"over      {one['resolved_at'][:19]}Z  {one['rule']}: {visible(one['summary'])}"


def _moment(alert: dict[str, Any]) -> str:
    return f"{(alert['fired_at'] or alert['since'])[:19]}Z"


@alerts.command()
@asking
@click.argument("matchers", nargs=-1, metavar="LABEL=VALUE …")
@click.option("--for", "duration", metavar="TIME", help="How long, such as 2h.")
@click.option("--author", help="Who silences. [default: the user]")
@click.option("--comment", default="", help="Why.")
@click.option("--end", "id_", metavar="ID", help="End this silence instead.")
def silence(
    daemon: Daemon,
    matchers: tuple[str, ...],
    duration: str | None,
    author: str | None,
    comment: str,
    id_: str | None,
) -> None:
    """Hold back the notices of alerts whose labels have these values, in which * stands for any text."""
    if id_ is not None:
        if matchers or duration:
            raise click.UsageError("--end takes neither labels nor --for")
        ended = daemon.ask(f"/api/silences/{quote(id_, safe='')}", method="DELETE")
        click.echo(f"silence {ended['id']} has ended")
        return
    if not matchers or not duration:
        raise click.UsageError("give at least one LABEL=VALUE, and --for TIME")
    try:
        parse_duration(duration)
    except ValueError as error:
        raise click.BadParameter(f"{error}; write 30m, 2h or 1d", param_hint="--for") from error
    made = daemon.ask(
        "/api/silences",
        method="POST",
        body={
            "matchers": dict(map(_matcher, matchers)),
            "duration": duration,
            "author": author or getpass.getuser(),
            "comment": comment,
        },
    )
    click.echo(f"silence {made['id']} holds until {made['until'][:19]}Z; end it with --end {made['id']}")


def _matcher(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.BadParameter(
            f"{text!r}: write it as LABEL=VALUE, such as rule=disk-*", param_hint="LABEL=VALUE"
        )
    return name, value


@alerts.command()
@config_option
@set_option
@click.argument("name", metavar="RULE")
@click.argument("records", metavar="[FILE]", type=click.File("rb"), default="-")
@click.option("--each", is_flag=True, help="Say of each record what did not hold.")
def test(path: Path | None, overrides: tuple[str, ...], name: str, records: BinaryIO, each: bool) -> None:
    """Say what RULE of the configuration would make of records, one a line. Exit code 1 where it would not fire.

    The records are those of any sender, or as they are stored; time is that of their timestamps.
    """
    from ingestd.alerts.explain import Explanation  # takes the engine that matches patterns
    from ingestd.alerts.rules import in_force

    config = load(path or default_path(), overrides)
    check_patterns(config)
    rules = {rule.name: rule for rule in in_force(config.alert, builtin=True, node_failed=True)}
    if name not in rules:
        raise click.BadParameter(
            f"there is no rule {name!r}; there are {', '.join(rules)}", param_hint="RULE"
        )
    try:
        explanation = Explanation(rules[name], config.enrich.default_service, time.time())
    except ValueError as error:
        raise click.BadParameter(f"{name} {error}", param_hint="RULE") from error
    for line in records:
        for verdict in explanation.feed(line):
            if each:
                why = "; ".join(map(visible, verdict.failed.values()))
                click.echo(f"line {verdict.number}: {why or 'fits'}")
    found = explanation.outcome()
    click.echo(f"{found.records} records, {found.fitting} of which fit {name}")
    for part, count in found.failed.most_common():
        click.echo(f"  {count} fail by their {part}")
    if found.rejected:
        click.echo(f"  {found.rejected} lines are no records")
    for event in found.events[:_MOST_EVENTS]:
        what = "is over" if event.resolved_at else "fires"
        moment = event.resolved_at or event.fired_at or event.since
        click.echo(f"{moment[:19]}Z  {what}: {visible(event.summary)}")
    if len(found.events) > _MOST_EVENTS:
        click.echo(f"and {len(found.events) - _MOST_EVENTS} more")
    if not found.events:
        click.echo("it would not fire")
        sys.exit(NOT_WELL)
    for still in explanation.still_firing()[:_MOST_EVENTS]:
        click.echo(f"at the end fires: {visible(still.summary)}")
