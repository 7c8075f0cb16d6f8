"""Who may send: by network when it connects, by certificate and token when its header is read.

    accept ──▶ auth.networks ──▶ TLS, client_ca ──▶ header ──▶ auth.clients, token, client id ──▶ the way in

Each check that is configured must pass, and what none of them names is open. All that cannot show a token (a
connection without a header, a datagram) needs a source in `auth.tokenless_networks` where tokens are asked for.
A sender that is turned away is told `ERR unauthorized` and no more; which check it failed is for the counter and the
log. A token that is withdrawn ends the connections it had opened, within a second.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol
from weakref import WeakKeyDictionary

from ingestd.identities import identities
from ingestd.net.acknowledged import Refusal
from ingestd.net.header import Header
from ingestd.ratelog import RateLog
from ingestd.stats import AUTH_REASONS, Slot, index
from ingestd.tokens import Token, TokenFile, find_token

#: Sources whose networks were looked up are remembered, so many of them.
_SOURCES: Final = 4096

_FAILURES: Final = {reason: index("ingestd_auth_failures_total", reason) for reason in AUTH_REASONS}

log = RateLog(logging.getLogger("ingestd.auth"))

Network = IPv4Network | IPv6Network


class Rules(NamedTuple):
    """What is asked of senders; the defaults ask nothing."""

    networks: Sequence[Network] = ()
    """Where they may send from; empty: anywhere."""
    identities: frozenset[str] = frozenset()
    """Which certificates are taken, as `ingestd.identities` writes them; empty: all that TLS accepted."""
    tokens_file: Path | None = None
    tokenless_networks: Sequence[Network] = ()
    """Where they may send from without a token."""


class Unauthorized(Refusal):
    """The sender learns no more than that; `told` is for the log."""

    def __init__(self, told: str) -> None:
        super().__init__("unauthorized", "unauthorized")
        self.told = told


class Transport(Protocol):
    """As much of asyncio's as is asked here."""

    def get_extra_info(self, name: str) -> Any: ...


class Peer(Protocol):
    """The connection that asks to be let in."""

    @property
    def transport(self) -> Transport: ...

    @property
    def ending(self) -> bool: ...

    def refuse(self, reason: str, answer: str, told: str = "") -> None: ...


def anybody(source: str) -> bool:  # one of the checks of a source
    """The check that asks nothing."""
    return True


class Admission:
    """The checks of one worker."""

    def __init__(self, rules: Rules, slot: Slot) -> None:
        self._identities = rules.identities
        self._slot = slot
        self._tokens = TokenFile(rules.tokens_file) if rules.tokens_file else None
        self._shown: WeakKeyDictionary[Peer, Token] = WeakKeyDictionary()
        self._is_near = _within(rules.networks) if rules.networks else anybody
        self._is_exempt = _within(rules.tokenless_networks) if self._tokens else anybody

    def admits(self, source: str) -> bool:
        """Whether a connection from this address is taken on; one that is not is counted."""
        if self._is_near(source):
            return True
        self._slot.add(_FAILURES["network"])
        log.warning("network", "refused a connection from %s: not in auth.networks", source)
        return False

    def admits_datagrams(self, source: str) -> bool:
        """Whether datagrams from this address, which can show nothing, are read. Whoever asks counts them."""
        if not self._is_near(source):
            log.warning("datagram", "dropped datagrams from %s: not in auth.networks", source)
            return False
        if not self._is_exempt(source):
            log.warning("datagram", "dropped datagrams from %s: not in auth.tokenless_networks", source)
            return False
        return True

    def check(self, header: Header, source: str, peer: Peer) -> None:
        """Let in who shows what is asked for. Raises `Unauthorized`."""
        if self._identities:
            self._check_certificate(peer.transport.get_extra_info("ssl_object"))
        if self._tokens is not None and (header.token or not self._is_exempt(source)):
            self._shown[peer] = self._check_token(self._tokens.tokens, header)

    def _check_certificate(self, tls: ssl.SSLObject | None) -> None:
        names = identities(tls) if tls else frozenset()
        if names.isdisjoint(self._identities):
            told = f"certificate not in auth.clients: {', '.join(sorted(names))}"
            raise self._failure("certificate_not_listed", ascii(told)[1:-1])

    def _check_token(self, tokens: Sequence[Token], header: Header) -> Token:
        if not header.token:
            raise self._failure("no_token", "shows no token")
        token = find_token(tokens, header.token)
        if token is None:
            raise self._failure("unknown_token", "shows a token that is not in auth.tokens_file")
        if header.client and not token.allows(header.client):
            told = f"the token {token.name} may not speak for the client {header.client}"
            raise self._failure("client_not_allowed", told)
        return token

    def _failure(self, reason: str, told: str) -> Unauthorized:
        self._slot.add(_FAILURES[reason])
        return Unauthorized(told)

    def look(self) -> None:
        """Take notice of tokens that came and went."""
        if self._tokens is None or not self._tokens.look():
            return
        known = set(self._tokens.tokens)
        for peer, token in tuple(self._shown.items()):
            if token not in known and not peer.ending:
                withdrawn = self._failure("token_withdrawn", f"its token {token.name} was withdrawn")
                peer.refuse(withdrawn.reason, str(withdrawn), withdrawn.told)


def _within(networks: Sequence[Network]) -> Any:
    """A check whether an address is in one of the networks."""

    @lru_cache(_SOURCES)
    def is_within(source: str) -> bool:
        address = ip_address(source)
        if isinstance(address, IPv6Address):
            address = address.ipv4_mapped or address  # as a socket on :: tells IPv4
        return any(address in network for network in networks)

    return is_within
