"""A client of the registry for the command line, over the API that every other client uses too."""

from __future__ import annotations

import json
import ssl
import urllib.request
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import quote

from ingestd.errors import IngestdError

TIMEOUT_S: Final = 30.0
_CONTENT_TYPE: Final = "application/vnd.schemaregistry.v1+json"


class RegistryError(IngestdError):
    """The registry refused, or there is none where it was looked for."""


class Client:
    """One registry by its URL; `token` is sent where there is one. Raises RegistryError for another kind of URL.

    `ca` is a PEM file of CAs to trust instead of the system's.
    """

    def __init__(self, url: str, token: str, ca: Path | None = None) -> None:
        if not url.startswith(("http://", "https://")):
            raise RegistryError(f"--url {url}: write it as http://host:port")
        self._url = url.rstrip("/")
        self._headers = {"Content-Type": _CONTENT_TYPE}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        try:
            tls = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca))
        except ssl.SSLError as error:
            raise RegistryError(f"--ca {ca}: not a PEM file of certificates") from error
        # A proxy of the environment is for the world outside and would not know a daemon of this machine.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), tls)

    def ask(self, method: str, *path: str, body: object = None, **query: str) -> Any:
        """The answer to one request. Raises RegistryError with the registry's own words."""
        url = "/".join([self._url, *(quote(part, safe="") for part in path)])
        url += (
            "?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
            if query
            else ""
        )
        data = None if body is None else json.dumps(body).encode()
        try:
            request = urllib.request.Request(url, data, self._headers, method=method)
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                return json.load(answer)
        except HTTPError as error:
            with error:
                raise RegistryError(_message(error)) from error
        except (URLError, OSError) as error:
            reason = getattr(error, "reason", None) or error
            raise RegistryError(
                f"no registry answers at {self._url}: {reason}; is the daemon running?"
            ) from error
        except ValueError as error:
            raise RegistryError(
                f"{self._url} is no registry: {error}; name one with --url http://host:port"
            ) from error


def _message(error: HTTPError) -> str:
    try:
        answer = json.loads(error.read())
        return f"{answer['message']} ({answer['error_code']})"
    except (ValueError, KeyError, TypeError):
        return f"{error.url} answered {error.code} {error.reason}: it is no registry; name one with --url"
