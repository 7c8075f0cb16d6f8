"""Whether the files and folders a configuration names are there, readable, and fit each other.

Asked by `ingestd check` and before a start, and separate from decoding since the answer depends on the machine
and the moment. Nothing is made or changed: a folder that is missing passes if it could be made. The TLS files
are loaded just as the daemon will load them; where OpenSSL's own words say little, ours say what to do.
"""

import datetime
import os
import ssl
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509

from ingestd.config import Config, Tcp
from ingestd.config_decode import toml_text
from ingestd.errors import ConfigError, Problem


def check_files(config: Config, source: str = "configuration") -> None:
    """Raise ConfigError with everything about files and folders that would keep the daemon from working."""
    problems = [
        *_folder_problems("server.data_dir", config.server.data_dir),
        *_folder_problems("server.state_dir", config.server.state_dir),
    ]
    if not config.listen.tcp.plaintext:
        problems += _tls_problems(config.listen.tcp)
    if problems:
        raise ConfigError(source, problems)


def _folder_problems(key: str, text: str) -> Iterator[Problem]:
    folder = Path(text).absolute()
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if not nearest.is_dir():
        yield Problem(key, toml_text(text), f"{nearest} is a file; name a folder")
    elif not os.access(nearest, os.W_OK | os.X_OK):
        reason = f"no permission to write in {nearest}; change its owner or mode, or name another folder"
        yield Problem(key, toml_text(text), reason)


def _tls_problems(tcp: Tcp) -> Iterator[Problem]:
    unreadable = [
        *_file_problems("listen.tcp.cert", tcp.cert, "make one with: ingestd certs certs"),
        *_file_problems("listen.tcp.key", tcp.key, "make one with: ingestd certs certs"),
    ]
    yield from unreadable or _pair_problems(tcp)
    if tcp.client_ca:
        wrong_ca = list(_file_problems("listen.tcp.client_ca", tcp.client_ca, "name the CA's file"))
        yield from wrong_ca or _ca_problems(tcp)


def _file_problems(key: str, text: str, remedy: str) -> Iterator[Problem]:
    try:
        with Path(text).open("rb"):
            return
    except FileNotFoundError:
        reason = f"no such file; {remedy}"
    except OSError as error:
        reason = f"cannot be read: {error.strerror}; it must be a file the daemon's user may read"
    yield Problem(key, toml_text(text), reason)


def _pair_problems(tcp: Tcp) -> Iterator[Problem]:
    given = toml_text(tcp.cert)
    try:
        cert = x509.load_pem_x509_certificate(Path(tcp.cert).read_bytes())
    except ValueError:
        yield Problem("listen.tcp.cert", given, "not a PEM certificate (-----BEGIN CERTIFICATE-----)")
        return
    try:
        # Without a password OpenSSL would ask the terminal for the one of a protected key.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tcp.cert, tcp.key, password="")
    except ssl.SSLError as error:
        reason = (
            f"not the key of the certificate {tcp.cert}"
            if error.reason == "KEY_VALUES_MISMATCH"
            else "not a PEM private key without a passphrase"
        )
        yield Problem("listen.tcp.key", toml_text(tcp.key), reason, ("listen.tcp.cert",))
    expiry, now = cert.not_valid_after_utc, datetime.datetime.now(datetime.UTC)
    if expiry < now:
        reason = f"expired on {expiry:%Y-%m-%d}; remove it and its key and make new ones with: ingestd certs"
        yield Problem("listen.tcp.cert", given, f"{reason} {Path(tcp.cert).parent}")


def _ca_problems(tcp: Tcp) -> Iterator[Problem]:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(tcp.client_ca)
    except ssl.SSLError:
        reason = "holds no PEM certificate (-----BEGIN CERTIFICATE-----)"
        yield Problem("listen.tcp.client_ca", toml_text(tcp.client_ca), reason)
