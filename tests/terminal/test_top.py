"""`ingestd top` on a terminal: numbers move, windows change, daemons die and come back, and it leaves no trace."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ingestd.cli import main
from tests.daemon import PATIENCE_S, Daemon, wait_for
from tests.terminal.emulator import Terminal

ENTER_SCREEN, LEAVE_SCREEN = b"\x1b[?1049h", b"\x1b[?1049l"
HIDE_CURSOR, SHOW_CURSOR = b"\x1b[?25l", b"\x1b[?25h"


def left_as_it_was(output: bytes) -> bool:
    """Whether the last word is that the screen is the shell's again, and its cursor to be seen."""
    return output.rindex(LEAVE_SCREEN) > output.rindex(ENTER_SCREEN) and output.rindex(
        SHOW_CURSOR
    ) > output.rindex(HIDE_CURSOR)


def command(folder: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "ingestd", "top", f"--set=server.state_dir={folder / 'state'}", *options]


def logs(count: int, service: str = "api") -> bytes:
    return b"".join(
        json.dumps({"level": "ERROR", "service": service, "message": str(number)}).encode() + b"\n"
        for number in range(count)
    )


@pytest.mark.slow
def test_over_a_death_of_the_daemon(tmp_path: Path) -> None:
    exported = {"COLUMNS": "80", "LINES": "24"}  # by a shell, of another window
    with Daemon(tmp_path) as daemon, Terminal(command(tmp_path), 100, 40, **exported) as terminal:
        terminal.wait_for(", ready, up ")
        daemon.send(logs(500, "shop\x1b[31m"))
        terminal.wait_for(r"shop\x1b[31m")  # the name of a service is text
        assert "Workers" in terminal.text()

        assert "in a larger window" not in terminal.text()
        terminal.resize(60, 20)
        terminal.wait_for("in a larger window")

        daemon.kill_tree()
        gone = terminal.wait_for("Not reachable since")
        assert "is gone" in " ".join(gone.split())

        daemon.start()  # on other ports
        wait_for(lambda: "Not reachable" not in terminal.text(), "the daemon to be found again")
        terminal.press(b"q")
        assert terminal.process.wait(PATIENCE_S) == 0
        assert terminal.modes() == terminal.modes_before
    assert left_as_it_was(terminal.output)


def test_waits_for_a_daemon_that_was_never_there(tmp_path: Path) -> None:
    with Terminal(command(tmp_path), 80, 24) as terminal:
        terminal.wait_for("not running: there is no")
        with Daemon(tmp_path, server__workers=1):
            terminal.wait_for(", ready, up ")
            terminal.press(b"q")
            assert terminal.process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize(
    ("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["interrupted", "terminated"]
)
def test_ended_by_a_signal_it_leaves_the_terminal_as_it_was(
    tmp_path: Path, how: signal.Signals, code: int
) -> None:
    with Terminal(command(tmp_path), 80, 24) as terminal:
        terminal.wait_for("Not reachable since")
        terminal.process.send_signal(how)
        assert terminal.process.wait(PATIENCE_S) == code
        assert terminal.modes() == terminal.modes_before
    assert left_as_it_was(terminal.output)
    assert b"Traceback" not in terminal.output


def test_ctrl_z_has_no_effect_and_ctrl_c_ends(tmp_path: Path) -> None:
    shell = ["bash", "-c", shlex.join(command(tmp_path)) + "; echo ended with $?"]
    with Terminal(shell, 80, 24) as terminal:  # a shell, so that the terminal is that of its session
        terminal.wait_for("Not reachable since")
        terminal.press(b"\x1a")
        terminal.press(b"x\x03")
        terminal.wait_for("ended with 130")


def test_once(tmp_path: Path) -> None:
    with Daemon(tmp_path, server__workers=1) as daemon:
        daemon.send(logs(3))
        daemon.wait_settled(3)
        shown = subprocess.run(
            command(tmp_path, "--once"), capture_output=True, text=True, check=True, timeout=PATIENCE_S
        )
        assert ", ready, up " in shown.stdout
        assert "\x1b" not in shown.stdout
        assert "q quits" not in shown.stdout
    gone = CliRunner().invoke(main, command(tmp_path, "--once")[3:])
    assert (gone.exit_code, gone.stdout) == (3, "")
    assert gone.stderr.startswith("ingestd: not running")


def test_without_a_terminal(tmp_path: Path) -> None:
    shown = CliRunner().invoke(main, command(tmp_path)[3:])
    assert shown.exit_code == 2
    assert "--once prints one frame" in shown.stderr
