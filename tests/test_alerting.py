"""From the configuration to what alerts are told."""

from __future__ import annotations

import socket

import pytest

from ingestd.alerting import alert_settings, page_url
from ingestd.alerts.rules import BUILTIN
from ingestd.config import load

OWN = 'alert=[{name="queue-full", kind="system", check="queue"}, {name="mine", kind="match", level="FATAL"}]'


def test_built_in_rules_stand_beside_those_of_the_configuration() -> None:
    settings = alert_settings(load(None, [OWN]), "u")
    names = [rule.name for rule in settings.engine.rules]
    assert names[:2] == ["queue-full", "mine"]
    assert len(names) == len(set(names)) == len(BUILTIN) + 2
    assert settings.engine.builtin == set(names) - {"queue-full", "mine"}


def test_what_is_left_out() -> None:
    config = load(None, ["alerts.builtin=false", "heartbeat.alert=false"])
    assert alert_settings(config, "u").engine.rules == ()


def test_certificates_that_are_in_use_are_watched() -> None:
    assert alert_settings(load(None), "u").certificates == ("certs/server.crt",)
    both = ["http.cert=h.crt", "http.key=h.key"]
    assert alert_settings(load(None, both), "u").certificates == ("certs/server.crt", "h.crt")
    plain = ["listen.tcp.plaintext=true"]
    assert alert_settings(load(None, plain), "u").certificates == ()


@pytest.mark.parametrize(
    ("listening", "url"),
    [
        ("127.0.0.1:8080", "http://127.0.0.1:8080/"),
        ("[::1]:8080", "http://[::1]:8080/"),
        ("0.0.0.0:80", f"http://{socket.gethostname()}:80/"),
        ("[::]:80", f"http://{socket.gethostname()}:80/"),
    ],
)
def test_where_the_page_is(listening: str, url: str) -> None:
    assert page_url(load(None), listening) == url
    tls = load(None, ["http.cert=h.crt", "http.key=h.key"])
    assert page_url(tls, listening) == url.replace("http:", "https:")
