"""Rules of every kind, from what is heard to what is told."""

from __future__ import annotations

import msgspec
import pytest

from ingestd.alerts.engine import MAX_SERVICES, Saved
from ingestd.alerts.notices import Notice
from ingestd.alerts.series import MAX_OF_RULE
from ingestd.alerts.view import AlertView
from ingestd.config_alerts import Alert
from ingestd.observe.messages import Match, Observation
from tests.alerts.made import START_S, Moved, beat, match_rule, matched


def only(notices: list[Notice]) -> Notice:
    (notice,) = notices
    return notice


def the(alerts: tuple[AlertView, ...]) -> AlertView:
    (alert,) = alerts
    return alert


class TestMatch:
    def test_it_fires_with_the_record_is_told_at_once_and_is_over_after_silence(self) -> None:
        at = Moved(match_rule(labels={"team": "core"}, summary="{service} of {team}: {sample} ({count})"))
        notice = only(at.match(count=3))
        alert = the(notice.firing)
        assert (notice.reason, notice.status, notice.caused_s) == ("firing", "firing", START_S)
        assert alert.labels == {"team": "core", "severity": "warning", "rule": "errors", "service": "api"}
        assert (alert.summary, alert.count, alert.state) == ("api of core: boom (3)", 3, "firing")
        assert at.passes(59) == []
        over = only(at.passes(2))
        assert (over.reason, over.status, the(over.resolved).fingerprint) == (
            "resolved",
            "resolved",
            alert.fingerprint,
        )
        assert at.states() == {}
        assert [each.state for each in at.engine.history] == ["resolved"]

    def test_further_records_prolong_it_and_are_counted_and_not_told(self) -> None:
        at = Moved(match_rule())
        at.match()
        for _ in range(10):
            assert at.passes(30) == []
            assert at.match(count=5) == []
        (series,) = at.engine.roster
        assert (series.count, series.state) == (51, "firing")

    def test_services_are_alerts_of_their_own(self) -> None:
        at = Moved(match_rule(group_by=("rule", "service")))
        at.match(service="a")
        at.match(service="b")
        assert at.states() == {"service=a": "firing", "service=b": "firing"}
        assert [notice.labels["service"] for notice in at.told] == ["a", "b"]

    def test_for_waits_and_one_that_stops_in_between_was_nothing(self) -> None:
        at = Moved(match_rule(for_=30.0, resolve_after=10.0))
        at.match()
        assert at.states() == {"service=api": "pending"}
        at.passes(11)
        assert at.states() == {}
        for _ in range(3):
            at.match()
            assert at.passes(8) == []
        at.match()
        assert at.passes(5) == []
        assert only(at.passes(2)).reason == "firing"

    def test_a_firing_alert_is_told_again(self) -> None:
        at = Moved(match_rule(repeat=100.0))
        at.match()
        for _ in range(25):
            at.passes(10)
            at.match()
        assert [notice.reason for notice in at.told] == ["firing", "repeated", "repeated"]

    def test_more_services_than_there_is_room_for_are_one(self) -> None:
        at = Moved(match_rule())
        at.hear(Observation(0, matches=[Match("errors", f"s{n}", 1, 0, "") for n in range(MAX_OF_RULE + 50)]))
        states = at.states()
        assert len(states) == MAX_OF_RULE + 1
        assert states["errors"] == "firing"
        assert at.engine.roster.dropped["errors"] == 50

    def test_a_match_of_a_rule_that_is_gone_means_nothing(self) -> None:
        at = Moved(match_rule())
        assert at.match(rule="other") == []

    def test_a_flap_between_two_notices_is_told_as_nothing(self) -> None:
        at = Moved(match_rule(resolve_after=5.0), group_interval_s=600.0)
        for _ in range(5):  # spends all of what may come at once
            at.match()
            at.passes(6)
        assert len(at.told) == 10
        at.match()
        at.passes(6)
        at.match()
        assert len(at.told) == 10
        assert at.states() == {"service=api": "firing"}


