"""SIGHUP on the real daemon: certificates, configuration, and what goes wrong, with senders that must not notice."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.daemon import PATIENCE_S, Daemon, check_law, wait_for
from tests.e2e.reloading import (
    Certificates,
    Restless,
    configure,
    hear,
    outcomes,
    reload,
    scrape,
    send_one,
    serial,
)
from tests.e2e.test_client import client_of, stored
from tests.e2e.test_supervisor import Load, verify, worker_pids


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path / "certs")


def messages(daemon: Daemon) -> list[str]:
    return [record["message"] for record in daemon.records()]


def test_new_certificates_disturb_no_connection(tmp_path: Path, certificates: Certificates) -> None:
    with Daemon(tmp_path / "d", certificates.folder) as daemon:
        workers, before = worker_pids(daemon), serial(daemon)
        with daemon.connect() as old:
            old.sendall(b'INGEST/1 json\n{"message":"before"}\n')
            daemon.wait_settled(1)
            certificates.swap()
            reload(daemon, "certificates")
            assert serial(daemon) != before
            old.sendall(b'{"message":"after"}\n')
            daemon.wait_settled(2)
            old.setblocking(False)
            with pytest.raises((BlockingIOError, OSError)):
                old.recv(1)  # it was told nothing
        assert worker_pids(daemon) == workers
        os.kill(workers[0], signal.SIGKILL)
        wait_for(lambda: workers[0] not in worker_pids(daemon), "the successor")
        wait_for(lambda: daemon.stats()["state"] == "ready", "all to be ready")
        assert {serial(daemon) for _ in range(8)} == {serial(daemon)} != {before}


@pytest.mark.parametrize("wrong", ["not a key\n", "the key of another certificate"])
def test_a_bad_pair_changes_nothing(tmp_path: Path, certificates: Certificates, wrong: str) -> None:
    with Daemon(tmp_path / "d", certificates.folder) as daemon:
        workers, before = worker_pids(daemon), serial(daemon)
        key = certificates.folder / "server.key"
        key.write_text(wrong if wrong.endswith("\n") else (certificates.folder / "client.key").read_text())
        reload(daemon, "refused")
        assert "listen.tcp.key" in daemon.log.read_text()
        assert (worker_pids(daemon), serial(daemon)) == (workers, before)
        certificates.make()


def test_a_bad_configuration_changes_nothing_and_is_told_whole(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        workers = worker_pids(daemon)
        configure(daemon, '[segment]\nlevle = 3\n[limits]\nidle_timeout = "soon"\n')
        reload(daemon, "refused")
        log = daemon.log.read_text()
        assert "segment.levle" in log
        assert "limits.idle_timeout" in log
        assert worker_pids(daemon) == workers
        assert daemon.stats()["state"] == "ready"
        configure(daemon, "")
        reload(daemon, "certificates")


def test_folders_stay(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    del daemon.settings["server.data_dir"]
    configure(daemon, f'[server]\ndata_dir = "{daemon.data}"\n')
    with daemon:
        configure(daemon, f'[server]\ndata_dir = "{tmp_path / "elsewhere"}"\n')
        reload(daemon, "refused")
        assert "server.data_dir cannot change" in daemon.log.read_text()


def test_a_new_configuration_is_taken_by_new_workers(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        supervisor, old = daemon.process.pid, worker_pids(daemon)
        with daemon.connect() as plain, daemon.connect() as spoken:
            plain.sendall(b'{"message":"1"}\n')
            spoken.sendall(b'INGEST/1 json\n{"message":"2"}\n')
            daemon.wait_settled(2)
            configure(daemon, '[enrich]\nenvironment = "second"\n')
            reload(daemon, "applied")
            assert daemon.get("/readyz")
            daemon.send(b'{"message":"3"}\n')
            plain.sendall(b'{"message":"4"}\n')  # it cannot be told, so it is served until it ends
            spoken.sendall(b'{"message":"5"}\n')
            spoken.shutdown(socket.SHUT_WR)
            assert hear(spoken) == b"ERR shutting down\n"
            totals = daemon.wait_settled(5)
            assert totals["written"] == 5
            states = {worker["pid"]: worker["state"] for worker in daemon.stats()["workers"]}
            assert sorted(state for pid, state in states.items() if pid not in old) == ["ready", "ready"]
            assert "draining" in {states.get(pid) for pid in old}
        wait_for(lambda: not set(old) & set(worker_pids(daemon)), "the old workers to leave")
        assert daemon.process.pid == supervisor
        assert psutil.Process(supervisor).is_running()
        environments = {record["message"]: record.get("environment") for record in daemon.records()}
        assert environments == {"1": None, "2": None, "3": "second", "4": None, "5": None}
        assert daemon.stats()["totals"] == totals
    assert not list(daemon.data.glob("*.open"))


def test_connections_that_never_end_are_ended(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon, daemon.connect() as lasting:
        lasting.sendall(b'{"message":"1"}\n')
        daemon.wait_settled(1)
        configure(daemon, '[server]\nreload_timeout = "300ms"\n')
        reload(daemon, "applied")
        old = worker_pids(daemon)  # the 300 ms hold from the next reload on
        with daemon.connect() as second:
            second.sendall(b'{"message":"2"}\n')
            daemon.wait_settled(2)
            configure(daemon, '[server]\nreload_timeout = "400ms"\n')
            reload(daemon, "applied")
            wait_for(lambda: not set(old[-2:]) & set(worker_pids(daemon)), "the second generation to leave")
            assert hear(second) == b""
        lasting.sendall(b'{"message":"3"}\n')
        daemon.wait_settled(3)
        assert sorted(messages(daemon)) == ["1", "2", "3"]


def test_the_number_of_workers_may_change(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    del daemon.settings["server.workers"]
    configure(daemon, "[server]\nworkers = 1\n")
    with daemon:
        sent = 0
        tcp, udp = daemon.tcp, daemon.udp
        for workers in (
            2,
            1,
        ):  # two need more slots than there are, and leave one with two sockets of each kind
            configure(daemon, f"[server]\nworkers = {workers}\n")
            with Restless(partial(send_one, daemon), threads=2) as senders:
                reload(daemon, "applied")
            sent += senders.calls
            assert daemon.wait_settled(sent)["written"] == sent
            assert (daemon.tcp, daemon.udp) == (tcp, udp)
            wait_for(lambda n=workers: len(worker_pids(daemon)) == n, "the old workers to leave")  # type: ignore[misc]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                for _ in range(20):
                    sender.sendto(b'{"message":"datagram"}', udp)
            sent += 20
            daemon.wait_settled(sent)


def test_the_addresses_may_change(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    for key in ("listen.tcp.port", "listen.udp.port", "http.port"):
        del daemon.settings[key]
    ports = free_ports(6)
    addresses = "[listen.tcp]\nport = {}\n[listen.udp]\nport = {}\n[http]\nport = {}\n"
    configure(daemon, addresses.format(*ports[:3]))
    with daemon:
        old = daemon.tcp
        configure(daemon, addresses.format(*ports[3:]))
        daemon.process.send_signal(signal.SIGHUP)
        wait_for(
            lambda: str(ports[3]) in (tmp_path / "state" / "ingestd.json").read_text(), "the new addresses"
        )
        daemon.wait_ready()
        assert [address[1] for address in (daemon.tcp, daemon.udp, daemon.http)] == ports[3:]
        daemon.send(b'{"message":"x"}\n')
        daemon.wait_settled(1)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(old)


def free_ports(count: int) -> list[int]:
    """Ports that nobody has at the moment."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]


