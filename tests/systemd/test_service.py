"""The life of the service under a real systemd: start, watchdog, reload, stop, and what a mistake does."""

from __future__ import annotations

import json
import ssl
from typing import Any

from tests.daemon import wait_for
from tests.systemd.service import CERTIFICATES, CONFIG, TCP_PORT, Service, ready_workers

SCHEMAS = {
    "AVRO": '"string"',
    "JSON": '{"type":"object"}',
    "PROTOBUF": 'syntax = "proto3"; message A {}',
}


def test_it_is_started_when_it_takes_logs_in_and_says_where(service: Service) -> None:
    service.systemctl("start")
    assert service.property("Type") == "notify"
    assert service.property("ActiveState") == "active"
    assert service.property("StatusText").startswith(
        "Listening on 127.0.0.1:3001 (TCP), 127.0.0.1:3002 (UDP)"
    )
    service.send("hello")
    service.wait_written(1)
    assert service.messages() == ["hello"]


def test_the_status_is_kept_up_to_date(service: Service) -> None:
    service.systemctl("start")
    wait_for(
        lambda: "workers serve; all is well" in service.property("StatusText"), "the status to be renewed"
    )
    worker = next(iter(ready_workers(service)))
    service.box.run("kill", "-KILL", str(worker))
    wait_for(lambda: said(service, "worker_died"), "the supervisor to notice")
    (entry,) = said(service, "worker_died")
    assert entry["PRIORITY"] == "3"
    assert entry["SYSLOG_IDENTIFIER"] == "ingestd"
    assert entry["INGESTD_PROCESS"] == "supervisor"
    assert entry["INGESTD_WORKER"] in ("0", "1")
    assert entry["CODE_FILE"].endswith("ingestd/crew.py")
    assert entry["_SYSTEMD_UNIT"] == "ingestd.service"
    (ready,) = said(service, "ready")
    assert ready["PRIORITY"] == "6"
    assert "TCP 127.0.0.1:3001, UDP 127.0.0.1:3002" in ready["MESSAGE"]


def test_what_a_worker_says_names_it(service: Service) -> None:
    service.systemctl("start")
    with service.box.connect(TCP_PORT) as plain:
        plain.sendall(b"this is no TLS\n")
        plain.recv(100)
    wait_for(
        lambda: [entry for entry in service.entries() if "TLS handshake" in entry["MESSAGE"]], "its warning"
    )
    (entry,) = (entry for entry in service.entries() if "TLS handshake" in entry["MESSAGE"])
    assert entry["PRIORITY"] == "4"
    assert entry["INGESTD_PROCESS"] == f"worker {entry['INGESTD_WORKER']}"
    assert entry["INGESTD_LOGGER"] == "ingestd.tcp"
    assert entry["CODE_FILE"].endswith("ingestd/net/tcp.py")


def test_schemas_are_judged_in_the_sandbox(service: Service) -> None:
    service.systemctl("start")
    for kind, schema in SCHEMAS.items():
        answer = service.post(f"/subjects/{kind}/versions", {"schemaType": kind, "schema": schema})
        assert answer["id"] >= 1


def test_the_doctor_finds_nothing_wrong(service: Service) -> None:
    service.systemctl("start")
    pid = service.number("MainPID")
    found = doctored(service)
    assert [each for each in found if each["verdict"] == "fail"] == []
    assert f"the daemon (pid {pid}) listens on 127.0.0.1:3001" in [
        each["says"] for each in found if each["check"] == "port of listen.tcp"
    ]
    assert "ingestd may read" in "".join(each["says"] for each in found)
    service.systemctl("stop")
    service.box.run("systemctl", "start", "ingestd.socket")
    held = [each["says"] for each in doctored(service) if each["check"].startswith("port of ")]
    assert len(held) == 3
    assert all(says.startswith("systemd holds ") for says in held)


def test_who_may_not_read_its_configuration_is_told_so(service: Service) -> None:
    as_nobody = (
        "setpriv",
        "--reuid=nobody",
        "--regid=nogroup",
        "--clear-groups",
        "--",
        "/usr/local/bin/ingestd",
    )
    for command in ("check", "doctor"):
        text = service.box.run(*as_nobody, command, check=False)
        assert f"{CONFIG}: cannot be read: Permission denied" in text
        assert "Traceback" not in text


def doctored(service: Service) -> list[dict[str, str]]:
    """What `ingestd doctor` finds in the box."""
    answer = json.loads(service.box.run("ingestd", "doctor", "-c", CONFIG, "--json"))
    found: list[dict[str, str]] = answer["findings"]
    return found


def test_its_files_are_its_own_and_its_groups(service: Service) -> None:
    service.systemctl("start")
    said = service.box.run(
        *("stat", "--format=%a %U:%G %n"),
        *("/var/log/ingestd", "/var/lib/ingestd", "/etc/ingestd", CONFIG),
        *(f"{CERTIFICATES}/server.key", f"{CERTIFICATES}/ca.key"),
    )
    assert said.splitlines() == [
        "750 ingestd:ingestd /var/log/ingestd",
        "750 ingestd:ingestd /var/lib/ingestd",
        "750 root:ingestd /etc/ingestd",
        f"640 root:ingestd {CONFIG}",
        f"640 root:ingestd {CERTIFICATES}/server.key",
        f"600 root:root {CERTIFICATES}/ca.key",
    ]


