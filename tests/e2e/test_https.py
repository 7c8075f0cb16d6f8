"""The HTTP side over TLS and with tokens, as other machines would see it."""

from __future__ import annotations

import json
import signal
import ssl
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner

from ingestd.certs import make
from ingestd.cli import main
from ingestd.tokens import make_token
from tests.daemon import PATIENCE_S, Daemon, wait_for


def test_https_with_a_token(tmp_path: Path, certs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret, line = make_token("prometheus")
    (tmp_path / "tokens").write_text(line)
    settings = {
        "server.workers": 1,
        "http.address": "0.0.0.0",
        "http.cert": certs / "server.crt",
        "http.key": certs / "server.key",
        "http.tokens_file": tmp_path / "tokens",
    }
    context = ssl.create_default_context(cafile=certs / "ca.crt")
    with Daemon(tmp_path / "daemon", **settings) as daemon:
        url = f"https://localhost:{daemon.http[1]}"

        def ask(path: str, **headers: str) -> bytes:
            request = urllib.request.Request(url + path, headers=headers)
            with urllib.request.urlopen(request, timeout=PATIENCE_S, context=context) as answer:
                body: bytes = answer.read()
                return body

        assert json.loads(ask("/readyz")) == {"status": "ready"}
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask("/api/stats")
        assert refused.value.code == 401
        refused.value.close()
        stats = json.loads(ask("/api/stats", Authorization=f"Bearer {secret}"))
        assert stats["state"] == "ready"
        assert secret not in json.dumps(stats)

        monkeypatch.setenv("INGESTD_REGISTRY_TOKEN", secret)
        listed = ["schema", "list", f"--url={url}", f"--ca={certs / 'ca.crt'}"]
        assert CliRunner().invoke(main, listed).exit_code == 0
        assert "CERTIFICATE_VERIFY_FAILED" in CliRunner().invoke(main, listed[:-1]).stderr
    said = daemon.log.read_text()
    assert f"https://0.0.0.0:{daemon.http[1]}/" in said
    assert "refused a request from 127.0.0.1: no token" in said
    assert secret not in said


def test_a_new_certificate_is_taken_on_sighup(tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    make(folder)
    settings = {"server.workers": 1, "http.cert": folder / "server.crt", "http.key": folder / "server.key"}
    with Daemon(tmp_path / "daemon", **settings) as daemon:
        old = ssl.get_server_certificate(daemon.http, timeout=PATIENCE_S)
        make(folder, force=True)
        daemon.process.send_signal(signal.SIGHUP)
        wait_for(lambda: ssl.get_server_certificate(daemon.http, timeout=PATIENCE_S) != old, "the new one")
