"""Which Host headers are answered: a defence against DNS rebinding.

A web page anywhere can point a name of its own at 127.0.0.1 and have its reader's browser ask us; the browser then
sends that name as Host. So a name is answered only when no stranger can own it: an IP address, a name without a
dot, a name under a top-level domain kept out of the public DNS, this machine's own names. Who asks with a public
name behind a reverse proxy adds it to the view's `hosts`.
"""

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final

#: RFC 6761 (localhost), RFC 6762 (local), RFC 8375 (home.arpa), and internal, reserved by ICANN in 2024.
_PRIVATE_SUFFIXES: Final = (".localhost", ".local", ".home.arpa", ".internal")


def _name(host: str) -> str:
    """The host without its port (RFC 3986 section 3.2.2), lower case, without the root's dot."""
    name = host.partition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
    return name.lower().removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


class Hosts:
    """The names one sidecar answers to."""

    def __init__(self, own: Iterable[str]) -> None:
        self._own = frozenset(_name(name) for name in own)

    def __contains__(self, host: str) -> bool:
        """Whether to answer a request with this Host header, port and all."""
        name = _name(host)
        if not name:
            return False
        return "." not in name or name in self._own or name.endswith(_PRIVATE_SUFFIXES) or _is_address(name)
