"""Asking a running daemon over its HTTP side, as the commands of the terminal do.

A `Daemon` says where to look and how to trust what answers; nothing is kept between two questions. So a daemon that is
started again, on another port or with another certificate, is found again by the next question.

Over TLS, a daemon of this machine must show the certificate that its configuration names (`http.cert`): that one alone
is trusted, so it needs neither a CA nor the name of the host in it. One that is named by its URL is checked as browsers
do, against the CAs of the system or those of `ca`.
"""

from __future__ import annotations

import json
import os
import re
import ssl
import urllib.request
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Any, Final, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit

from ingestd.errors import IngestdError
from ingestd.visible import visible

#: What a running daemon leaves in its state_dir: its pid, and where it listens.
STATE_FILE: Final = "ingestd.json"

TIMEOUT_S: Final = 5.0

#: More than any answer of a daemon; from something else that answers we read no more.
MAX_ANSWER_BYTES: Final = 64 << 20

_CERTIFICATE: Final = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class AskError(IngestdError):
    """No answer of use. By the exit codes of status commands (LSB), 4 says that nothing is known of the daemon."""

    exit_code = 4


class NotRunningError(AskError):
    """There is no daemon where it was looked for; its exit code is the one of `systemctl status`."""

    exit_code = 3


class SilentError(AskError):
    """No answer came from a URL, whatever is there."""


class StuckError(AskError):
    """The daemon's process runs, and no answer came."""

    exit_code = 1


class RefusedError(AskError):
    """The answer was a refusal; `status` is that of HTTP."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Daemon(NamedTuple):
    """Where a daemon is looked for. `url` is one that was given; empty looks into `state_file` at each question."""

    state_file: Path
    """The `ingestd.json` that a running daemon keeps."""
    url: str = ""
    certificate: Path | None = None
    """What it shows over TLS where it was found through `state_file`; None: it speaks without."""
    ca: Path | None = None
    """A PEM file of CAs to trust instead."""
    token: str = ""

    def address(self) -> str:
        """The URL to ask. Raises `NotRunningError` or `AskError`."""
        if self.url:
            return self.url.rstrip("/")
        _, http = self._announced()
        host, _, port = http.rpartition(":")
        local = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # every address is no address
        return f"{'https' if self.certificate else 'http'}://{local}:{port}"

    def ask(self, path: str, *, method: str = "GET", body: object = None, **query: str) -> Any:
        """The decoded JSON of one answer. `body` is sent as JSON; `query` stands behind the path.

        Raises `NotRunningError`, `StuckError`, `SilentError` and `RefusedError`, and `AskError` for what is no daemon.
        """
        address = self.address()
        url = f"{address}{quote(path)}" + (f"?{urlencode(query)}" if query else "")
        headers = {"Accept": "application/json"}
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        try:
            request = urllib.request.Request(url, data, headers, method=method)
            with self._opener().open(request, timeout=TIMEOUT_S) as answer:
                return json.loads(answer.read(MAX_ANSWER_BYTES) or b"null")
        except HTTPError as error:
            with error:
                raise _refusal(error, address) from error
        except (URLError, OSError, HTTPException) as error:
            raise self._silence(address, error) from error
        except ValueError as error:
            raise AskError(f"{address} is no ingestd: its answer is not JSON") from error

    def _announced(self) -> tuple[int, str]:
        """The process and the HTTP address that the state file names."""
        try:
            state = json.loads(self.state_file.read_bytes())
            pid, http = int(state["pid"]), str(state["http"])
        except FileNotFoundError:
            raise NotRunningError(
                f"not running: there is no {self.state_file}; name its configuration with -c, or its --url"
            ) from None
        except OSError as error:
            raise AskError(
                f"{self.state_file}: {error.strerror}; run this as the daemon's user, or name its --url"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise AskError(f"{self.state_file} is not what a daemon writes; name its --url") from error
        return pid, http

    def _opener(self) -> urllib.request.OpenerDirector:
        # A proxy of the environment is for the world outside and would not know a daemon of this machine.
        tls = urllib.request.HTTPSHandler(context=self._tls())
        return urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect, tls)

    def _tls(self) -> ssl.SSLContext:
        if self.ca is not None or self.url or self.certificate is None:
            try:
                return ssl.create_default_context(cafile=self.ca)
            except (OSError, ssl.SSLError) as error:
                raise AskError(f"--ca {self.ca}: not a PEM file of certificates") from error
        try:
            found = _CERTIFICATE.search(self.certificate.read_text(encoding="ascii", errors="replace"))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            context.load_verify_locations(cadata=found[0] if found else "")
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            why = getattr(error, "strerror", None) or "not a PEM certificate"
            raise AskError(
                f"http.cert {self.certificate}: {why}; give --ca with the CA that signed it"
            ) from error
        return context

    def _silence(self, address: str, error: Exception) -> AskError:
        """Why nothing came, as far as it can be told."""
        cause = getattr(error, "reason", error)
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = cause.verify_message
            if self.url or self.ca is not None:
                return AskError(
                    f"{address} shows a certificate that is not trusted ({why}); give its CA with --ca"
                )
            return AskError(
                f"{address} shows another certificate than {self.certificate} ({why}); reload the daemon with "
                "SIGHUP if that is new, or give --ca"
            )
        why = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
        if self.url:
            return SilentError(f"no answer from {address}: {why}; is this its address, and does it run?")
        pid, _ = self._announced()
        if not _runs(pid):
            return NotRunningError(
                f"not running: process {pid} of {self.state_file} is gone; it did not stop by itself"
            )
        return StuckError(f"process {pid} runs, but no answer comes from {address}: {why}; look into its log")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A daemon never sends elsewhere, and the token is not for others."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> None:
        return None


def parse_url(text: str) -> str:
    """A URL as `--url` takes it. Raises ValueError that says how to write it."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none
        usable = False
    if not usable:
        raise ValueError(f"{text!r} is no URL of a daemon; write it as http://host:port or https://host:port")
    return text


def _refusal(error: HTTPError, address: str) -> AskError:
    if error.code == 401:
        return RefusedError(
            f"{address} asks for a token; give --token-file FILE with one of http.tokens_file", 401
        )
    text = error.read(4096).decode("utf-8", "replace").strip()
    try:
        answer = json.loads(text)
        text = str(answer.get("reason") or answer.get("error") or text)
    except (ValueError, AttributeError):
        text = text.partition("\n")[0]
    said = visible(f"{error.reason}: {text}".rstrip(": "))
    return RefusedError(f"{address} answered {error.code} {said}", error.code)


def _runs(pid: int) -> bool:
    if pid <= 0:  # would be a group of processes
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
