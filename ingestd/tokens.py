"""Tokens: secrets that senders and readers show. The daemon keeps their SHA-256 hashes, one a line, in a file.

    # name   hash                   clients with acknowledgements that it may be (* and ? are wild)
    web      sha256:9f86d081884c…   client=web-*

Why a plain hash: a token is 256 random bits, which nobody searches through at any speed. A slow hash (scrypt) protects
secrets that people choose, and at 50 ms a try lets whoever guesses spend the daemon's time. So nobody chooses:
`make_token` does. What is shown is hashed and compared with every hash in constant time, to the end of the list.

A name may stand on several lines: the new token is given out before the old line goes. Messages never quote a line,
which may be a token somebody pasted.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import os
import re
import secrets
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, NamedTuple

from ingestd.errors import IngestdError

#: In front of each token, so that people and scanners for leaked secrets know what it is.
PREFIX: Final = "ingestd_"
_SECRET_BYTES: Final = 32

_NAME: Final = re.compile(r"[A-Za-z0-9._:@-]{1,64}")
_HASH: Final = re.compile(r"sha256:([0-9a-f]{64})")
_CLIENT: Final = re.compile(r"client=([A-Za-z0-9._:*?-]{1,64})")

log = logging.getLogger("ingestd.auth")


class TokenError(IngestdError):
    """Not a file of tokens; `str()` says which line and why, and never what it says."""


class Token(NamedTuple):
    """What is known of one token."""

    name: str
    """For logs: whose it is."""
    digest: bytes
    client: str
    """A pattern of the client ids it may speak for."""

    def allows(self, client: str) -> bool:
        """Whether who shows it may be this client with acknowledgements."""
        return fnmatchcase(client, self.client)


def make_token(name: str, client: str = "*") -> tuple[str, str]:
    """A new secret, and the line of the file that admits it. Raises `TokenError` for a name or pattern of no use."""
    secret = PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
    line = f"{name} sha256:{_digest(secret).hex()}" + ("" if client == "*" else f" client={client}")
    _parse_line(line)
    return secret, line


def add_line(path: Path, line: str) -> None:
    """Add a line to a file of tokens, which is made if need be, for its owner alone. Raises `TokenError`."""
    try:
        with os.fdopen(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "r+b") as file:
            unended = file.seek(0, os.SEEK_END) and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n"
            file.write(b"\n" * unended + line.encode() + b"\n")
    except OSError as error:
        raise TokenError(f"{path}: {error.strerror}; name a file you may write") from error


def parse_tokens(text: str) -> tuple[Token, ...]:
    """The tokens of a file. Raises `TokenError`, also where there is none: an empty file is one being written."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if words := line.partition("#")[0].strip():
            try:
                found.append(_parse_line(words))
            except TokenError as error:
                raise TokenError(f"line {number}: {error}") from None
    if not found:
        raise TokenError("holds no token; `ingestd token NAME` makes one")
    return tuple(found)


def _parse_line(line: str) -> Token:
    name, *words = line.split()
    if not _NAME.fullmatch(name):
        raise TokenError("a line begins with a name, 1 to 64 of letters, digits and ._:@-")
    digest = _HASH.fullmatch(words[0]) if words else None
    if digest is None:
        raise TokenError("behind the name stand sha256: and 64 hexadecimal digits")
    client = _CLIENT.fullmatch(words[1]) if len(words) == 2 else None
    if len(words) > 1 and client is None:
        raise TokenError("behind the hash may stand client= and a pattern of letters, digits and ._:-*?")
    return Token(name, bytes.fromhex(digest[1]), client[1] if client else "*")


def find_token(tokens: Iterable[Token], secret: str) -> Token | None:
    """The token of this secret. How long it takes says nothing of which, or of how near a guess came."""
    digest = _digest(secret)
    found = None
    for token in tokens:
        if hmac.compare_digest(token.digest, digest):
            found = token
    return found


def same_secret(one: str, other: str) -> bool:
    """Whether two secrets are the same; the time tells neither where they differ nor how long they are."""
    return hmac.compare_digest(_digest(one), _digest(other))


def shown_secret(authorization: str) -> str:
    """What an Authorization header shows: `Bearer <token>`, or `Basic` with it as password (RFC 6750, RFC 7617)."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


def _digest(secret: str) -> bytes:
    # What HTTP headers hold beyond UTF-8 comes as surrogates.
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


class TokenFile:
    """The tokens of a file as it is now. One that cannot be read leaves those it had before; at first that is none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: object = None
        self.tokens: tuple[Token, ...] = ()
        self.look()

    def look(self) -> bool:
        """Read the file again if it is another; whether the tokens are. Costs one `stat` where nothing changed."""
        try:
            stat = self._path.stat()
            seen: object = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
            if seen == self._seen:
                return False
            tokens = parse_tokens(self._path.read_text(encoding="utf-8"))
        except OSError as error:
            return self._keep(error.errno, error.strerror or str(error))
        except UnicodeDecodeError:
            return self._keep(seen, "not UTF-8")
        except TokenError as error:
            return self._keep(seen, str(error))
        changed = set(tokens) != set(self.tokens)
        self._seen, self.tokens = seen, tokens
        return changed

    def _keep(self, seen: object, reason: str) -> bool:
        if seen != self._seen:
            self._seen = seen
            log.error("%s: %s; the %d tokens known before still hold", self._path, reason, len(self.tokens))
        return False
