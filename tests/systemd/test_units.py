"""The units as they are installed: what systemd-analyze says, and that the sandbox holds what it promises."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

from tests.systemd.box import Box
from tests.systemd.service import Service

#: `systemd-analyze security`: 0 is a service that may do nothing, 10 one that may do all.
MAX_EXPOSURE: Final = 1.5

PROBE: Final = Path(__file__).with_name("probe.py").read_text()


def test_the_units_are_as_systemd_wants_them(installed: Box) -> None:
    said = installed.run("systemd-analyze", "verify", "ingestd.service", "ingestd.socket")
    assert said.strip() == ""


def test_the_exposure_is_as_low_as_promised(installed: Box) -> None:
    said = installed.run("systemd-analyze", "security", "ingestd.service")
    exposure = re.search(r"Overall exposure level for ingestd.service: ([0-9.]+)", said)
    assert exposure is not None
    assert float(exposure[1]) <= MAX_EXPOSURE


def probed(service: Service, hardened: bool) -> dict[str, Any]:
    """What a program finds it may do in the place of the daemon; not `hardened`, without the unit's last paragraph."""
    box = service.box
    unit = box.run("cat", "/usr/local/lib/systemd/system/ingestd.service")
    if not hardened:
        unit = unit[: unit.index("# Hardening")]
        unit = re.sub(r"^(User|Group)=.*\n", "", unit, flags=re.MULTILINE)
    unit = re.sub(r"^(ExecStart|ExecReload|Restart|WatchdogSec)=.*\n", "", unit, flags=re.MULTILINE)
    python = "/usr/local/lib/ingestd/bin/python"
    unit = unit.replace("Type=notify\n", f"Type=oneshot\nExecStart={python} /usr/local/lib/probe.py\n")
    box.put("/usr/local/lib/probe.py", PROBE)
    box.put("/etc/systemd/system/probe.service", unit)
    box.put("/tmp/of-another", "")
    box.run("systemctl", "daemon-reload")
    box.run("systemctl", "start", "probe.service")
    said = box.run("journalctl", "--unit=probe.service", "--output=cat", "--no-pager")
    found: dict[str, Any] = json.loads([line for line in said.splitlines() if line.startswith("{")][-1])
    box.run("rm", "/etc/systemd/system/probe.service", "/usr/local/lib/probe.py")
    return found


def test_the_sandbox_forbids_what_a_control_may_do(service: Service) -> None:
    free, held = probed(service, hardened=False), probed(service, hardened=True)
    allowed = {name for name, may in held.items() if may}
    assert allowed == {
        "write its logs",
        "write its state",
        "make shared memory",
        "listen on TCP",
        "run a program",
    }
    control = {name for name, may in free.items() if may}
    # What the box itself forbids shows nothing; most must be told apart.
    assert len(control - allowed) >= 18, control
    assert {"see others' temporary files", "map memory to write and execute", "see /root"} <= control
