"""/api/alerts, /api/nodes and /api/silences of a daemon."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestd.alerts.rules import BUILTIN
from tests.alerts.asked import JSON, ask, silence
from tests.daemon import Daemon, wait_for

RULES = (
    '[{name="errors", kind="match", level="ERROR", severity="critical"},'
    ' {name="later", kind="match", level="FATAL", for="1h"}]'
)
WISH = {"matchers": {"rule": "x"}, "duration": "1h", "author": "ann"}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("daemon"), alert=RULES) as running:
        running.send(b'{"level":"ERROR","service":"<b>api</b>","message":"boom"}\n')
        running.send(b'{"level":"FATAL","service":"db","message":"boom"}\n')
        running.send(b'{"kind":"heartbeat","node":"n1","service":"web","interval":60}\n')
        wait_for(lambda: len(ask(running, "/api/alerts").json["alerts"]) == 3, "the alerts")
        wait_for(lambda: ask(running, "/api/nodes").json["nodes"], "the node")
        yield running


def test_alerts(daemon: Daemon) -> None:
    answer = ask(daemon, "/api/alerts").json
    # A FATAL record is an ERROR too.
    assert (answer["firing"], answer["pending"], answer["truncated"]) == (2, 1, 0)
    assert [alert["state"] for alert in answer["alerts"]] == ["firing", "firing", "pending"]
    assert {alert["labels"]["service"] for alert in answer["alerts"]} == {"<b>api</b>", "db"}
    states = {rule["name"]: rule["state"] for rule in answer["rules"]}
    assert (states["errors"], states["later"], states["not-ready"]) == ("firing", "pending", "inactive")
    assert {rule["name"] for rule in answer["rules"] if rule["builtin"]} == {
        *(rule.name for rule in BUILTIN),
        "node-failed",
    }
    assert [notifier["name"] for notifier in answer["notifiers"]] == ["log"]
    wait_for(
        lambda: all(rule["evaluated_at"] for rule in ask(daemon, "/api/alerts").json["rules"]),
        "each rule to be looked at",
    )


@pytest.mark.parametrize(
    ("query", "count"),
    [("state=firing", 2), ("state=pending", 1), ("state=resolved", 0), ("rule=later", 1), ("limit=1", 1)],
)
def test_a_part_of_them(daemon: Daemon, query: str, count: int) -> None:
    answer = ask(daemon, f"/api/alerts?{query}").json
    assert len(answer["alerts"]) == count
    assert answer["truncated"] == (2 if query == "limit=1" else 0)


def test_nodes(daemon: Daemon) -> None:
    (node,) = ask(daemon, "/api/nodes?state=ok&service=web").json["nodes"]
    assert (node["node"], node["interval_seconds"], node["interval_told"]) == ("n1", 60.0, True)
    assert abs(node["clock_skew_seconds"]) < 60
    assert ask(daemon, "/api/nodes?state=failed").json["nodes"] == []


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/api/alerts?state=bad", "state: must be one of firing, pending, resolved, not 'bad'"),
        ("/api/alerts?stat=firing", "stat: unknown parameter; did you mean state?"),
        ("/api/alerts?rule=errorz", "did you mean errors?"),
        ("/api/alerts?limit=0", "limit: must be a whole number from 1 to 10000"),
        ("/api/alerts?limit=-1", "limit: must be"),
        ("/api/alerts?limit=1e3", "limit: must be"),
        ("/api/alerts?limit=٣", "limit: must be"),
        ("/api/alerts?limit=99999999999999999999", "limit: must be"),
        ("/api/alerts?state=firing&state=pending", "state: is given twice"),
        ("/api/nodes?state=down", "state: must be one of ok, late, failed"),
        ("/api/nodes?x=" + "y" * 5000, "x: unknown parameter"),
        ("/api/silences?x=1", "x: unknown parameter"),
    ],
)
def test_questions_that_are_wrong(daemon: Daemon, path: str, said: str) -> None:
    answer = ask(daemon, path.replace("٣", "%D9%A3"))
    assert answer.status == 400
    assert said in answer.json["error"]
    assert len(answer.body) < 1000


def test_the_life_of_a_silence(daemon: Daemon) -> None:
    id_ = silence(daemon, rule="err*", service="<b>*")
    held = {
        alert["labels"]["service"]: alert["silenced_by"]
        for alert in ask(daemon, "/api/alerts?state=firing").json["alerts"]
    }
    assert held == {"<b>api</b>": [id_], "db": []}
    (shown,) = [each for each in ask(daemon, "/api/silences").json["silences"] if each["id"] == id_]
    assert (shown["active"], shown["author"], shown["matchers"]) == (
        True,
        "ann",
        {"rule": "err*", "service": "<b>*"},
    )
    assert ask(daemon, f"/api/silences/{id_}", "DELETE").json["active"] is False
    assert ask(daemon, f"/api/silences/{id_}", "DELETE").status == 404
    assert ask(daemon, "/api/silences/none", "DELETE").status == 404


def test_a_silence_from_one_time_to_another(daemon: Daemon) -> None:
    wish = {k: v for k, v in WISH.items() if k != "duration"}
    times = {"starts": "2126-01-01T00:00:00Z", "until": "2126-01-02T00:00:00+01:00"}
    made = ask(daemon, "/api/silences", "POST", wish | times)
    assert (made.status, made.json["active"], made.json["until"]) == (
        201,
        False,
        "2126-01-01T23:00:00.000000Z",
    )
    ask(daemon, f"/api/silences/{made.json['id']}", "DELETE")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"matchers": {}}, "at least one label"),
        ({"matchers": {"rule": 3}}, "Expected `str`, got `int` - at `$.matchers[...]`"),
        ({"duration": "2"}, "duration: must be a duration such as 2h"),
        ({"duration": ""}, 'either "until"'),
        ({"until": "2126-01-01T00:00:00Z"}, 'either "until"'),
        ({"duration": "", "until": "tomorrow"}, "until: must be a time such as"),
        ({"duration": "", "until": "2126-01-01T00:00:00"}, "until: must be a time such as"),
        ({"duration": "0s"}, "must end in the future"),
        ({"duration": "999d"}, "within a year"),
        ({"duration": "300d", "starts": "9999-06-01T00:00:00Z"}, "must end in the future"),
        ({"duration": "999999999999d"}, "within a year"),
        ({"starts": "0001-01-01T00:00:00+23:59"}, "must end in the future"),
        ({"author": ""}, 'needs an "author"'),
        ({"auther": "x"}, "unknown field `auther`"),
    ],
)
def test_silences_that_are_none(daemon: Daemon, change: dict[str, object], said: str) -> None:
    answer = ask(daemon, "/api/silences", "POST", WISH | change)
    assert answer.status == 400
    assert said in answer.json["error"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"a":\xff}', b"[" * 10_000])
def test_bodies_that_are_none(daemon: Daemon, body: bytes) -> None:
    answer = ask(daemon, "/api/silences", "POST", body, **JSON)
    assert answer.status == 400
    assert answer.json["error"].startswith("the body: ")


def test_a_body_that_is_too_long(daemon: Daemon) -> None:
    assert ask(daemon, "/api/silences", "POST", b" " * 20_000, **JSON).status == 413


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content_Type": "application/json", "Origin": "http://evil.example"}, 403),
        ({"Content_Type": "application/json", "Origin": "null"}, 403),
        ({"Content_Type": "application/json", "Sec_Fetch_Site": "cross-site"}, 403),
        ({"Content_Type": "application/json", "Sec_Fetch_Site": "same-site"}, 403),
        ({"Content_Type": "application/json", "Sec_Fetch_Site": "same-origin"}, 201),
        ({"Content_Type": "application/json; charset=utf-8"}, 201),
        ({"Content_Type": "application/json", "Host": "evil.example"}, 421),
    ],
)
def test_no_page_elsewhere_writes_here(daemon: Daemon, headers: dict[str, str], status: int) -> None:
    answer = ask(daemon, "/api/silences", "POST", json.dumps(WISH).encode(), **headers)
    assert answer.status == status, answer.body


def test_the_page_itself_writes(daemon: Daemon) -> None:
    host, port = daemon.http
    origin = {"Origin": f"http://{host}:{port}"}
    assert ask(daemon, "/api/silences", "POST", WISH, **origin).status == 201
    assert ask(daemon, "/api/silences/none", "DELETE", Origin="http://evil.example").status == 403


def test_writing_needs_what_reading_needs(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    from ingestd.tokens import add_line, make_token

    secret, line = make_token("reader")
    add_line(tokens, line)
    with Daemon(tmp_path / "d", http__tokens_file=tokens) as guarded:
        for method, path in (("GET", "/api/alerts"), ("POST", "/api/silences"), ("GET", "/api/nodes")):
            assert ask(guarded, path, method, WISH if method == "POST" else None).status == 401
        shown = {"Authorization": f"Bearer {secret}"}
        wait_for(lambda: ask(guarded, "/api/alerts", **shown).status == 200, "the answer to who shows it")
        assert ask(guarded, "/api/silences", "POST", WISH, **shown).status == 201


def test_metrics(daemon: Daemon) -> None:
    assert daemon.metric("ingestd_alerts_firing", rule="errors", severity="critical") == 2
    assert daemon.metric("ingestd_alerts_pending") == 1
    assert daemon.metric("ingestd_nodes", state="ok") == 1
    wait_for(
        lambda: daemon.metric("ingestd_notifications_total", notifier="log", outcome="delivered") >= 1,
        "the log to be told",
    )
    assert daemon.metric("ingestd_notification_latency_seconds_count") >= 1
    assert "<b>" not in daemon.get("/metrics").decode(), "text of records is in no label"


def test_the_log_is_told_where_nobody_else_is(daemon: Daemon) -> None:
    wait_for(
        lambda: "alert errors fires: 1 record of <b>api</b> matched" in daemon.log.read_text(), "the line"
    )
