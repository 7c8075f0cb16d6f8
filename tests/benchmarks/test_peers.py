from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from benchmarks import rsyslog, syslog_ng
from benchmarks.peers import Setting, _count

LINES = b'{"message":"\\u0000INGEST/1 syslog"}\n{"message":"a seq=1"}\n{"message":"b seq=2"}\n'


@pytest.mark.parametrize("zipped", [False, True])
def test_the_header_line_that_a_peer_stores_is_not_counted(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "records"
    path.write_bytes(gzip.compress(LINES) if zipped else LINES)
    assert _count(path, zipped) == (2, len(LINES))


@pytest.mark.parametrize("setting", [*rsyslog.PROGRAM.settings, *syslog_ng.PROGRAM.settings])
def test_a_configuration_is_whole_once_filled_in(setting: Setting) -> None:
    text = setting.config.format(folder="/place", certs="/certs", host="vm", port=4711)
    assert "4711" in text
    assert "/place/records" in text
    assert "{{" not in text
    assert ("/certs/server.key" in text) or setting.transport == "tcp"
