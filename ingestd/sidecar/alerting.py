"""What alerts are fed with in the sidecar: a reading of the daemon each second, beside what workers observe."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from ingestd.alerts.alerts import Alerts
from ingestd.alerts.system import Counters, Reading
from ingestd.sidecar.disk import space
from ingestd.sidecar.health import faults, judge_workers
from ingestd.sidecar.law import DROPPED, RECEIVED, REJECTED, places_of
from ingestd.sidecar.moment import Moment, read
from ingestd.sidecar.view import View
from ingestd.stats import DRAINING, STATE, Board, index

_READ_S: Final = 1.0

_RECEIVED: Final = places_of(RECEIVED)
_REJECTED: Final = places_of(REJECTED)
_DROPPED: Final = places_of(DROPPED)
_RESTARTS: Final = places_of("ingestd_worker_restarts_total")
_KERNEL_DROPS: Final = places_of("ingestd_udp_kernel_drops_total")
_QUEUE: Final = index("ingestd_queue_bytes")


class Certificates:
    """When each certificate ends. A file is read again when it is another."""

    def __init__(self, paths: tuple[str, ...]) -> None:
        self._paths = paths
        self._known: dict[str, tuple[object, float]] = {}

    def ends(self) -> dict[str, float]:
        """UNIX seconds by path; one that cannot be read is left out: a reload will say why."""
        found = {}
        for path in self._paths:
            try:
                stat = Path(path).stat()
                seen = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
                if path not in self._known or self._known[path][0] != seen:
                    self._known[path] = (seen, _ends_s(Path(path)))
            except (OSError, ValueError):
                self._known.pop(path, None)
                continue
            found[path] = self._known[path][1]
        return found


def _ends_s(path: Path) -> float:
    from cryptography import x509  # only where there is a certificate

    return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc.timestamp()


def make_reading(moment: Moment, view: View, high_water_bytes: int, certificates: Certificates) -> Reading:
    """The daemon at one moment, as system rules see it. What drains is about to end and no fault."""
    draining = moment.supervisor[STATE] == DRAINING
    free, total = space(view.data_dir)
    queue_bytes = max((slot[_QUEUE] for slot in moment.workers), default=0)
    return Reading(
        counters=Counters(
            started_ns=view.started_ns,
            received=moment.sums.total(_RECEIVED),
            rejected=moment.sums.total(_REJECTED),
            dropped=moment.sums.total(_DROPPED),
            worker_restarts=moment.sums.total(_RESTARTS),
            udp_kernel_drops=moment.sums.total(_KERNEL_DROPS),
        ),
        queue_share=queue_bytes / high_water_bytes if high_water_bytes else 0.0,
        free_bytes=free,
        total_bytes=total,
        certificates=certificates.ends(),
        faults={} if draining else faults(moment, judge_workers(moment, view), view),
    )


async def live(alerts: Alerts, board: Board, view: View, retire: asyncio.Event) -> None:
    """Have alerts live until they are to be left to a successor; then wait to be cancelled."""
    certificates = Certificates(alerts.settings.certificates)
    alerts.start()
    while not retire.is_set():
        if (failure := alerts.failure()) is not None:
            raise failure
        alerts.read(make_reading(read(board), view, alerts.settings.high_water_bytes, certificates))
        try:
            async with asyncio.timeout(_READ_S):
                await retire.wait()
        except TimeoutError:
            continue
    await alerts.close()
    await asyncio.Event().wait()
