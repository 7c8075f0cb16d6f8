"""Files and folders of a configuration: what is missing, unreadable, mismatched or expired is said beforehand."""

import datetime
import os
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ingestd.certs import make
from ingestd.config import load
from ingestd.config_files import check_files
from ingestd.errors import ConfigError
from ingestd.tokens import make_token


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certs")
    make(folder)
    return folder


def check(tmp_path: Path, certs: Path, *overrides: str) -> None:
    """Check a configuration that is right but for `overrides`."""
    right = (
        f"server.data_dir={tmp_path}/data",
        f"server.state_dir={tmp_path}/state",
        f"listen.tcp.cert={certs}/server.crt",
        f"listen.tcp.key={certs}/server.key",
    )
    check_files(load(None, (*right, *overrides)), "test.toml")


def problems_of(tmp_path: Path, certs: Path, *overrides: str) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        check(tmp_path, certs, *overrides)
    assert str(caught.value).startswith("test.toml: ")
    return {problem.key: str(problem) for problem in caught.value.problems}


def test_all_is_well_and_nothing_is_made(tmp_path: Path, certs: Path) -> None:
    check(tmp_path, certs, f"listen.tcp.client_ca={certs}/ca.crt")
    assert list(tmp_path.iterdir()) == []


def test_plaintext_needs_no_certificate(tmp_path: Path, certs: Path) -> None:
    check(tmp_path, certs, "listen.tcp.plaintext=true", "listen.tcp.cert=none", "listen.tcp.key=none")


def test_missing_files_are_all_told(tmp_path: Path, certs: Path) -> None:
    overrides = [f"listen.tcp.{key}={tmp_path}/none" for key in ("cert", "key", "client_ca")]
    problems = problems_of(tmp_path, certs, *overrides)
    assert list(problems) == ["listen.tcp.cert", "listen.tcp.key", "listen.tcp.client_ca"]
    assert "no such file; make one with: ingestd certs" in problems["listen.tcp.cert"]


def test_a_folder_is_not_a_key(tmp_path: Path, certs: Path) -> None:
    problems = problems_of(tmp_path, certs, f"listen.tcp.key={tmp_path}")
    assert "cannot be read: Is a directory" in problems["listen.tcp.key"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_key_of_somebody_else(tmp_path: Path, certs: Path) -> None:
    key = tmp_path / "server.key"
    key.touch(mode=0o000)
    assert "Permission denied" in problems_of(tmp_path, certs, f"listen.tcp.key={key}")["listen.tcp.key"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_somebody_else(tmp_path: Path, certs: Path) -> None:
    (tmp_path / "theirs").mkdir(mode=0o555)
    problems = problems_of(tmp_path, certs, f"server.data_dir={tmp_path}/theirs/data")
    assert "no permission to write" in problems["server.data_dir"]


@pytest.mark.parametrize("key", ["server.data_dir", "server.state_dir"])
def test_a_file_where_a_folder_belongs(tmp_path: Path, certs: Path, key: str) -> None:
    (tmp_path / "file").touch()
    assert "is a file" in problems_of(tmp_path, certs, f"{key}={tmp_path}/file/below")[key]


def test_a_key_that_does_not_fit(tmp_path: Path, certs: Path) -> None:
    problems = problems_of(tmp_path, certs, f"listen.tcp.key={certs}/client.key")
    assert "not the key of the certificate" in problems["listen.tcp.key"]


@pytest.mark.parametrize("key", ["cert", "key", "client_ca"])
def test_a_file_that_is_not_pem(tmp_path: Path, certs: Path, key: str) -> None:
    (tmp_path / "hello").write_text("hello\n")
    (message,) = problems_of(tmp_path, certs, f"listen.tcp.{key}={tmp_path}/hello").values()
    assert "PEM" in message


@pytest.mark.parametrize("key", ["auth.tokens_file", "http.tokens_file"])
def test_files_of_tokens(tmp_path: Path, certs: Path, key: str) -> None:
    path = tmp_path / "tokens"
    assert "ingestd token NAME --file" in problems_of(tmp_path, certs, f"{key}={path}")[key]
    path.write_text("hunter2\n")
    problem = problems_of(tmp_path, certs, f"{key}={path}")[key]
    assert "line 1: behind the name" in problem
    assert "hunter2" not in problem
    path.write_bytes(b"\xff")
    assert "not a text file" in problems_of(tmp_path, certs, f"{key}={path}")[key]
    path.write_text(make_token("web")[1])
    check(tmp_path, certs, f"{key}={path}")


def test_the_certificate_of_http_is_checked_too(tmp_path: Path, certs: Path) -> None:
    check(tmp_path, certs, f"http.cert={certs}/server.crt", f"http.key={certs}/server.key")
    problems = problems_of(tmp_path, certs, f"http.cert={certs}/none", f"http.key={certs}/client.key")
    assert list(problems) == ["http.cert"]


def test_a_key_with_a_passphrase_asks_nobody(tmp_path: Path, certs: Path) -> None:
    key = serialization.load_pem_private_key((certs / "server.key").read_bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    (tmp_path / "locked.key").write_bytes(locked)
    problems = problems_of(tmp_path, certs, f"listen.tcp.key={tmp_path}/locked.key")
    assert "without a passphrase" in problems["listen.tcp.key"]


def test_an_expired_certificate(tmp_path: Path, certs: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    cert = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
        .not_valid_after(datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC))
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "old.crt").write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "old.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    problems = problems_of(
        tmp_path, certs, f"listen.tcp.cert={tmp_path}/old.crt", f"listen.tcp.key={tmp_path}/old.key"
    )
    assert "expired on 2020-01-02" in problems["listen.tcp.cert"]


def test_what_a_notifier_needs_is_there(tmp_path: Path, certs: Path) -> None:
    def notifier(**keys: str) -> str:
        return f"notifier=[{{{', '.join(f'{key}={value}' for key, value in keys.items())}}}]"

    command = {"name": '"page"', "kind": '"command"'}
    check(tmp_path, certs, notifier(**command, command='["true"]'))
    found = problems_of(tmp_path, certs, notifier(**command, command='["/nowhere/page", "x"]'))
    assert 'command = "/nowhere/page": no such program' in found['notifier "page": command']
    hook = {"name": '"ops"', "kind": '"webhook"', "url": '"https://localhost/"'}
    check(tmp_path, certs, notifier(**hook, ca=f'"{certs}/ca.crt"'))
    found = problems_of(tmp_path, certs, notifier(**hook, ca='"/nowhere/ca.crt"'))
    assert "no such file; name the CA's file" in found['notifier "ops": ca']