class TestRate:
    RULE = Alert(name="many", kind="rate", level="ERROR", more_than=100, window=60.0, resolve_after=0.0)

    def test_it_fires_above_the_number_and_not_at_it(self) -> None:
        at = Moved(self.RULE)
        assert at.match(rule="many", count=100) == []
        alert = the(only(at.match(rule="many", service="b")).firing)
        assert "service" not in alert.labels
        assert (alert.value, alert.summary) == (101, "101 records matched within 1m, more than 100")

    def test_it_is_over_when_the_window_has_passed(self) -> None:
        at = Moved(self.RULE)
        at.match(rule="many", count=101)
        assert at.passes(58) == []
        assert only(at.passes(4)).reason == "resolved"

    def test_what_comes_slowly_never_fires(self) -> None:
        at = Moved(self.RULE)
        for _ in range(100):
            at.match(rule="many", count=49)
            at.passes(30)
        assert at.told == []

    def test_per_service(self) -> None:
        at = Moved(msgspec.structs.replace(self.RULE, per_service=True))
        at.match(rule="many", service="a", count=100)
        at.match(rule="many", service="b", count=101)
        assert at.states() == {"service=b": "firing"}

    def test_windows_are_bounded(self) -> None:
        at = Moved(msgspec.structs.replace(self.RULE, per_service=True))
        many = [Match("many", f"s{n}", 1, 0, "") for n in range(MAX_OF_RULE + 200)]
        at.hear(Observation(0, matches=many))
        assert at.states() == {"many": "firing"}  # all the others together are more than 100
        at.passes(70)
        assert at.states() == {}


class TestAbsence:
    RULE = Alert(name="silent", kind="absence", service="billing", silent_for=60.0)

    def test_silence_fires_and_the_next_record_ends_it_at_once(self) -> None:
        at = Moved(self.RULE)
        for _ in range(10):
            at.passes(30)
            at.hear(Observation(0, services={"billing": 1}))
        assert at.told == []
        alert = the(only(at.passes(61)).firing)
        assert (alert.labels["service"], alert.summary) == ("billing", "no record of billing for 1m")
        at.hear(Observation(0, services={"other": 1}))
        assert at.states() == {"service=billing": "firing"}
        assert only(at.hear(Observation(0, services={"billing": 1}))).reason == "resolved"

    def test_each_service_that_was_seen(self) -> None:
        at = Moved(Alert(name="silent", kind="absence", service="*", silent_for=60.0))
        at.hear(Observation(0, services={"a": 1, "b": 1}))
        at.passes(40)
        at.hear(Observation(0, services={"b": 1}))
        at.passes(30)
        assert at.states() == {"service=a": "firing"}

    def test_services_that_are_known_are_bounded(self) -> None:
        at = Moved(Alert(name="silent", kind="absence", service="*", silent_for=60.0))
        at.hear(Observation(0, services={f"s{n}": 1 for n in range(2 * MAX_SERVICES)}))
        at.passes(70)
        assert len(at.states()) <= MAX_SERVICES

    def test_a_node_of_which_no_service_is_heard(self) -> None:
        at = Moved(Alert(name="db", kind="absence", node="db1", silent_for=60.0))
        at.hear(Observation(0, heartbeats=[beat("db1", "a"), beat("db1", "b")]))
        at.passes(50)
        at.hear(Observation(0, heartbeats=[beat("db1", "b", at.now_s)]))
        assert at.passes(55) == []
        assert the(only(at.passes(10)).firing).summary == "no heartbeat of db1 for 1m"
        assert only(at.hear(Observation(0, heartbeats=[beat("db1", "b", at.now_s)]))).reason == "resolved"

    def test_a_node_that_misses_its_intervals_has_failed(self) -> None:
        at = Moved(Alert(name="node-failed", kind="absence", node="*"))
        at.hear(Observation(0, heartbeats=[beat(interval_s=10.0), beat("n2", interval_s=100.0)]))
        assert at.passes(29) == []
        alert = the(only(at.passes(2)).firing)
        assert alert.summary == "no heartbeat of n1 (web) for 30s"
        assert only(at.hear(Observation(0, heartbeats=[beat(at_s=at.now_s)]))).reason == "resolved"


