"""The documentation keeps up: every configuration key, metric, command and option is in README.md or docs/.

And the other way round: a key or a metric that the documentation names exists.
"""

import re
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest

from ingestd.config import describe
from ingestd.config_decode import Key
from ingestd.sidecar.alert_families import ALERT_METRICS
from ingestd.sidecar.families import SIDECAR_METRICS
from ingestd.stats import METRICS

ROOT = Path(__file__).parent.parent
TEXT = "\n".join(
    path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")))
)
TABLE_ROWS = {match[1]: match[0] for match in re.finditer(r"^\| `([a-z_.]+)` \|.*$", TEXT, re.MULTILINE)}
"""The first cell of each table row that opens with a name, and the row."""

KEYS = {key.path: key for key in describe()}
METRIC_NAMES = sorted(metric.name for metric in (*METRICS, *SIDECAR_METRICS, *ALERT_METRICS))
PROGRAMS = ("ingestd", "loadgen")


def commands(program: str) -> Iterator[tuple[str, click.Command]]:
    """Each command of an installed program, by the words that call it."""
    (script,) = entry_points(group="console_scripts", name=program)
    root = script.load()
    assert isinstance(root, click.Command), f"{script.value} must be a click command"
    yield from _below(program, root)


def _below(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for below, inner in command.commands.items():
            yield from _below(f"{name} {below}", inner)


def mentions(word: str) -> bool:
    """Whether `word` stands in the documentation, not as a part of a longer one."""
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", TEXT) is not None


@pytest.mark.parametrize("key", KEYS.values(), ids=lambda key: key.path)
def test_every_key_is_documented_with_its_default_and_unit(key: Key) -> None:
    assert key.path in TABLE_ROWS, f"docs/operating.md has no row for the key {key.path}"
    row = TABLE_ROWS[key.path]
    assert f"`{key.default_text}`" in row, f"{key.path}: the documented default is not {key.default_text}"
    assert key.unit in row, f"{key.path}: the documented unit is not {key.unit}"


def test_every_documented_key_exists() -> None:
    sections = tuple({f"{path.split('.')[0]}." for path in KEYS})
    named = {name for name in re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)`", TEXT) if name.startswith(sections)}
    assert named - KEYS.keys() - {"listen.tcp", "listen.udp"} == set()


@pytest.mark.parametrize("name", METRIC_NAMES)
def test_every_metric_is_documented(name: str) -> None:
    assert mentions(name), f"the metric {name} is in none of README.md and docs/*.md"


def test_every_documented_metric_exists() -> None:
    named = set(re.findall(r"\bingestd_[a-z0-9_]*[a-z0-9]\b(?!_)", TEXT))
    plain = {re.sub(r"_(?:bucket|sum|count)$", "", name) for name in named}
    assert plain - set(METRIC_NAMES) == set()


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_command_is_documented(program: str) -> None:
    missing = [name for name, _ in commands(program) if not mentions(name)]
    assert missing == []


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_option_is_documented(program: str) -> None:
    missing = [
        f"{name} {max(option.opts, key=len)}"
        for name, command in commands(program)
        for option in command.params
        if isinstance(option, click.Option) and not any(mentions(word) for word in option.opts)
    ]
    assert missing == []
