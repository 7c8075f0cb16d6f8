"""What alerts read of the daemon each second."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from ingestd.alerts.system import Reading
from ingestd.certs import make
from ingestd.sidecar.alerting import Certificates, make_reading
from ingestd.sidecar.moment import read
from ingestd.stats import DRAINING, STATE, index
from tests.sidecar.served import Workers, make_view, move_block

NONE = Certificates(())


def reading(workers: Workers, **view: object) -> Reading:
    return make_reading(read(workers.board), make_view(**view), 1000, NONE)


def test_counters_of_all_workers(workers: Workers) -> None:
    move_block(workers.board, 0, 10)
    move_block(workers.board, 1, 20, "raw", "udp")
    workers.board.supervisor.add(index("ingestd_worker_restarts_total"), 3)
    workers.board.supervisor.add(index("ingestd_udp_kernel_drops_total"), 7)
    counters = reading(workers, started_ns=5).counters
    assert (counters.started_ns, counters.received, counters.rejected, counters.dropped) == (5, 30, 2, 2)
    assert (counters.worker_restarts, counters.udp_kernel_drops) == (3, 7)


def test_the_fullest_queue(workers: Workers) -> None:
    workers.board.slot(0)[index("ingestd_queue_bytes")] = 100
    workers.board.slot(1)[index("ingestd_queue_bytes")] = 900
    assert reading(workers).queue_share == 0.9


def test_the_disk(workers: Workers) -> None:
    now = reading(workers)
    assert now.free_bytes is not None
    assert now.total_bytes is not None
    assert 0 < now.free_bytes <= now.total_bytes
    assert reading(workers, data_dir="/nowhere").free_bytes is None


def test_who_is_not_ready_unless_all_of_it_drains(workers: Workers) -> None:
    assert reading(workers).faults == {}
    workers.end(1)
    assert list(reading(workers).faults) == ["worker 1"]
    workers.board.supervisor[STATE] = DRAINING
    assert reading(workers).faults == {}


def test_certificates_are_read_again_when_they_are_others(tmp_path: Path) -> None:
    make(tmp_path)
    path = tmp_path / "server.crt"
    certificates = Certificates((str(path), "/nowhere.crt"))
    ends_s = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc.timestamp()
    assert certificates.ends() == {str(path): ends_s}
    path.write_text("no certificate")
    assert certificates.ends() == {}
    path.unlink()
    assert certificates.ends() == {}
    make(tmp_path, force=True)
    assert certificates.ends()[str(path)] == pytest.approx(ends_s, abs=86_400)
