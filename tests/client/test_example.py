"""The example of docs/client.md does what it says, against a daemon as `make run` starts it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.daemon import PATIENCE_S, Daemon

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "client.md"


def test_the_example(tmp_path: Path, certs: Path) -> None:
    found = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    with Daemon(tmp_path / "daemon", certs) as daemon:
        program = found[1].replace("127.0.0.1:3001", f"127.0.0.1:{daemon.tcp[1]}")
        assert program != found[1]
        program = program.replace("certs/ca.crt", str(certs / "ca.crt"))
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S
        )
        assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr
        assert sorted(record["message"] for record in daemon.records()) == ["hi", "one", "two"]
