"""A frame of `top`: of any size, of any content, and what comes first."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.text import Span, Text

from ingestd.ask import AskError
from ingestd.terminal.answers import Snapshot, read_snapshot
from ingestd.terminal.screen import draw
from ingestd.terminal.sheet import ASCII, UNICODE, bar, columns, fitted, row, sparkline
from ingestd.terminal.watch import Reading

NOW_S = 1_800_000_000.0

FULL: dict[str, Any] = {
    "assessment": {
        "state": "critical",
        "headline": "2 things are wrong",
        "detail": "x",
        "findings": [
            {"severity": "critical", "what": "Good records were lost.", "do": "See the reasons."},
            {"severity": "attention", "what": "The disk is 85% full.", "do": "Make room."},
        ],
    },
    "stats": {
        "version": "1.2.3",
        "hostname": "vm",
        "state": "degraded",
        "uptime_seconds": 7300.0,
        "received_per_second": 1234567.0,
        "in_megabytes_per_second": 234.5,
        "latency_seconds": {"p50": 0.01, "p99": 1.5},
        "queue_bytes": 60_000_000,
        "drops": {"backpressure": 12},
        "rejects": {"invalid_json": 3},
        "data_dir_free_bytes": 15,
        "data_dir_total_bytes": 100,
        "data_dir_full_in_seconds": 7200.0,
        "format_received_per_second": {"json": 10.0, "syslog": 0.5},
        "level_received_per_second": {"INFO": 8.0, "FATAL": 1.0},
        "workers": [
            {
                "worker": number,
                "pid": 100 + number,
                "state": "dead" if number == 19 else "ready",
                "cpu_seconds": 1.0,
            }
            for number in range(20)
        ],
    },
    "recent": {"dropped": {"backpressure": 2}},
    "queue_limit_bytes": 64_000_000,
    "services": [{"service": "api", "per_second": 5.0}, {"service": "", "per_second": 1.0}],
    "alerts": {
        "summary": {
            "rules": 3,
            "firing": 2,
            "alerts": [
                {"rule": "errors", "severity": "critical", "summary": "many errors of 日本"},
                {"rule": "quiet", "severity": "warning", "summary": "held", "silenced_by": ["1"]},
            ],
            "nodes": {"ok": 4, "late": 1, "failed": 2},
        },
        "nodes": [
            {"node": "web-1", "service": "shop", "state": "failed", "silent_seconds": 95.0},
            {"node": "web-2", "service": "shop", "state": "ok", "silent_seconds": 1.0},
        ],
    },
}


def reading(snapshot: dict[str, Any] = FULL, **fields: Any) -> Reading:
    return Reading(
        read_snapshot(snapshot, ""), received_per_second=(1.0, 5.0, 10.0), loads={100: 0.5}, **fields
    )


def lines(given_reading: Reading, width: int = 100, height: int = 60) -> list[str]:
    return [line.plain for line in draw(given_reading, width, height, UNICODE, NOW_S, "q quits")]


def shown(given_reading: Reading, width: int = 100, height: int = 60) -> str:
    return "\n".join(lines(given_reading, width, height))


@pytest.mark.parametrize("width", [1, 2, 5, 20, 40, 79, 84, 100, 149, 150, 200, 400])
@pytest.mark.parametrize("height", [1, 2, 5, 24, 60, 1000])
def test_every_size(width: int, height: int) -> None:
    for given_reading in (reading(), Reading(), reading(trouble=AskError("gone " * 50), since_s=NOW_S - 5)):
        frame = draw(given_reading, width, height, UNICODE, NOW_S)
        assert 0 < len(frame) <= height
        assert all(line.cell_len <= width for line in frame)


def test_what_it_says() -> None:
    text = shown(reading(), 160, 60)
    for part in (
        " 2 things are wrong ",
        "ingestd 1.2.3 on vm, degraded, up 2 h 1 min",
        "!! Good records were lost. See the reasons.",
        "! The disk is 85% full. Make room.",
        "1,234,567 rec/s",
        "p99 1.5 s",
        "60 MB",
        "15 B free, full in 2 h 0 min",
        "dropped backpressure",
        "rejected invalid json",
        "2 firing of 3 rules",
        "errors many errors of 日本",
        "quiet (silenced) held",
        "  0 ready      50%",
        " 19 dead",
        "max 10",
        "and 4 more",
        "FATAL",
        "(all others)",
        "4 ok, 1 late, 2 failed",
        "failed   heard 1 min ago",
        "q quits",
    ):
        assert part in text, part


def test_what_matters_comes_first_where_room_is_short() -> None:
    short = lines(reading(), 60, 20)
    assert short[0].startswith(" 2 things are wrong")
    assert any("Traffic" in line for line in short)
    assert not any("Nodes" in line for line in short)
    assert short[-1].split() == ["q", "quits", "6", "more", "in", "a", "larger", "window"]


def test_no_answer() -> None:
    first = shown(Reading(trouble=AskError("not running: why"), since_s=NOW_S - 61))
    assert "Not reachable since" in first
    assert "for 1 min" in first
    assert "not running: why" in first
    later = draw(reading(trouble=AskError("gone"), since_s=NOW_S), 100, 60, UNICODE, NOW_S)
    assert "What is below was so before that." in later[2].plain
    panel = next(line for line in later if "Traffic" in line.plain)
    assert panel.spans[-1] == Span(0, len(panel), "dim")
    assert "Asking …" in shown(Reading())


def test_calm_where_all_is_well() -> None:
    well = FULL | {"assessment": {"state": "well", "headline": "All is well", "detail": "2 workers ready"}}
    frame = draw(reading(well), 100, 60, UNICODE, NOW_S)
    assert frame[0].plain.startswith(" All is well ")
    assert "on" not in str(frame[0].spans[0].style)  # no background


def test_a_terminal_without_unicode() -> None:
    frame = draw(reading(), 100, 60, ASCII, NOW_S)
    drawn = "".join(line.plain for line in frame)
    assert not set(drawn) & set("█░─▁▂▃▄▅▆▇")


TEXTS = st.text(max_size=20)
SPEEDS = st.floats(0, 1e12) | st.none()


@settings(deadline=None)
@given(
    texts=st.lists(TEXTS, min_size=6, max_size=6),
    speeds=st.lists(SPEEDS, min_size=4, max_size=4),
    services=st.dictionaries(TEXTS, st.floats(0, 1e9), max_size=4),
    width=st.integers(1, 170),
)
def test_whatever_it_is_told(
    texts: list[str], speeds: list[float | None], services: dict[str, float], width: int
) -> None:
    finding = {"severity": texts[0], "what": texts[1], "do": texts[2]}
    snapshot = msgspec.json.decode(msgspec.json.encode(FULL))
    snapshot["assessment"] = {
        "state": texts[3],
        "headline": texts[4],
        "detail": "",
        "findings": [finding] * 9,
    }
    snapshot["stats"] |= {
        "hostname": texts[5],
        "received_per_second": speeds[0],
        "in_megabytes_per_second": speeds[1],
        "latency_seconds": {"p50": speeds[2], "p99": speeds[3]},
        "format_received_per_second": services,
    }
    snapshot["services"] = [{"service": name, "per_second": value} for name, value in services.items()]
    frame = draw(reading(snapshot), width, 50, UNICODE, NOW_S)
    assert all(line.cell_len <= width for line in frame)
    assert not any(character in line.plain for line in frame for character in "\x1b\n\r\x9b\u202e")


def test_rows_and_bars() -> None:
    assert row(Text("name"), Text("12"), 10).plain == "name    12"
    assert row(Text("a long name"), Text("12"), 10).plain == "a long… 12"
    assert row(Text("abcdef"), Text("123456789"), 5).plain == "1234…"
    assert fitted(Text("日本語"), 5).cell_len == 5
    assert bar(0.5, 4, ASCII, "").plain == "##.."
    assert bar(7.0, 4, ASCII, "").plain == "####"


def test_sparklines() -> None:
    assert sparkline([0, 4, 8], 5, UNICODE, "").plain == "   ▄█"
    assert sparkline([0.0, 0.0], 2, UNICODE, "").plain == "  "
    assert sparkline([1e-9, 1e9], 2, UNICODE, "").plain == "▁█"
    assert sparkline([], 2, UNICODE, "").plain == "  "
    assert sparkline([1.0], 0, UNICODE, "").plain == ""


def test_columns() -> None:
    panels = [
        [Text(f"{name}{number}") for number in range(height)]
        for name, height in (("a", 3), ("b", 1), ("c", 1), ("d", 9))
    ]
    shown_lines, left_out = columns(panels, 2, 2, 5)
    assert [line.plain for line in shown_lines] == ["a0   b0", "a1     ", "a2   c0"]
    assert left_out == 1


def test_a_snapshot_of_nothing() -> None:
    assert isinstance(reading().snapshot, Snapshot)
    bare = {
        "assessment": {"state": "well", "headline": "All is well", "detail": "none"},
        "stats": {"version": "1", "hostname": "h", "state": "ready", "uptime_seconds": 0.0},
    }
    text = shown(reading(bare))
    assert "Nothing dropped, nothing rejected." in text
    assert "Services" not in text