class TestSystem:
    def rule(self, check: str, **given: object) -> Moved:
        return Moved(Alert(**{"name": "r", "kind": "system", "check": check} | given))  # type: ignore[arg-type]

    def test_disk_used(self) -> None:
        at = self.rule("disk_used")
        assert at.read(free_bytes=200) == []
        assert "is 81 % full, more than 80 %" in the(only(at.read(free_bytes=190)).firing).summary
        assert only(at.read(free_bytes=500)).reason == "resolved"
        assert at.read(free_bytes=None) == []

    @pytest.mark.parametrize(
        ("check", "counter"),
        [
            ("drops", "dropped"),
            ("worker_restarts", "worker_restarts"),
            ("udp_kernel_drops", "udp_kernel_drops"),
        ],
    )
    def test_counters_that_rise(self, check: str, counter: str) -> None:
        at = self.rule(check, window=60.0, above=2.0)
        at.read(**{counter: 1000})  # before the first look nothing is known to have risen
        at.passes(1)
        assert at.read(**{counter: 1002}) == []
        at.passes(1)
        assert the(only(at.read(**{counter: 1003})).firing).value == 3
        at.passes(70)
        assert only(at.read(**{counter: 1003})).reason == "resolved"

    def test_a_daemon_that_starts_anew_counts_from_nothing(self) -> None:
        at = self.rule("drops")
        at.read(dropped=1000)
        assert at.read(dropped=0, started_ns=2) == []
        assert the(only(at.read(dropped=4, started_ns=2)).firing).value == 4

    def test_rejects_ratio(self) -> None:
        at = self.rule("rejects_ratio", above=0.5, window=60.0)
        at.read(received=0, rejected=0)
        assert at.read(received=100, rejected=50) == []
        assert "51.5 %" in the(only(at.read(received=103, rejected=53)).firing).summary

    def test_queue(self) -> None:
        at = self.rule("queue")
        assert at.read(queue_share=0.8) == []
        assert the(only(at.read(queue_share=0.9)).firing).value == 0.9

    def test_disk_full_in(self) -> None:
        at = self.rule("disk_full_in", within=100.0, window=60.0)
        free, told = 1000, []
        for _ in range(110):
            told += at.read(free_bytes=free)
            at.passes(1)
            free -= 5
        assert 90 < the(only(told).firing).value < 100
        for _ in range(70):
            told += at.read(free_bytes=free)
            at.passes(1)
        assert told[-1].reason == "resolved"

    def test_a_disk_that_empties_is_never_full(self) -> None:
        at = self.rule("disk_full_in")
        for n in range(100):
            assert at.read(free_bytes=100 + n) == []
            at.passes(1)

    def test_certificates_one_by_one(self) -> None:
        at = self.rule("certificate_expiry", within=86_400.0)
        ends = {"a.crt": START_S + 3600, "b.crt": START_S + 900_000}
        alert = the(only(at.read(certificates=ends)).firing)
        assert alert.summary == "the certificate a.crt expires in 1h"
        assert only(at.read(certificates=ends | {"a.crt": START_S + 900_000})).reason == "resolved"
        assert (
            "expires in the past" in the(only(at.read(certificates={"b.crt": START_S - 10})).firing).summary
        )

    def test_who_is_not_ready(self) -> None:
        at = self.rule("not_ready", for_=30.0)
        at.read(faults={"worker 0": "no heartbeat"})
        at.passes(20)
        at.read()
        at.passes(20)
        assert at.told == []
        at.read(faults={"worker 0": "no heartbeat"})
        assert the(only(at.passes(31)).firing).summary == "worker 0 is not ready: no heartbeat"

    def test_every_check_has_words_for_itself(self) -> None:
        from ingestd.alerts.rules import BUILTIN
        from ingestd.alerts.series import Series
        from ingestd.alerts.words import summary

        for rule in BUILTIN:
            series = Series(rule.name, (("certificate", "a"), ("worker", "w")), "", "firing", 0, 0, 0)
            assert "{" not in summary(rule, series)


