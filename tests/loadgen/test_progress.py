"""The live line: only on a terminal."""

import io

from rich.console import Console

from tools.loadgen.progress import ProgressLine


def test_a_terminal_sees_totals_and_rate() -> None:
    screen = io.StringIO()
    with ProgressLine(Console(file=screen, force_terminal=True, width=100)) as line:
        line(1_000_000, 170_000_000, 2.0)
    assert "1,000,000 records" in screen.getvalue()
    assert "500,000 records/s" in screen.getvalue()


def test_elsewhere_nothing_is_printed() -> None:
    screen = io.StringIO()
    with ProgressLine(Console(file=screen, width=100)) as line:
        line(1_000_000, 170_000_000, 2.0)
    assert screen.getvalue() == ""
