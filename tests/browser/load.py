"""A daemon with something of everything to show: all formats, both transports, refused and hostile records."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.daemon import PATIENCE_S, Daemon, wait_for

RATE = 3000
FORMATS = ("avro", "journald", "json", "protobuf", "raw", "syslog")

#: What must never be more than text, each a record's message.
HOSTILE = {
    "markup": "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>",
    "controls": "bell \u0007 escape \u001b[31mred\u001b[0m c1 \u009b31m",
    "bidi": "user \u202etxt.exe\u202c \u2066isolate\u2069 zero\u200bwidth \ufeff",
    "tags": "tag \U000e0041 separator \u2028 end",
    "template": "{{constructor.constructor('alert(1)')()}} ${alert(1)} javascript:alert(1)",
}


#: One rule that records of the load never meet; a test sends what does.
RULES = """
[[alert]]
name = "payment-failed"
kind = "match"
level = "ERROR"
service = "payments"
pattern = "declined|refused"
severity = "critical"
summary = "payments: {count} declined"
resolve_after = "3s"

[alerts]
builtin = false
"""


@contextmanager
def under_load(folder: Path, **settings: object) -> Iterator[Daemon]:
    """A daemon in plain text that loadgen sends to all the while, and that has met every kind of trouble."""
    daemon = Daemon(folder, **{"enrich.environment": "test", "enrich.app_version": "1.2.3"} | settings)
    folder.mkdir(exist_ok=True)
    (folder / "ingestd.toml").write_text(RULES)
    with daemon:
        command = [sys.executable, "-m", "tools.loadgen", "--plain", "--format", "mixed"]
        command += ["--rate", str(RATE), "--seconds", "600", "--tcp-port", str(daemon.tcp[1])]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as sender:
            try:
                send_trouble(daemon)
                wait_for(lambda: set(daemon.stats()["samples"]) == set(FORMATS), "a record of each format")
                yield daemon
            finally:
                sender.terminate()
                sender.wait(PATIENCE_S)


def send_trouble(daemon: Daemon) -> None:
    """Records that are refused, some over UDP, and text that would like to be more than text."""
    lines = [
        b'{"level":"ERROR","service":"shop","message":',
        b'{"level":"LOUD","message":"x"}',
        b'["no object"]',
    ]
    daemon.send(b"INGEST/1 json\n" + b"\n".join(lines * 3) + b"\n")
    beat = {"kind": "heartbeat", "node": "web1", "service": "shop", "interval": 3600, "version": "1.2.3"}
    daemon.send(b"INGEST/1 json\n" + json.dumps(beat).encode() + b"\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for number in range(20):
            record = {"level": "WARN", "service": "sensor", "message": f"reading {number}"}
            sock.sendto(json.dumps(record).encode(), daemon.udp)


def hostile_record(kind: str) -> bytes:
    """A JSON line with the text of that kind in its message, its service, and a field's name and value."""
    text = HOSTILE[kind]
    record = {"level": "ERROR", "service": f"shop {text}", "message": text, f"field {text}": text}
    return json.dumps(record).encode()
