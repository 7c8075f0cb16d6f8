"""What /metrics says of alerts."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ingestd.alerts.alerts import Alerts
from ingestd.alerts.engine import Engine
from ingestd.alerts.settings import EngineSettings, Settings
from ingestd.observe.messages import Observation
from ingestd.sidecar.alert_families import ALERT_METRICS
from ingestd.sidecar.alert_metrics import render
from tests.alerts.made import beat, match_rule, matched, notice, played
from tests.sidecar.served import Answer
from tests.sidecar.test_exposition import find_promtool


def rendered(folder: Path, *, taken_up: bool) -> Answer:
    async def scene() -> str:
        alerts = Alerts(Settings(folder, EngineSettings((match_rule(), match_rule("later", for_=60.0)))))
        if taken_up:
            now_s = alerts.clock()
            engine = alerts.engine = Engine(alerts.settings.engine, now_s)
            for rule in ("errors", "later"):
                engine.hear(matched(rule, 'evil"} 1\n', at_s=now_s), now_s)
            engine.hear(Observation(0, heartbeats=[beat(at_s=now_s)]), now_s)
            engine.silences.add({"rule": "errors"}, now_s + 60, now_s, author="ann", comment="")
            for latency_s in (0.02, 0.02, 99.0):
                alerts.latency.add(latency_s)
        alerts.outboxes[0].put(notice())
        return render(alerts)

    return Answer(200, {}, played(scene()).encode())


def test_how_alerts_notices_and_nodes_stand(tmp_path: Path) -> None:
    samples = rendered(tmp_path, taken_up=True).samples()
    expected = {
        'ingestd_alerts_firing{rule="errors",severity="warning"}': 1,
        'ingestd_alerts_firing{rule="later",severity="warning"}': 0,
        "ingestd_alerts_pending": 1,
        "ingestd_alerts_silenced": 1,
        'ingestd_nodes{state="ok"}': 1,
        'ingestd_notifications_total{notifier="log",outcome="delivered"}': 0,
        'ingestd_notifications_waiting{notifier="log"}': 1,
        'ingestd_notification_latency_seconds_bucket{le="0.01"}': 0,
        'ingestd_notification_latency_seconds_bucket{le="0.025"}': 2,
        'ingestd_notification_latency_seconds_bucket{le="+Inf"}': 3,
        "ingestd_notification_latency_seconds_count": 3,
    }
    assert {name: samples.get(name) for name in expected} == expected


@pytest.mark.parametrize("taken_up", [True, False])
def test_every_family_has_help_and_type_once_and_no_text_of_records(tmp_path: Path, taken_up: bool) -> None:
    text = rendered(tmp_path, taken_up=taken_up).text
    for metric in ALERT_METRICS:
        assert text.count(f"# TYPE {metric.name} {metric.kind}\n") == 1
        assert text.count(f"# HELP {metric.name} ") == 1
    assert "evil" not in text


@pytest.mark.parametrize("taken_up", [True, False])
def test_promtool_finds_nothing_to_say(tmp_path: Path, taken_up: bool) -> None:
    promtool = find_promtool()
    if promtool is None:
        pytest.skip("promtool is not here (Debian package prometheus)")
    body = rendered(tmp_path, taken_up=taken_up).body
    checked = subprocess.run([promtool, "check", "metrics"], input=body, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
