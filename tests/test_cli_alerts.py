"""`ingestd alerts test`; `list` and `silence` are tried against a daemon in tests/e2e/test_alerts.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ingestd.cli import main

RULE = '[[alert]]\nname = "errors"\nkind = "match"\nlevel = "ERROR"\npattern = "boom"\n'
LINES = (
    b'{"level":"ERROR","service":"a","message":"boom \\u001b[2J","timestamp":"2026-11-20T12:00:00Z"}\nhello\n'
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "ingestd.toml"
    path.write_text(RULE, encoding="utf-8")
    return path


def asked(config: Path, *arguments: str, given: bytes = LINES) -> Result:
    return CliRunner().invoke(main, ["alerts", "test", "-c", str(config), *arguments], input=given)


def test_it_says_what_would_fire(config: Path) -> None:
    answer = asked(config, "errors", "--each")
    assert answer.exit_code == 0
    assert answer.output.splitlines() == [
        "line 1: fits",
        'line 2: level INFO is below ERROR; message is "hello"',
        "2 records, 1 of which fit errors",
        "  1 fail by their level",
        "  1 fail by their pattern",
        "2026-11-20T12:00:00Z  fires: 1 record of a matched",
        "at the end fires: 1 record of a matched",
    ]


def test_that_nothing_would_is_told_by_the_exit_code_too(config: Path) -> None:
    answer = asked(config, "errors", given=b"hello\n")
    assert (answer.exit_code, answer.output.splitlines()[-1]) == (1, "it would not fire")


def test_what_records_say_does_not_act_on_the_terminal(config: Path) -> None:
    config.write_text(RULE + 'summary = "{sample}"\n', encoding="utf-8")
    answer = asked(config, "errors", "--each")
    assert "boom" in answer.output
    assert "\x1b" not in answer.output


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("error", "there is no rule 'error'; there are errors, not-ready, "),
        ("disk-nearly-full", "disk-nearly-full is about disk_used, of which records say nothing"),
        ("node-failed", "node-failed is about nodes, of which records say nothing"),
    ],
)
def test_rules_that_cannot_be_tried(config: Path, name: str, said: str) -> None:
    answer = asked(config, name)
    assert answer.exit_code == 2
    assert said in answer.output


def test_a_pattern_that_is_refused(config: Path) -> None:
    config.write_text(RULE.replace("boom", r"(a)\\1"), encoding="utf-8")
    answer = asked(config, "errors")
    assert answer.exit_code == 78
    assert 'alert "errors": pattern = ' in answer.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rule=x"], "--for TIME"),
        (["--for", "2h"], "at least one LABEL=VALUE"),
        (["rule", "--for", "2h"], "write it as LABEL=VALUE"),
        (["rule=x", "--for", "2"], "write 30m, 2h or 1d"),
        (["rule=x", "--end", "1"], "--end takes neither"),
    ],
)
def test_silences_that_are_not_asked_for_as_they_must_be(
    config: Path, arguments: list[str], said: str
) -> None:
    answer = CliRunner().invoke(main, ["alerts", "silence", "-c", str(config), *arguments])
    assert answer.exit_code == 2
    assert said in answer.output
