"""Machines to look at: folders that stand for /proc."""

from __future__ import annotations

import json
from pathlib import Path

from ingestd.doctor.finding import Machine

NET_ADMIN = 1 << 12


def machine(folder: Path, files: dict[str, str] | None = None) -> Machine:
    """One whose /proc has these files."""
    proc = folder / "proc"
    proc.mkdir(exist_ok=True)
    for name, text in (files or {}).items():
        path = proc / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Machine(proc, hostname="logs")


def daemon(folder: Path, *, uid: int = 996, capabilities: int = 0, open_files: int = 65536) -> Machine:
    """One on which a daemon runs, pid 77, whose state folder is `folder / "state"`."""
    state = folder / "state"
    state.mkdir(exist_ok=True)
    listen = {"tcp": "127.0.0.1:3001", "udp": "127.0.0.1:3002", "http": "127.0.0.1:8080"}
    (state / "ingestd.json").write_text(json.dumps({"pid": 77, **listen}))
    limits = "Limit                     Soft Limit           Hard Limit           Units     \n"
    limits += f"Max open files            1024                 {open_files:<20} files     \n"
    return machine(
        folder,
        {
            "77/cmdline": "/usr/local/lib/ingestd/bin/python\0/usr/local/lib/ingestd/bin/ingestd\0run\0",
            "77/status": f"Name:\tingestd\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nCapEff:\t{capabilities:016x}\n",
            "77/limits": limits,
        },
    )