def test_a_port_that_is_taken_refuses_the_reload(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    del daemon.settings["listen.tcp.port"]
    configure(daemon, f"[listen.tcp]\nport = {free_ports(1)[0]}\n")
    with daemon, socket.socket() as other:
        workers = worker_pids(daemon)
        other.bind(("127.0.0.1", 0))
        other.listen()
        configure(daemon, f"[listen.tcp]\nport = {other.getsockname()[1]}\n")
        reload(daemon, "refused")
        assert "cannot bind listen.tcp" in daemon.log.read_text()
        assert worker_pids(daemon) == workers
        os.kill(
            workers[1], signal.SIGKILL
        )  # whoever replaces it is of the new program, with the old configuration
        wait_for(lambda: workers[1] not in worker_pids(daemon), "the successor")
        wait_for(lambda: daemon.stats()["state"] == "ready", "all to be ready")
        daemon.send(b'{"message":"x"}\n')
        daemon.wait_settled(1)


def test_a_worker_that_dies_while_it_retires_leaves_no_gap_in_the_account(tmp_path: Path) -> None:
    with Daemon(tmp_path, **{"server.workers": 1, "segment.flush_interval": "1h"}) as daemon:
        (old,) = worker_pids(daemon)
        with daemon.connect() as sock:
            sock.sendall(b'{"message":"x"}\n' * 10)
            wait_for(lambda: daemon.stats()["totals"]["in_flight"] == 10, "records in memory")
            configure(daemon, '[enrich]\nenvironment = "second"\n')
            reload(daemon, "applied")
            os.kill(old, signal.SIGKILL)
            totals = daemon.wait_settled(10)
            assert (totals["written"], totals["dropped"]) == (0, 10)
        wait_for(lambda: len(worker_pids(daemon)) == 1, "the slot to be free")
        assert daemon.metric("ingestd_connections_open") == 0
        assert "settling what it left" in daemon.log.read_text()


def test_a_client_with_acknowledgements_is_stored_once_over_reloads(tmp_path: Path) -> None:
    """Also where the worker that retires is killed with batches that are not on disk."""
    with Daemon(tmp_path) as daemon, client_of(daemon, tmp_path, batch_records=50) as client:
        sent = 0
        for number in range(2):
            stop = threading.Event()

            def send(stop: threading.Event = stop) -> None:
                nonlocal sent
                while not stop.is_set():
                    client.send(b'{"message":"x","seq":%d}' % sent)
                    sent += 1
                    if sent % 200 == 0:
                        client.flush(PATIENCE_S)

            sender = threading.Thread(target=send)
            sender.start()
            try:
                retiring = worker_pids(daemon)
                configure(daemon, f'[enrich]\nenvironment = "{number}"\n')
                reload(daemon, "applied")
                for pid in retiring:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            finally:
                stop.set()
                sender.join()
        client.flush(PATIENCE_S)
        assert stored(daemon) == list(range(sent))
        check_law(daemon.stats()["totals"])


def test_nobody_outlives_a_supervisor_that_was_killed_after_a_reload(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path).start()
    with contextlib.ExitStack() as undo:
        undo.callback(daemon.stop)
        sock = undo.enter_context(daemon.connect())
        sock.sendall(b'{"message":"x"}\n')
        daemon.wait_settled(1)
        configure(daemon, '[enrich]\nenvironment = "second"\n')
        reload(daemon, "applied")
        children = psutil.Process(daemon.process.pid).children()
        assert len(children) >= 4
        daemon.process.kill()
        daemon.process.wait()
        _, alive = psutil.wait_procs(children, timeout=30)
        assert not alive
    assert len(daemon.records()) == 1
    with daemon:
        pass


@pytest.mark.parametrize("processes", [3, 4, 5, 6])
def test_a_stop_wins(tmp_path: Path, processes: int) -> None:
    """At whatever step: before the rehearsal, during it, with one new worker, with both."""
    with Daemon(tmp_path) as daemon:
        daemon.send(b'{"message":"x"}\n' * 100)
        configure(daemon, '[enrich]\nenvironment = "second"\n')
        supervisor = psutil.Process(daemon.process.pid)
        daemon.process.send_signal(signal.SIGHUP)
        children = wait_for(
            lambda: len(found := supervisor.children(recursive=True)) >= processes and found, "that step"
        )
    assert not psutil.wait_procs(children, timeout=30)[1]
    assert len(daemon.records()) == 100
    assert not list(daemon.data.glob("*.open"))


def test_reloads_asked_for_at_any_time_are_done_one_by_one(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path).start(ready=False)
    try:
        wait_for(lambda: psutil.Process(daemon.process.pid).children(), "the first worker")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_ready()
        wait_for(lambda: outcomes(daemon)["certificates"] == 1, "the reload asked for at the start")
        configure(daemon, '[enrich]\nenvironment = "second"\n')
        for _ in range(20):
            daemon.process.send_signal(signal.SIGHUP)
        wait_for(lambda: outcomes(daemon)["applied"] == 1, "the reload")
        reload(daemon, "certificates")
        assert (outcomes(daemon)["applied"], outcomes(daemon)["refused"]) == (1, 0)
        assert daemon.stop() == 0
    finally:
        daemon.stop()


def test_a_reload_waits_for_slots(tmp_path: Path) -> None:
    with Daemon(tmp_path, **{"server.workers": 1}) as daemon, contextlib.ExitStack() as held:
        lasting = []
        for number in range(4):
            lasting.append(held.enter_context(daemon.connect()))
            lasting[-1].sendall(b'{"message":"%d"}\n' % number)
            daemon.wait_settled(number + 1)
            configure(daemon, f'[enrich]\nenvironment = "{number}"\n')
            if number < 3:
                reload(daemon, "applied")
        daemon.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "reloading when enough have ended" in daemon.log.read_text(), "the reload to wait")
        assert len(worker_pids(daemon)) == 4
        daemon.send(b'{"message":"meanwhile"}\n')
        lasting[1].close()
        wait_for(lambda: outcomes(daemon)["applied"] == 4, "the reload")
        daemon.wait_settled(5)


