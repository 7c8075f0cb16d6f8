"""What /proc and the file system say, against what is known to be so."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ingestd.sidecar.procfs import usage
from ingestd.stats import PID
from tests.daemon import wait_for
from tests.sidecar.served import Workers

SPIN = "import time\nwhile time.process_time() < 0.2: pass\nprint(flush=True)\ninput()"


def test_a_child_has_used_cpu_and_memory() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SPIN], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        used = usage(child.pid, os.getpid())
        child.communicate(b"\n")
    assert used is not None
    assert 0.15 < used.cpu_s < 60
    assert 1_000_000 < used.resident_bytes < 1_000_000_000


def test_the_name_of_a_process_may_hold_spaces_and_brackets(tmp_path: Path) -> None:
    program = tmp_path / "a ) b (c"
    shutil.copy("/bin/sleep", program)
    with subprocess.Popen([program, "1000"]) as child:
        try:
            comm = Path(f"/proc/{child.pid}/comm")
            wait_for(lambda: comm.read_text() == f"{program.name}\n", "the program to run")
            assert usage(child.pid, os.getpid()) is not None
        finally:
            child.kill()


def test_a_zombie_does_not_run() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert usage(child.pid, os.getpid()) is None


def test_a_process_that_is_gone_or_a_strangers_is_no_worker(workers: Workers) -> None:
    pid = workers.board.slot(0)[PID]
    assert usage(pid, os.getpid()) is not None
    assert usage(pid, os.getppid()) is None, "the parent is another: the number was given away again"
    workers.end(0)
    assert usage(pid, os.getpid()) is None
    assert usage(0, os.getpid()) is None
