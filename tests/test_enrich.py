"""Enrichment: what is known once, what differs by sender, and how a container finds its name."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path

import orjson
import pytest

from ingestd.enrich import Enricher, container_id, pod_name

ID = "0123456789abcdef" * 4
OTHER = "fedcba9876543210" * 4


def fields(enricher: Enricher, source_ip: str = "203.0.113.7") -> dict[str, str]:
    """The constant fields that records of this sender get."""
    values: Mapping[str, bytes] = enricher.source(source_ip).values("json")
    return {name: orjson.loads(value) for name, value in values.items()}


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No trace of the container or pod that the tests may run in."""
    for name in ("CONTAINER_ID", "POD_NAME", "KUBERNETES_SERVICE_HOST", "HOSTNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("ingestd.enrich.container_id", lambda: "")


def test_the_fields_of_a_plain_host() -> None:
    assert fields(Enricher("production", "1.2.3", {})) == {
        "hostname": socket.gethostname(),
        "environment": "production",
        "app_version": "1.2.3",
        "source_ip": "203.0.113.7",
        "format": "json",
    }


def test_what_is_empty_is_left_out() -> None:
    assert fields(Enricher("", "", {"region": ""})).keys() == {"hostname", "source_ip", "format"}


def test_container_and_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingestd.enrich.container_id", lambda: ID)
    monkeypatch.setattr("ingestd.enrich.pod_name", lambda: "api-7d9f")
    found = fields(Enricher("", "", {}))
    assert (found["container_id"], found["pod_name"]) == (ID, "api-7d9f")


def test_configured_fields_are_added_and_win() -> None:
    found = fields(Enricher("test", "", {"region": "eu", "hostname": "given", "quote": 'a"b\n'}))
    assert (found["region"], found["hostname"], found["quote"]) == ("eu", "given", 'a"b\n')


def test_each_sender_has_its_own_address_and_is_rendered_once() -> None:
    enricher = Enricher("", "", {})
    one, two = enricher.source("192.0.2.1"), enricher.source("2001:db8::1")
    assert fields(enricher, "192.0.2.1")["source_ip"] == "192.0.2.1"
    assert fields(enricher, "2001:db8::1")["source_ip"] == "2001:db8::1"
    assert enricher.source("192.0.2.1") is one
    assert enricher.source("2001:db8::1") is two


def test_many_senders_do_not_fill_the_memory() -> None:
    enricher = Enricher("", "", {})
    for number in range(10_000):
        enricher.source(f"198.51.{number // 256}.{number % 256}")
    assert enricher.source.cache_info().currsize == 4096


CGROUPS = [
    (f"0::/system.slice/docker-{ID}.scope\n", ID),
    (f"12:memory:/docker/{ID}\n11:cpu:/docker/{ID}\n", ID),
    (f"0::/kubepods.slice/kubepods-burstable.slice/cri-containerd-{ID}.scope\n", ID),
    (f"1:name=systemd:/kubepods/besteffort/pod7/{ID}\n", ID),
    (f"0::/machine.slice/libpod-{ID}.scope/container\n", ID),
    ("0::/\n", ""),
    ("0::/user.slice/user-1000.slice/session-2.scope\n", ""),
    (f"0::/not-an-id-{ID}0\n", ""),
    (f"0::/{ID.upper()}\n", ""),
    ("", ""),
]


@pytest.mark.parametrize(("text", "expected"), CGROUPS)
def test_the_id_in_the_cgroup_path(tmp_path: Path, text: str, expected: str) -> None:
    cgroup = tmp_path / "cgroup"
    cgroup.write_text(text)
    assert container_id({}, cgroup, tmp_path / "missing") == expected


MOUNTS = f"""\
600 599 0:50 / / rw - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/{OTHER}/diff
610 600 8:1 /var/lib/docker/containers/{ID}/resolv.conf /etc/resolv.conf rw - ext4 /dev/sda1 rw
611 600 8:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/sda1 rw
"""


def test_the_id_in_the_mounts_of_a_private_cgroup_namespace(tmp_path: Path) -> None:
    cgroup, mountinfo = tmp_path / "cgroup", tmp_path / "mountinfo"
    cgroup.write_text("0::/\n")
    mountinfo.write_text(MOUNTS)
    assert container_id({}, cgroup, mountinfo) == ID


def test_other_mounts_name_no_container(tmp_path: Path) -> None:
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(MOUNTS.splitlines()[0] + "\n")
    assert container_id({}, tmp_path / "missing", mountinfo) == ""


def test_a_given_id_wins(tmp_path: Path) -> None:
    cgroup = tmp_path / "cgroup"
    cgroup.write_text(CGROUPS[0][0])
    assert container_id({"CONTAINER_ID": "mine"}, cgroup, tmp_path / "missing") == "mine"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, ""),
        ({"HOSTNAME": "laptop"}, ""),
        ({"POD_NAME": "api-1", "HOSTNAME": "x"}, "api-1"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOSTNAME": "api-2"}, "api-2"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, ""),
    ],
)
def test_pod_names(environ: dict[str, str], expected: str) -> None:
    assert pod_name(environ) == expected


def test_what_is_not_utf8_is_no_reason_to_fail(tmp_path: Path) -> None:
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_bytes(b"612 600 8:1 / /mnt/\xff\xfe rw - ext4 /dev/sda1 rw\n" + MOUNTS.encode())
    assert container_id({}, tmp_path / "missing", mountinfo) == ID
    found = fields(Enricher("caf\udce9", "", {}))  # how Python shows the Latin-1 byte E9 of a variable
    assert found["environment"] == "caf\ufffd"
