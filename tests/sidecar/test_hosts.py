"""Which Host headers a stranger's web page could send, and which it could not."""

import pytest

from ingestd.sidecar.hosts import Hosts

HOSTS = Hosts(["Box.Example.org", "logs.example.com"])


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:8080",
        "192.0.2.7:80",
        "[::1]",
        "[2001:db8::1]:8080",
        "localhost",
        "LOCALHOST:8080",
        "localhost.",
        "a.localhost",
        "ingestd:8080",
        "box.local",
        "ingestd.logs.svc.internal",
        "box.example.org:8080",
        "logs.example.com",
    ],
)
def test_answered(host: str) -> None:
    assert host in HOSTS


@pytest.mark.parametrize(
    "host",
    [
        "",
        ":8080",
        "[]",
        "example.org",
        "evil.example.com:8080",
        "127.0.0.1.evil.example.com",
        "localhost.evil.example.com",
        "notbox.example.org",
        "box.example.org.evil.example.com",
        "local.evil.example.com",
    ],
)
def test_refused(host: str) -> None:
    assert host not in HOSTS
