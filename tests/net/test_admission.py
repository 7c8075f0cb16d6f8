"""The checks of who may send, without a network: sources, tokens that come and go, and what is counted."""

from __future__ import annotations

import logging
from ipaddress import ip_network
from pathlib import Path

import pytest

from ingestd.net.admission import Admission, Rules, Unauthorized
from ingestd.net.header import Header
from ingestd.stats import AUTH_REASONS, Board, index
from ingestd.tokens import make_token

NETWORKS = [ip_network(text) for text in ("10.0.0.0/8", "fd00::/8", "127.0.0.1")]
SLOT = Board(1).slot(0)


class Caller:
    """A connection that remembers what it was told."""

    def __init__(self) -> None:
        self.answers: list[str] = []
        self.ending = False

    @property
    def transport(self) -> Caller:
        return self

    def get_extra_info(self, name: str) -> None:
        assert name == "ssl_object"

    def refuse(self, reason: str, answer: str, told: str = "") -> None:
        assert reason == "unauthorized"
        self.answers += [answer, told]


def failures() -> dict[str, int]:
    counts = {reason: SLOT[index("ingestd_auth_failures_total", reason)] for reason in AUTH_REASONS}
    return {reason: count for reason, count in counts.items() if count}


@pytest.fixture(autouse=True)
def _none_yet() -> None:
    for reason in AUTH_REASONS:
        SLOT[index("ingestd_auth_failures_total", reason)] = 0


def check(admission: Admission, caller: Caller, token: str = "", client: str = "") -> None:
    admission.check(Header("json", True, b"", client=client, token=token), "192.0.2.1", caller)


def test_without_rules_everybody_may() -> None:
    admission = Admission(Rules(), SLOT)
    assert admission.admits("192.0.2.1")
    assert admission.admits_datagrams("192.0.2.1")
    check(admission, Caller())
    admission.look()
    assert failures() == {}


@pytest.mark.parametrize(
    ("source", "near"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("127.0.0.1", True),
        ("fd00::1", True),
        ("11.0.0.0", False),
        ("127.0.0.2", False),
        ("::ffff:11.0.0.0", False),
        ("::10.1.2.3", False),
        ("fe80::1%eth0", False),
        ("::1", False),
    ],
)
def test_networks(source: str, near: bool) -> None:
    admission = Admission(Rules(networks=NETWORKS), SLOT)
    assert admission.admits(source) is near
    assert admission.admits_datagrams(source) is near
    assert failures() == ({} if near else {"network": 1})


def test_a_link_local_source_has_a_scope() -> None:
    assert Admission(Rules(networks=[ip_network("fe80::/10")]), SLOT).admits("fe80::1%eth0")


def test_refused_sources_are_logged_at_a_measured_rate(caplog: pytest.LogCaptureFixture) -> None:
    admission = Admission(Rules(networks=NETWORKS), SLOT)
    with caplog.at_level(logging.WARNING):
        for number in range(200):
            admission.admits(f"192.0.2.{number}")
    assert len(caplog.messages) <= 1
    assert failures() == {"network": 200}


def test_tokens_come_and_go(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    (old, old_line), (new, new_line) = make_token("web"), make_token("web")
    path.write_text(old_line)
    admission = Admission(Rules(tokens_file=path), SLOT)
    early, late, gone = Caller(), Caller(), Caller()
    check(admission, early, old)
    check(admission, gone, old)
    gone.ending = True
    with pytest.raises(Unauthorized) as refused:
        check(admission, late, new)
    assert str(refused.value) == "unauthorized"
    path.write_text(f"{old_line}\n{new_line}\n")
    admission.look()
    check(admission, late, new)
    path.write_text(f"{new_line}\n")
    admission.look()
    assert early.answers == ["unauthorized", "its token web was withdrawn"]
    assert late.answers == gone.answers == []
    assert failures() == {"unknown_token": 1, "token_withdrawn": 1}


def test_connections_that_ended_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    secret, line = make_token("web")
    path.write_text(line)
    admission = Admission(Rules(tokens_file=path), SLOT)
    for _ in range(100):
        check(admission, Caller(), secret)
    assert len(admission._shown) <= 1


@pytest.mark.parametrize(
    ("shows", "client", "failure"),
    [
        ("own", "", None),
        ("own", "web-1", None),
        ("own", "db-1", "client_not_allowed"),
        ("", "", "no_token"),
        ("", "web-1", "no_token"),
        ("ingestd_guess", "web-1", "unknown_token"),
    ],
)
def test_a_token_and_its_clients(tmp_path: Path, shows: str, client: str, failure: str | None) -> None:
    secret, line = make_token("web", "web-*")
    (tmp_path / "tokens").write_text(line)
    admission = Admission(Rules(tokens_file=tmp_path / "tokens"), SLOT)
    token = secret if shows == "own" else shows
    if failure is None:
        check(admission, Caller(), token, client)
        assert failures() == {}
        return
    with pytest.raises(Unauthorized) as refused:
        check(admission, Caller(), token, client)
    assert str(refused.value) == "unauthorized"
    assert not token or token not in refused.value.told
    assert failures() == {failure: 1}


def test_exempt_networks_need_none_but_show_no_wrong_one(tmp_path: Path) -> None:
    secret, line = make_token("web")
    (tmp_path / "tokens").write_text(line)
    exempt = [ip_network("192.0.2.0/24")]
    admission = Admission(Rules(tokens_file=tmp_path / "tokens", tokenless_networks=exempt), SLOT)
    check(admission, Caller())
    check(admission, Caller(), secret)
    with pytest.raises(Unauthorized):
        check(admission, Caller(), "ingestd_wrong")
    assert admission.admits_datagrams("192.0.2.9")
    assert not admission.admits_datagrams("198.51.100.1")
    assert admission.admits("198.51.100.1"), "it may yet show a token"


def test_where_certificates_are_listed_none_is_not_enough() -> None:
    admission = Admission(Rules(identities=frozenset({"CN:web1"})), SLOT)
    with pytest.raises(Unauthorized):
        check(admission, Caller())
    assert failures() == {"certificate_not_listed": 1}
