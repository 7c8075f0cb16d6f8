"""The client library: records in, acknowledged by ingestd once they are on its disk, each exactly once.

    from ingestd.client import Client, Tls

    with Client("logs:3001", tls=Tls(ca="ca.crt"), client_id="web-1", spool_dir="/var/spool/app") as client:
        client.send(b'{"level":"error","service":"api","message":"hi"}')

`Client` is for threads, `AsyncClient` for asyncio. They need the standard library and zstandard, and nothing else of
ingestd. docs/client.md says what is promised.
"""

from ingestd.client.aio import AsyncClient
from ingestd.client.books import Acknowledgement, Rejection, Stats
from ingestd.client.client import Client
from ingestd.client.errors import (
    ClientError,
    ClosedError,
    ConfigurationError,
    FencedError,
    RecordError,
    RefusedError,
    SpoolError,
    SpoolFullError,
)
from ingestd.client.options import Options, Tls

__all__ = [
    "Acknowledgement",
    "AsyncClient",
    "Client",
    "ClientError",
    "ClosedError",
    "ConfigurationError",
    "FencedError",
    "Options",
    "RecordError",
    "RefusedError",
    "Rejection",
    "SpoolError",
    "SpoolFullError",
    "Stats",
    "Tls",
]
