from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import msgspec
from rich.console import Console

from benchmarks import anatomy, chart, results, table
from benchmarks.goals import judge
from benchmarks.outcome import Outcome, Skipped
from tests.benchmarks.made import outcome


def test_the_text_has_every_figure_and_the_machine(tmp_path: Path) -> None:
    made = outcome(tmp_path)
    made.goals = judge(made)
    text = results.render(made)
    for words in (
        "1,200,000",
        "1.00",
        "rsyslog & friends",
        "quick run",
        made.machine.kernel,
        "| sum | 560 | 800 |",
    ):
        assert words in text
    assert "MISSED" not in text


def test_the_terminal_shows_what_the_text_has(tmp_path: Path) -> None:
    console = Console(width=120, record=True, quiet=True)
    made = outcome(tmp_path)
    made.skipped = [Skipped("rsyslog", "no network")]
    with console.capture() as captured:
        console.quiet = False
        table.show(made, console)
    assert "no network" in captured.get()


def test_the_chart_is_well_formed_and_the_longest_bar_fills_the_width(tmp_path: Path) -> None:
    svg = ElementTree.fromstring(chart.draw(outcome(tmp_path)))
    bars = [element for element in svg.iter() if element.get("class") == "seam"]
    assert len(bars) == len(anatomy.STAGES)
    width = sum(float(bar.get("width", "0")) for bar in bars)
    assert abs(width - 672) < 1


def test_a_run_of_nothing_still_makes_a_chart_and_a_text(tmp_path: Path) -> None:
    empty = Outcome(machine=outcome(tmp_path).machine, quick=False)
    ElementTree.fromstring(chart.draw(empty))
    assert "## Loads" not in results.render(empty)


def test_an_outcome_survives_json(tmp_path: Path) -> None:
    made = outcome(tmp_path)
    assert msgspec.json.decode(msgspec.json.encode(made), type=Outcome) == made


def test_a_busy_machine_is_told(tmp_path: Path) -> None:
    made = outcome(tmp_path)
    assert "TRIAL" not in results.render(made)
    made.peers = [msgspec.structs.replace(made.peers[0], others_cores=0.9)]
    assert "TRIAL: other programs used up to 0.9 cores" in results.render(made)
