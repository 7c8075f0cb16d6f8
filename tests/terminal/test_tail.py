"""`ingestd tail` as a user runs it, beside a daemon under load, through rotations and deaths."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ingestd import config
from ingestd.cli import main
from ingestd.terminal.lines import LEVEL_STYLES
from ingestd.visible import HIDDEN
from tests.daemon import PATIENCE_S, Daemon, wait_for
from tests.terminal.emulator import Terminal
from tests.terminal.segments import frame, record, write

TAIL = [sys.executable, "-m", "ingestd", "tail"]


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["tail", *map(str, arguments)], catch_exceptions=False)


class Tail:
    """A `tail -f --json` whose output goes to a file."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path, errors: Path) -> None:
        self.process = process
        self._output = output
        self.errors = errors

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._output.read_bytes().splitlines()]

    def sequences(self) -> list[tuple[str, int]]:
        return [(each["run"], each["seq"]) for each in self.records() if "run" in each]

    def wait_for(self, message: str) -> None:
        wait_for(lambda: any(each["message"] == message for each in self.records()), f"{message} in the tail")


@contextmanager
def tailing(folder: Path, data: Path, *options: str) -> Iterator[Tail]:
    """A tail that is followed until the end of the context and then interrupted."""
    output, errors = folder / "tail.out", folder / "tail.err"
    with output.open("wb") as out, errors.open("wb") as err:
        process = subprocess.Popen(
            [*TAIL, "-f", "--json", *options, str(data)], stdout=out, stderr=err, start_new_session=True
        )
    try:
        yield Tail(process, output, errors)
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(PATIENCE_S)
    assert code == 130, errors.read_text()