def test_a_stop_stores_what_senders_had_sent(service: Service) -> None:
    service.systemctl("start")
    with service.connect() as sock:
        sock.sendall(b'{"message":"sent and still connected"}\n' * 1000)
        service.systemctl("stop")
    assert service.property("Result") == "success"
    assert service.messages() == ["sent and still connected"] * 1000
    assert not list(service.box.path("/var/log/ingestd").glob("*.open"))


def test_a_reload_takes_a_new_certificate(service: Service) -> None:
    service.systemctl("start")
    with service.connect() as lasting:
        lasting.sendall(b'{"message":"before"}\n')  # who says nothing for long is sent away
        serial = shown_serial(lasting)
        pid = service.number("MainPID")
        renew = (
            f"cd {CERTIFICATES} && rm server.crt server.key && ingestd certs . && chgrp ingestd server.key"
        )
        service.box.run("sh", "-c", f"{renew} && chmod 0640 server.key")
        service.systemctl("reload")
        wait_for(lambda: new_serial(service) != serial, "the new certificate")
        assert service.number("MainPID") == pid
        lasting.sendall(b'{"message":"still there"}\n')
        service.wait_written(2)


def test_a_reload_takes_a_new_configuration(service: Service) -> None:
    service.systemctl("start")
    pid = service.number("MainPID")
    service.box.run("sed", "-i", "s/^workers = 0/workers = 3/", CONFIG)
    service.systemctl("reload")
    wait_for(lambda: len(ready_workers(service)) == 3, "three workers")
    assert service.number("MainPID") == pid
    wait_for(lambda: service.property("ActiveState") == "active", "the end of the reload")


def test_a_reload_of_a_mistake_says_which_and_changes_nothing(service: Service) -> None:
    service.systemctl("start")
    workers = ready_workers(service)
    service.box.run("sed", "-i", "s/^workers = 0/wrokers = 3/", CONFIG)
    said = service.systemctl("reload", check=False)
    assert "failed" in said
    assert "unknown key" in service.systemctl("status", check=False)
    assert ready_workers(service) == workers
    assert service.property("ActiveState") == "active"


def test_a_supervisor_that_hangs_is_replaced(service: Service) -> None:
    service.drop_in("[Service]\nWatchdogSec=3\nTimeoutAbortSec=200ms\n")
    service.systemctl("start")
    pid = service.number("MainPID")
    service.send("before")
    service.wait_written(1)
    service.kill("SIGSTOP")
    wait_for(lambda: service.number("NRestarts") == 1, "the restart")
    wait_for(lambda: service.property("ActiveState") == "active", "the new one")
    assert service.number("MainPID") not in (0, pid)
    assert any("Watchdog timeout" in entry["MESSAGE"] for entry in service.entries())
    service.send("after")
    service.wait_written(1)
    assert sorted(service.messages()) == ["after", "before"]


def test_a_supervisor_that_dies_is_replaced(service: Service) -> None:
    service.systemctl("start")
    service.kill("SIGKILL")
    wait_for(lambda: service.number("NRestarts") == 1, "the restart")
    wait_for(lambda: service.property("ActiveState") == "active", "the new one")
    service.send("after")
    service.wait_written(1)


def test_a_supervisor_that_is_killed_takes_no_record_with_it(service: Service) -> None:
    service.box.run("sed", "-i", 's/^flush_interval = .*/flush_interval = "1h"/', CONFIG)
    service.systemctl("start")
    with service.connect() as sock:
        sock.sendall(b'{"message":"in memory"}\n' * 1000)
        wait_for(lambda: service.stats()["totals"]["in_flight"] == 1000, "the records to come in")
        service.kill("SIGKILL")
        wait_for(lambda: service.number("NRestarts") == 1, "the restart")
    assert service.messages() == ["in memory"] * 1000


def test_a_mistake_in_the_configuration_waits_for_a_person(service: Service) -> None:
    service.box.run("sed", "-i", "s/^workers = 0/wrokers = 3/", CONFIG)
    assert "failed" in service.systemctl("start", check=False)
    assert service.property("ActiveState") == "failed"
    assert service.number("ExecMainStatus") == 78
    assert service.number("NRestarts") == 0
    (entry,) = (entry for entry in service.entries() if "wrokers" in entry["MESSAGE"])
    assert entry["PRIORITY"] == "3"
    assert entry["MESSAGE"].startswith("ingestd: /etc/ingestd/ingestd.toml")


def said(service: Service, event: str) -> list[dict[str, Any]]:
    """What its journal has of that event."""
    return [entry for entry in service.entries() if entry.get("INGESTD_EVENT") == event]


def shown_serial(sock: ssl.SSLSocket) -> str:
    certificate = sock.getpeercert()
    assert certificate is not None
    return str(certificate["serialNumber"])


def new_serial(service: Service) -> str:
    with service.connect() as sock:
        return shown_serial(sock)