class TestGroups:
    def test_a_storm_of_services_is_a_dozen_notices_that_say_all(self) -> None:
        at = Moved(match_rule(resolve_after=1000.0))
        for n in range(1000):
            at.match(service=f"s{n}")
            at.passes(0.1, 0.1)
        assert len(at.told) <= 10 + 100 / 10 + 1
        at.passes(15)
        assert len(at.told[-1].firing) == 1000

    def test_what_happens_now_and_then_is_told_at_once(self) -> None:
        at = Moved(match_rule(resolve_after=1000.0))
        for n in range(50):
            assert len(at.match(service=f"s{n}")) == 1
            at.passes(10)

    def test_rules_that_agree_in_labels_and_notifiers_share_notices(self) -> None:
        shared = {"group_by": ("team",), "labels": {"team": "core"}}
        at = Moved(match_rule("a", **shared), match_rule("b", **shared))
        matches = [Match(rule, "api", 1, 0, "") for rule in ("a", "b")]
        notice = only(at.hear(Observation(0, matches=matches)))
        assert notice.labels == {"team": "core"}
        assert [alert.rule for alert in notice.firing] == ["a", "b"]

    def test_other_notifiers_are_another_group(self) -> None:
        at = Moved(match_rule("a", notify=("x",), group_by=()), match_rule("b", notify=("y",), group_by=()))
        matches = [Match(rule, "api", 1, 0, "") for rule in ("a", "b")]
        told = at.hear(Observation(0, matches=matches))
        assert [notice.notify for notice in told] == [("x",), ("y",)]

    def test_a_group_of_which_nothing_is_left_is_forgotten(self) -> None:
        at = Moved(match_rule(group_by=("service",), resolve_after=1.0))
        for n in range(100):
            at.match(service=f"s{n}")
        at.passes(60)
        assert list(at.engine.groups.memories()) == []


class TestSilences:
    def silence(self, at: Moved, seconds: float, **matchers: str) -> str:
        made = at.engine.silences.add(matchers, at.now_s + seconds, at.now_s, author="ann", comment="")
        at.engine.groups.wake(at.now_s)
        return made.id

    def test_a_silenced_alert_is_shown_and_not_told(self) -> None:
        at = Moved(match_rule())
        id_ = self.silence(at, 3600, rule="err*", service="api")
        assert at.match() == []
        (series,) = at.engine.roster
        assert at.engine.show(series, at.now_s).silenced_by == [id_]
        assert len(at.match(service="other")) == 1

    def test_it_is_told_when_the_silence_ends_first(self) -> None:
        at = Moved(match_rule(resolve_after=1000.0))
        self.silence(at, 100, rule="errors")
        at.match()
        assert at.passes(99) == []
        assert only(at.passes(2)).reason == "firing"

    def test_it_is_told_when_the_silence_is_ended(self) -> None:
        at = Moved(match_rule(resolve_after=1000.0))
        id_ = self.silence(at, 100, rule="errors")
        at.match()
        assert at.engine.silences.end(id_, at.now_s)
        at.engine.groups.wake(at.now_s)
        assert only(at.notices()).reason == "firing"

    def test_the_end_of_what_was_told_is_told_though_silenced_and_of_what_was_not_is_not(self) -> None:
        at = Moved(match_rule())
        at.match()
        self.silence(at, 3600, rule="errors")
        at.match(service="other")
        assert [alert.labels["service"] for alert in only(at.passes(100)).resolved] == ["api"]
        assert at.states() == {}

    def test_a_silence_after_the_notice_does_not_have_it_told_again(self) -> None:
        at = Moved(match_rule(resolve_after=1000.0))
        at.match()
        self.silence(at, 10, rule="errors")
        assert at.passes(20) == []

    def test_repeats_are_silenced(self) -> None:
        at = Moved(match_rule(resolve_after=1000.0, repeat=10.0))
        at.match()
        self.silence(at, 95, rule="errors")
        assert at.passes(94) == []
        assert only(at.passes(3)).reason == "repeated"