def load(daemon: Daemon, count: int, run: str) -> subprocess.Popen[bytes]:
    arguments = ["--plain", f"--tcp-port={daemon.tcp[1]}", f"--count={count}", "--rate=10000", f"--run={run}"]
    return subprocess.Popen(
        [sys.executable, "-m", "tools.loadgen", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def message(text: str) -> bytes:
    return json.dumps({"level": "INFO", "service": "test", "message": text}).encode() + b"\n"


@pytest.mark.slow
def test_follow_over_rotations_sees_each_record_once(tmp_path: Path) -> None:
    with (
        Daemon(tmp_path, segment__max_bytes="5KB") as daemon,
        tailing(tmp_path, daemon.data) as tail,
    ):
        daemon.send(message("first"))
        tail.wait_for("first")
        assert load(daemon, 20_000, "r1").wait(PATIENCE_S) == 0
        wait_for(lambda: len(tail.sequences()) >= 20_000, "20,000 records in the tail")
        daemon.send(message("last"))
        tail.wait_for("last")
        assert len(set(tail.sequences())) == len(tail.sequences()) == 20_000
        assert len(daemon.segments()) > 10
        assert tail.errors.read_text() == ""


@pytest.mark.slow
def test_follow_over_kills_and_restarts(tmp_path: Path) -> None:
    """What is on disk at the end is what was followed, whoever died meanwhile."""
    daemon = Daemon(tmp_path, segment__max_bytes="20KB", segment__flush_interval="50ms")
    with daemon:
        daemon.send(message("before"))
        daemon.wait_settled(1)
        with tailing(tmp_path, daemon.data) as tail:
            tail.wait_for("before")
            sender = load(daemon, 30_000, "r1")
            wait_for(lambda: tail.sequences(), "the first records in the tail")
            os.kill(daemon.stats()["workers"][0]["pid"], signal.SIGKILL)
            wait_for(lambda: daemon.stats()["worker_restarts"], "the death to be noticed")
            wait_for(
                lambda: {each["state"] for each in daemon.stats()["workers"]} == {"ready"}, "its successor"
            )
            daemon.kill_tree()
            sender.wait(PATIENCE_S)
            daemon.start()
            sender = load(daemon, 1_000, "r2")
            assert sender.wait(PATIENCE_S) == 0
            daemon.send(message("after"))
            tail.wait_for("after")
            wait_for(lambda: sum(run == "r2" for run, _ in tail.sequences()) == 1_000, "r2 in the tail")
            stored = [(each["run"], each["seq"]) for each in daemon.records() if "run" in each]
            wait_for(lambda: len(tail.sequences()) >= len(stored), "all that is stored in the tail")
            assert sorted(tail.sequences()) == sorted(stored)
            assert tail.errors.read_text() == ""


def test_a_daemon_of_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    write(tmp_path / "data", frame([record(number) for number in range(20)]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(config, "DEFAULT_PATHS", ())
    shown = invoke()
    assert shown.exit_code == 0
    assert [line.split()[-1] for line in shown.stdout.splitlines()] == [
        str(number) for number in range(10, 20)
    ]
    (tmp_path / "x.toml").write_text('[server]\ndata_dir = "elsewhere"\n')
    missing = invoke("-c", "x.toml")
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert missing.stderr.startswith("ingestd: elsewhere: No such file or directory; name the data_dir")


def test_selections(tmp_path: Path) -> None:
    records = [
        record(1, "DEBUG", "web-1"),
        record(2, "ERROR", "web-2", format="syslog"),
        record(3, "WARN", "db"),
        record(4, "FATAL", "db", message="message 4: disk full"),
    ]
    write(tmp_path, frame(records))
    for options, expected in (
        ("", "1 2 3 4"),
        ("-n 2", "3 4"),
        ("-n 0", ""),
        ("--level warn", "2 3 4"),
        ("--service web-*", "1 2"),
        ("--service db --service web-1", "1 3 4"),
        ("--format syslog", "2"),
        ("--grep d.sk|[23]$", "2 3 4"),
        ("--since 2026-11-21T00:00:03Z", "3 4"),
        ("--since 2026-11-21T01:00:03+01:00 -n 1", "4"),
        ("--since 99999999h --level error --service db", "4"),
        ("--since 0001-01-01T00:00:00+23:00 --service db", "3 4"),
        ("--since 2026-11-21T00:00:03 --service db", "3 4"),
    ):
        shown = invoke(tmp_path, "--json", *options.split())
        numbers = [json.loads(line)["message"].split()[1].strip(":") for line in shown.stdout.splitlines()]
        assert (shown.exit_code, " ".join(numbers)) == (0, expected), options


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--grep", "("], "Invalid value for --grep: '('"),
        (["--since", "soon"], "write how long ago, such as 10m"),
        (["--level", "LOUD"], "'trace', 'debug'"),
        (["--format", "auto"], "'protobuf'"),
        (["-n", "-1"], "0<=x<=10000000"),
    ],
)
def test_options_of_no_use(tmp_path: Path, options: list[str], said: str) -> None:
    shown = invoke(tmp_path, *options)
    assert shown.exit_code == 2
    assert said in " ".join(shown.stderr.split())


def test_damage_is_told_on_stderr(tmp_path: Path) -> None:
    write(tmp_path, b"rubbish" + frame([record(1)]))
    shown = invoke(tmp_path)
    assert shown.exit_code == 0
    assert shown.stdout.count("\n") == 1
    assert re.fullmatch(
        r"ingestd: .*\.jsonl\.zst: skipped 7 bytes at byte 0: no frame begins here\n", shown.stderr
    )


def on_a_terminal(data: Path, *options: str, **environment: str) -> bytes:
    """What a terminal gets."""
    with Terminal([*TAIL, *options, str(data)], 80, 24, **environment) as terminal:
        assert terminal.process.wait(PATIENCE_S) == 0
    return terminal.output


HOSTILE = "<script>alert(1)</script>\x1b]0;owned\x07\x1b[2J\r\nforged\u202e\u2066\x9b31m\x7f\ufeff\U000e0041"


def test_hostile_records_reach_a_terminal_as_text(tmp_path: Path) -> None:
    """As they were sent over the wire, in every part of a record, and in formats that take text as it is."""
    with Daemon(tmp_path, server__workers=1) as daemon:
        record = {"service": f"s{HOSTILE}", "message": f"m{HOSTILE}", f"k{HOSTILE}": [f"v{HOSTILE}"]}
        daemon.send(json.dumps(record).encode() + b"\n")
        daemon.send(json.dumps(record, ensure_ascii=False).encode() + b"\n")
        daemon.send(b"INGEST/1 raw\n" + HOSTILE.replace("\n", " ").encode() + b"\n")
        daemon.send(b"<11>1 2026-11-21T00:00:00Z h a - - - " + HOSTILE.replace("\n", " ").encode() + b"\n")
        assert daemon.wait_settled(4)["written"] == 4
        for options in ([], ["--json"], ["--color=never"]):
            shown = on_a_terminal(daemon.data, *options).decode()
            assert shown.count("\n") == 4
            assert "<script>alert(1)</script>" in shown
            ours = re.sub(r"\x1b\[[0-9;]*m|\r\n", "", shown)  # colours, and the ends of lines
            assert not HIDDEN.search(ours)
        coloured = on_a_terminal(daemon.data).decode()
        styles = set(re.findall(r"\x1b\[([0-9;]*)m", coloured))
        assert styles <= {"", "0", "1", "2", "7", "27", *LEVEL_STYLES.values()}
        said = invoke(daemon.data, "--json").stdout.splitlines()
        assert [json.loads(line) for line in said] == daemon.records()


def test_colours_only_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    write(tmp_path, frame([record(1, "ERROR", message="a\x1b[2J")]))
    assert b"\x1b[31mERROR\x1b[0m" in on_a_terminal(tmp_path)
    assert b"\x1b[2J" not in on_a_terminal(tmp_path)
    for plain in (
        on_a_terminal(tmp_path, NO_COLOR="1"),
        on_a_terminal(tmp_path, TERM="dumb"),
        on_a_terminal(tmp_path, "--color=never"),
        on_a_terminal(tmp_path, "--json"),
        invoke(tmp_path).stdout_bytes,
    ):
        assert b"\x1b" not in plain
    assert b"\x1b[31mERROR" in invoke(tmp_path, "--color=always").stdout_bytes


def test_an_output_that_lacks_characters(tmp_path: Path) -> None:
    write(tmp_path, frame([record(1, message="größe ✓")]))
    shown = subprocess.run(
        [*TAIL, str(tmp_path)],
        capture_output=True,
        check=True,
        timeout=PATIENCE_S,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert shown.stdout.endswith(rb"gr\xf6\xdfe \u2713" + b"\n")


def test_an_output_that_is_full(tmp_path: Path) -> None:
    write(tmp_path, frame([record(1)]))
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*TAIL, str(tmp_path)], stdout=full, stderr=subprocess.PIPE, check=False, timeout=PATIENCE_S
        )
    assert (done.returncode, done.stderr) == (
        1,
        b"ingestd: cannot write the output: No space left on device\n",
    )


def test_a_closed_pipe_ends_it_quietly(tmp_path: Path) -> None:
    write(tmp_path, frame([record(number) for number in range(5_000)]))
    for options in (["-n", "5000"], ["-f", "-n", "1"]):  # while it writes; while it waits
        with subprocess.Popen(
            [*TAIL, *options, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline().startswith(b"2026-11-21T")
            process.stdout.close()
            assert process.stderr.read() == b""
            assert process.wait(PATIENCE_S) in (0, 1)
