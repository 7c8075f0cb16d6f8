"""The daemon's log: a line for each alert of a notice, with the level that its severity deserves."""

from __future__ import annotations

import logging
from typing import Final

from ingestd.alerts.notices import Notice
from ingestd.alerts.view import AlertView
from ingestd.visible import visible

#: Lines of one notice.
MOST_LINES: Final = 10

_LEVELS: Final = {"critical": logging.ERROR, "warning": logging.WARNING, "info": logging.INFO}

log = logging.getLogger("ingestd.alerts")


class Log:
    """Writes what anybody who reads the log will see."""

    async def deliver(self, notice: Notice) -> None:
        alerts = (*notice.firing, *notice.resolved)
        for alert in alerts[:MOST_LINES]:
            log.log(*_line(alert))
        if len(alerts) > MOST_LINES:
            log.warning("and %d more alerts of %s", len(alerts) - MOST_LINES, visible(notice.group))

    async def close(self) -> None:
        """Nothing is open."""


def _line(alert: AlertView) -> tuple[int, str, str, str]:
    if alert.resolved_at:
        return logging.INFO, "alert %s is over: %s", alert.rule, visible(alert.summary)
    level = _LEVELS.get(alert.severity, logging.WARNING)
    return level, "alert %s fires: %s", alert.rule, visible(alert.summary)
