"""The notification protocol of systemd (sd_notify(3)): datagrams to the socket that NOTIFY_SOCKET names."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import MutableMapping
from typing import Final

VARIABLES: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")

log = logging.getLogger("ingestd")


class Notifier:
    """Tells the service manager how the daemon does; says nothing where there is none.

    The variables are taken out of the environment, so that children do not speak for the daemon.
    """

    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        #: What was taken out, for a program that goes on in the place of this one.
        self.variables = {name: environ.pop(name) for name in VARIABLES if name in environ}
        address = self.variables.get("NOTIFY_SOCKET", "")
        watchdog_us = self.variables.get("WATCHDOG_USEC", "")
        watchdog_pid = self.variables.get("WATCHDOG_PID", str(os.getpid()))
        self._socket: socket.socket | None = None
        #: How often `WATCHDOG=1` is wanted: half the time after which systemd would act; 0 where it does not watch.
        self.watchdog_s = 0.0
        if address:
            self._address = "\0" + address[1:] if address.startswith("@") else address
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)
            if watchdog_us.isdecimal() and watchdog_pid == str(os.getpid()):
                self.watchdog_s = int(watchdog_us) / 2e6

    @property
    def heard(self) -> bool:
        """Whether there is anybody to tell."""
        return self._socket is not None

    def send(self, *assignments: str) -> None:
        """Send `READY=1`, `STATUS=…` and so on. A manager that does not listen is no reason to fail."""
        if self._socket is not None:
            try:
                self._socket.sendto("\n".join(assignments).encode(), self._address)
            except OSError as error:
                log.warning("cannot notify systemd: %s", error)

    def reloading(self) -> None:
        """Begin a reload (`Type=notify-reload`); `READY=1` ends it, whatever came of it."""
        self.send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", "STATUS=Reloading")

    def close(self) -> None:
        """Say nothing more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
