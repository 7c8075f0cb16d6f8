"""What the daemon knows of every record: the host, the deployment, the container, the sender.

The constant part is found once at start; the parts that differ by sender are rendered once per source address and
kept. Per block only `received_at` is new.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from datetime import UTC, tzinfo
from functools import lru_cache
from pathlib import Path
from typing import Final

import orjson

from formats.record import Enrichment

#: A container's id as it stands in the paths of the runtimes: 64 hex digits (OCI runtimes, Docker, containerd, CRI-O).
_CONTAINER_ID: Final = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")

#: Senders whose rendered enrichment is kept; beyond it the least recently seen is rendered again.
_SOURCES: Final = 4096


class Enricher:
    """Gives each source its `Enrichment`. `environment` and `app_version` are left out where they are empty.

    `zone` is taken for times of syslog messages that name none.
    """

    def __init__(
        self,
        environment: str,
        app_version: str,
        fields: Mapping[str, str],
        zone: tzinfo = UTC,
        stores_heartbeats: bool = False,
    ) -> None:
        self._zone = zone
        self._stores_heartbeats = stores_heartbeats
        known = {
            "hostname": socket.gethostname(),
            "environment": environment,
            "app_version": app_version,
            "container_id": container_id(),
            "pod_name": pod_name(),
        }
        constant = {name: value for name, value in {**known, **fields}.items() if value}
        self._constant = {name: _json(value) for name, value in constant.items()}
        self.source = lru_cache(_SOURCES)(self._source)

    def _source(self, source_ip: str) -> Enrichment:
        fields = {**self._constant, "source_ip": orjson.dumps(source_ip)}
        return Enrichment(fields, self._zone, self._stores_heartbeats)


def _json(value: str) -> bytes:
    """`value` as JSON; what was not UTF-8 in the environment (a lone surrogate here, PEP 383) is replaced."""
    return orjson.dumps(value.encode(errors="surrogateescape").decode(errors="replace"))


def container_id(
    environ: Mapping[str, str] = os.environ,
    cgroup: Path = Path("/proc/self/cgroup"),
    mountinfo: Path = Path("/proc/self/mountinfo"),
) -> str:
    """The id of the container this process runs in, "" outside of one.

    `CONTAINER_ID` if set; else the cgroup path (cgroup v1, and v2 without a namespace); else the mounts that
    container runtimes make for /etc/hostname (cgroup v2 in a private namespace shows only `/`).
    """
    if given := environ.get("CONTAINER_ID"):
        return given
    for path, marker in ((cgroup, ""), (mountinfo, "/etc/hostname")):
        try:
            lines = path.read_text(
                "utf-8", errors="replace"
            ).splitlines()  # a mount point may be named by any bytes
        except OSError:
            continue  # no procfs: not a Linux container that could be named
        for line in lines:
            if marker in line and (match := _CONTAINER_ID.search(line)):
                return match[0]
    return ""


def pod_name(environ: Mapping[str, str] = os.environ) -> str:
    """The Kubernetes pod, "" outside of one: `POD_NAME` (downward API), else the host name, which is the pod's."""
    if given := environ.get("POD_NAME"):
        return given
    return environ.get("HOSTNAME", "") if "KUBERNETES_SERVICE_HOST" in environ else ""
