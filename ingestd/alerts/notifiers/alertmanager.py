"""Prometheus' Alertmanager, by its API v2: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml

It groups, silences and repeats by itself, and takes an alert for over when it is not told of it any more. So each
firing alert is sent with an end that lies `HOLDS_S` ahead and is sent again well before (`Alerts` does, each
`REFRESH_S`): when the daemon is gone for good, its alerts end there.
"""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec

from ingestd.alerts.notices import Notice, texts
from ingestd.alerts.notifiers.post import Poster
from ingestd.alerts.view import AlertView, rfc3339
from ingestd.config_alerts import Notifier

REFRESH_S: Final = 60.0
HOLDS_S: Final = 5 * REFRESH_S

#: Alerts of one request: some hundred kilobytes.
_AT_A_TIME: Final = 200


class Alertmanager:
    """One Alertmanager that is told of each alert by itself."""

    def __init__(self, notifier: Notifier, url: str) -> None:
        self._to = notifier.url.rstrip("/") + "/api/v2/alerts"
        self._url = url
        self._poster = Poster(notifier)

    async def deliver(self, notice: Notice) -> None:
        alerts = [self._alert(alert) for alert in (*notice.firing, *notice.resolved)]
        for first in range(0, len(alerts), _AT_A_TIME):
            body = msgspec.json.encode(alerts[first : first + _AT_A_TIME])
            await self._poster.post(self._to, body, quote=True)

    async def close(self) -> None:
        await self._poster.close()

    def _alert(self, alert: AlertView) -> dict[str, Any]:
        return {
            "labels": {"alertname": alert.rule, **alert.labels},
            "annotations": texts(alert),
            "startsAt": alert.fired_at or alert.since,
            "endsAt": alert.resolved_at or rfc3339(time.time() + HOLDS_S),
            "generatorURL": self._url,
        }
