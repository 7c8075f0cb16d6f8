"""`ingestd doctor`: what of this machine stands in the way of a configuration, for people or as JSON."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click

from ingestd.cli_options import config_option, set_option
from ingestd.config import default_path
from ingestd.doctor.finding import Finding

_COLOURS: Final = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@config_option
@set_option
@click.option("--json", "as_json", is_flag=True, help="Print the findings as one JSON object.")
def doctor(path: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Look at limits, ports, permissions, certificates, disk and clock, and say what to do.

    Changes nothing. Exit code 1 if something fails; warnings alone are 0. Run it as root to see all.
    """
    from ingestd.doctor.examine import examine

    findings = list(examine(path or default_path(), overrides))
    click.echo(_as_json(findings) if as_json else _as_text(findings))
    sys.exit(any(finding.verdict == "fail" for finding in findings))


def _as_json(findings: Sequence[Finding]) -> str:
    verdicts = {finding.verdict for finding in findings}
    worst = next(verdict for verdict in ("fail", "warn", "ok") if verdict in verdicts)
    return json.dumps({"verdict": worst, "findings": [asdict(finding) for finding in findings]}, indent=2)


def _as_text(findings: Sequence[Finding]) -> str:
    lines = []
    for finding in findings:
        mark = click.style(f"{finding.verdict:4}", fg=_COLOURS[finding.verdict], bold=finding.verdict != "ok")
        lines.append(f"{mark}  {finding.check}: {finding.says}")
        if finding.do:
            lines.append(f"      do: {finding.do}")
    counts = Counter(finding.verdict for finding in findings)
    lines.append(f"{len(findings)} checks: {counts['ok']} ok, {counts['warn']} warn, {counts['fail']} fail")
    return "\n".join(lines)
