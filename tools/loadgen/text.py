"""What the records say: levels, services and messages of a made-up shop.

Strategy: a message is a template filled with users, sessions, orders, addresses and sizes, followed by a
duration whose number of digits is free. The free digits let the caller give any group of records an exact
total length (see `payloads`) without padding that no real log has. Shares: 5 % ERROR, 10 % WARN, 70 % INFO,
15 % DEBUG. Texts hold no quote, backslash, equals sign or control character, so that they stand in JSON and
in raw lines as they are.

Limit: the vocabulary is small; what varies is what varies in real logs. The stored records compress about as
real logs do (measured in tests/loadgen/test_payloads.py).
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

LEVEL_SHARES = {"ERROR": 5, "WARN": 10, "INFO": 70, "DEBUG": 15}
"""Percent of the records at each level."""

SERVICES = ("api", "auth", "cart", "billing", "catalog", "gateway", "search", "mailer", "orders", "shipping")

_PATHS = ("/api/v1/items", "/api/v1/cart", "/api/v2/orders", "/login", "/search", "/health", "/static/app")
_TABLES = ("users", "orders", "items", "carts", "prices", "stock")
_PEERS = ("db-1", "db-2", "cache-1", "cache-2", "queue-1", "smtp-1")

_Fill = Callable[[Random], str]


def _user(rng: Random) -> str:
    return f"u{int(rng.random() ** 2 * 90_000) + 10_000}"  # squared: some users are busier than others


def _session(rng: Random) -> str:
    return f"{rng.getrandbits(24):06x}"


def _number(rng: Random) -> str:
    return str(int(10 ** (1 + 3.5 * rng.random())))


def _address(rng: Random) -> str:
    return f"10.{rng.randrange(4)}.{rng.randrange(256)}.{rng.randrange(256)}"


def _pick(words: tuple[str, ...]) -> _Fill:
    return lambda rng: words[int(rng.random() * len(words))]


_path, _table, _peer = _pick(_PATHS), _pick(_TABLES), _pick(_PEERS)

# (template, fills): one %s per fill. The texts are 20 to 40 bytes, so that a JSON record has 150 to 180.
_TEMPLATES: dict[str, tuple[tuple[str, tuple[_Fill, ...]], ...]] = {
    "ERROR": (
        ("payment declined for user %s order %s", (_user, _number)),
        ("connection to %s lost, user %s", (_peer, _user)),
        ("timeout calling %s for session %s", (_peer, _session)),
        ("cannot write table %s row %s", (_table, _number)),
    ),
    "WARN": (
        ("slow query on %s, %s rows", (_table, _number)),
        ("retrying %s for user %s", (_peer, _user)),
        ("login refused for user %s from %s", (_user, _address)),
        ("queue depth %s on %s", (_number, _peer)),
    ),
    "INFO": (
        ("GET %s 200 user %s", (_path, _user)),
        ("POST %s 201 session %s", (_path, _session)),
        ("GET %s 304 from %s", (_path, _address)),
        ("user %s signed in, session %s", (_user, _session)),
        ("order %s placed by user %s", (_number, _user)),
        ("user %s put item %s in the cart", (_user, _number)),
        ("sent %s bytes to %s", (_number, _address)),
        ("session %s renewed for user %s", (_session, _user)),
    ),
    "DEBUG": (
        ("cache miss for key %s session %s", (_table, _session)),
        ("pool %s has %s connections", (_peer, _number)),
        ("read %s rows from %s for %s", (_number, _table, _user)),
        ("token of session %s is fresh", (_session,)),
    ),
}


def levels(records: int, rng: Random) -> list[str]:
    """As many levels as asked for, in random order, in the shares of LEVEL_SHARES (INFO takes the rounding)."""
    drawn = [level for level, share in LEVEL_SHARES.items() for _ in range(records * share // 100)]
    drawn += ["INFO"] * (records - len(drawn))
    rng.shuffle(drawn)
    return drawn


def service(rng: Random) -> str:
    """One of SERVICES."""
    return SERVICES[int(rng.random() * len(SERVICES))]


def message(level: str, rng: Random) -> str:
    """A message without its duration; `duration` makes it whole."""
    templates = _TEMPLATES[level]
    template, fills = templates[int(rng.random() * len(templates))]
    return template % tuple(fill(rng) for fill in fills)


DURATION_OVERHEAD_BYTES = len(" in us")


def duration(digits: int, rng: Random) -> str:
    """` in 1234us`, with exactly so many digits (at least one)."""
    low: int = 10 ** (digits - 1)
    return f" in {low + int(rng.random() * 9 * low)}us"