def test_systemd_is_told_of_a_reload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "400000")

        def told() -> list[str]:
            """What is said until the next READY=1, but for the watchdog."""
            said: list[str] = []
            while not any(line.startswith("READY=1") for line in said):
                said += [line for line in [manager.recv(4096).decode()] if line != "WATCHDOG=1"]
            return said

        with Daemon(tmp_path / "d") as daemon:
            assert len(told()) == 1
            for text, result in (
                ("[nonsense]\n", "refused"),
                ('[syslog]\ntimezone = "Asia/Tokyo"\n', "applied"),
            ):
                asked_us = time.monotonic_ns() // 1000
                configure(daemon, text)
                daemon.process.send_signal(signal.SIGHUP)
                reloading, ready = told()
                kind, moment, status = reloading.splitlines()
                assert (kind, status) == ("RELOADING=1", "STATUS=Reloading")
                assert int(moment.removeprefix("MONOTONIC_USEC=")) >= asked_us
                assert ready.startswith("READY=1\nSTATUS=Listening on 127.0.0.1:")
                assert outcomes(daemon)[result] == 1
            while manager.recv(4096) != b"WATCHDOG=1":
                pass  # the new program goes on with that


def hammered(tmp_path: Path, certificates: Certificates, rounds: int) -> None:
    """Reload `rounds` times, certificates and configuration in turn, under load of all kinds."""
    with Daemon(tmp_path / "d", certificates.folder) as daemon:
        report = tmp_path / "report.json"
        with (
            Load(daemon, report, "--rate", "5000", "--seconds", str(3600)) as load,
            Restless(partial(send_one, daemon)) as senders,
            Restless(partial(scrape, daemon)) as scrapes,
            Restless(lambda _: check_law(daemon.stats()["totals"])),
        ):
            wait_for(lambda: daemon.stats()["totals"]["written"] > 1000, "load")
            for number in range(rounds):
                certificates.swap()
                if number % 2:
                    configure(daemon, f'[enrich]\napp_version = "{number}"\n')
                reload(daemon, "applied" if number % 2 else "certificates")
            load.process.send_signal(signal.SIGINT)
            summary = load.finish()
        assert summary["failed"] == 0
        totals = daemon.wait_settled(summary["sent"] + senders.calls)
        assert totals["written"] == summary["sent"] + senders.calls
        assert scrapes.calls > rounds
        numbers = [record["number"] for record in daemon.records() if record["message"] == "short"]
        assert sorted(numbers) == list(range(senders.calls))
    verify(daemon, report)
    assert not list(daemon.data.glob("*.open"))


def test_reloads_under_load(tmp_path: Path, certificates: Certificates) -> None:
    hammered(tmp_path, certificates, rounds=3)


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_thirty_reloads_under_load(tmp_path: Path, certificates: Certificates) -> None:
    hammered(tmp_path, certificates, rounds=30)