class TestAClockThatIsSet:
    @pytest.mark.parametrize("by_s", [86_400.0, -86_400.0])
    def test_no_time_has_passed_for_any_rule(self, by_s: float) -> None:
        at = Moved(
            match_rule(repeat=500.0, resolve_after=1000.0),
            match_rule("later", for_=300.0, resolve_after=1000.0),
            Alert(name="silent", kind="absence", service="billing", silent_for=300.0),
            Alert(name="node-failed", kind="absence", node="*"),
        )
        heard = matched()
        heard.matches += matched("later").matches
        heard.heartbeats.append(beat(interval_s=100.0))
        at.hear(heard)
        at.passes(200)
        at.now_s += by_s
        at.engine.skip(by_s, at.now_s)
        assert len(at.told) == 1
        assert at.passes(90) == []
        told = at.passes(20)
        assert sorted(each.firing[0].rule for each in told) == ["later", "node-failed", "silent"]
        assert [each.reason for each in at.passes(200)] == ["repeated"]


class TestAfterARestart:
    def restarted(self, at: Moved, seconds: float, *rules: Alert) -> Moved:
        content = msgspec.json.encode(at.engine.save(at.now_s))
        saved = msgspec.json.decode(content, type=Saved)
        return Moved(*(rules or at.engine.rules.values()), saved=saved, now_s=at.now_s + seconds)

    def test_nothing_is_told_twice_and_the_end_is_told(self) -> None:
        at = Moved(match_rule())
        at.match()
        after = self.restarted(at, 5)
        assert after.passes(50) == []
        assert after.states() == {"service=api": "firing"}
        assert only(after.passes(20)).reason == "resolved"

    def test_a_pending_one_goes_on(self) -> None:
        at = Moved(match_rule(for_=30.0))
        at.match()
        at.passes(20)
        after = self.restarted(at, 1)
        assert only(after.passes(10)).reason == "firing"

    def test_what_was_to_be_told_is_told(self) -> None:
        at = Moved(match_rule())
        at.engine.hear(matched(at_s=at.now_s), at.now_s)  # and nobody asks for the notices
        after = self.restarted(at, 1)
        assert only(after.passes(1)).reason == "firing"

    def test_an_end_that_was_to_be_told_is_told(self) -> None:
        at = Moved(match_rule())
        at.match()
        at.now_s += 100
        at.engine.tick(at.now_s)
        after = self.restarted(at, 1)
        assert only(after.passes(1)).reason == "resolved"

    def test_a_rule_that_was_changed_or_removed_ends_its_alerts(self) -> None:
        at = Moved(match_rule())
        at.match()
        for rules in ([match_rule(severity="critical")], [match_rule("another")]):
            after = self.restarted(at, 1, *rules)
            assert the(only(after.passes(1)).resolved).labels["rule"] == "errors"
            assert after.states() == {}

    def test_silences_and_history_go_on(self) -> None:
        at = Moved(match_rule())
        at.match()
        at.passes(100)
        at.engine.silences.add({"rule": "errors"}, at.now_s + 50, at.now_s, author="ann", comment="")
        after = self.restarted(at, 1)
        assert len(after.engine.history) == 1
        assert after.match() == []

    def test_time_in_which_nobody_listened_is_no_silence(self) -> None:
        rules = (
            Alert(name="silent", kind="absence", service="billing", silent_for=60.0),
            Alert(name="node-failed", kind="absence", node="*"),
        )
        at = Moved(*rules)
        at.hear(Observation(0, services={"billing": 1}, heartbeats=[beat(interval_s=20.0)]))
        at.passes(40)
        after = self.restarted(at, 3600)
        assert after.passes(15) == []
        told = after.passes(10)
        assert sorted(alert.rule for notice in told for alert in notice.firing) == ["node-failed", "silent"]

    def test_counters_are_compared_with_those_of_before(self) -> None:
        at = Moved(Alert(name="r", kind="system", check="drops"))
        at.read(dropped=10)
        after = self.restarted(at, 1)
        assert the(only(after.read(dropped=12)).firing).value == 2

    def test_a_system_alert_that_is_over_meanwhile_ends(self) -> None:
        at = Moved(Alert(name="r", kind="system", check="disk_used"))
        at.read(free_bytes=1)
        after = self.restarted(at, 1)
        assert after.passes(5) == []
        assert only(after.read()).reason == "resolved"
