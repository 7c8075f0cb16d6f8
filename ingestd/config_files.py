"""Whether the files and folders a configuration names are there, readable, and fit each other.

Asked by `ingestd check` and before a start, and separate from decoding since the answer depends on the machine
and the moment. Nothing is made or changed: a folder that is missing passes if it could be made. The TLS files
are loaded just as the daemon will load them; where OpenSSL's own words say little, ours say what to do.
"""

import datetime
import os
import shutil
import ssl
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509

from ingestd.config import Config, Tcp
from ingestd.config_alerts import Notifier
from ingestd.config_decode import table_label, toml_text
from ingestd.errors import ConfigError, Problem
from ingestd.tokens import TokenError, parse_tokens


def check_files(config: Config, source: str = "configuration") -> None:
    """Raise ConfigError with everything about files and folders that would keep the daemon from working."""
    problems = [
        *_folder_problems("server.data_dir", config.server.data_dir),
        *_folder_problems("server.state_dir", config.server.state_dir),
    ]
    if not config.listen.tcp.plaintext:
        problems += _tls_problems(config.listen.tcp)
    if config.http.cert:
        problems += _certificate_problems("http", config.http.cert, config.http.key)
    for key, file in (
        ("http.tokens_file", config.http.tokens_file),
        ("auth.tokens_file", config.auth.tokens_file),
    ):
        if file:
            problems += _token_problems(key, file)
    for number, notifier in enumerate(config.notifier, 1):
        problems += _notifier_problems(table_label("notifier", number, notifier.name), notifier)
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
    yield from _certificate_problems("listen.tcp", tcp.cert, tcp.key)
    if tcp.client_ca:
        wrong_ca = list(_file_problems("listen.tcp.client_ca", tcp.client_ca, "name the CA's file"))
        yield from wrong_ca or _ca_problems(tcp)


def _certificate_problems(section: str, cert: str, key: str) -> Iterator[Problem]:
    unreadable = [
        *_file_problems(f"{section}.cert", cert, "make one with: ingestd certs certs"),
        *_file_problems(f"{section}.key", key, "make one with: ingestd certs certs"),
    ]
    yield from unreadable or _pair_problems(section, cert, key)


def _token_problems(key: str, text: str) -> Iterator[Problem]:
    wrong = list(_file_problems(key, text, "make one with: ingestd token NAME --file FILE"))
    yield from wrong
    if wrong:
        return
    try:
        parse_tokens(Path(text).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, TokenError) as error:
        yield Problem(
            key, toml_text(text), str(error) if isinstance(error, TokenError) else "not a text file"
        )


def _notifier_problems(where: str, notifier: Notifier) -> Iterator[Problem]:
    if notifier.ca:
        yield from _file_problems(f"{where}: ca", notifier.ca, "name the CA's file")
    if notifier.command and shutil.which(notifier.command[0]) is None:
        reason = "no such program that may be run; give its whole path"
        yield Problem(f"{where}: command", toml_text(notifier.command[0]), reason)


def _file_problems(key: str, text: str, remedy: str) -> Iterator[Problem]:
    try:
        with Path(text).open("rb"):
            return
    except FileNotFoundError:
        reason = f"no such file; {remedy}"
    except OSError as error:
        reason = f"cannot be read: {error.strerror}; it must be a file the daemon's user may read"
    yield Problem(key, toml_text(text), reason)


def _pair_problems(section: str, cert_file: str, key_file: str) -> Iterator[Problem]:
    given = toml_text(cert_file)
    try:
        cert = x509.load_pem_x509_certificate(Path(cert_file).read_bytes())
    except ValueError:
        yield Problem(f"{section}.cert", given, "not a PEM certificate (-----BEGIN CERTIFICATE-----)")
        return
    try:
        # Without a password OpenSSL would ask the terminal for the one of a protected key.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert_file, key_file, password="")
    except ssl.SSLError as error:
        reason = (
            f"not the key of the certificate {cert_file}"
            if error.reason == "KEY_VALUES_MISMATCH"
            else "not a PEM private key without a passphrase"
        )
        yield Problem(f"{section}.key", toml_text(key_file), reason, (f"{section}.cert",))
    expiry, now = cert.not_valid_after_utc, datetime.datetime.now(datetime.UTC)
    if expiry < now:
        reason = f"expired on {expiry:%Y-%m-%d}; remove it and its key and make new ones with: ingestd certs"
        yield Problem(f"{section}.cert", given, f"{reason} {Path(cert_file).parent}")


def _ca_problems(tcp: Tcp) -> Iterator[Problem]:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(tcp.client_ca)
    except ssl.SSLError:
        reason = "holds no PEM certificate (-----BEGIN CERTIFICATE-----)"
        yield Problem("listen.tcp.client_ca", toml_text(tcp.client_ca), reason)
