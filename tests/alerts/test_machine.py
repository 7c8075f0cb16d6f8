"""Whatever happens in whatever order: what notifiers were told is how things stand, once told and over restarts.

A model looks at the notices alone, as a receiver does. The engine is restarted at random with what it saved.
"""

from __future__ import annotations

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ingestd.alerts.engine import Saved
from ingestd.alerts.groups import BURST
from ingestd.alerts.notices import Notice
from ingestd.config_alerts import Alert
from ingestd.observe.messages import Observation
from tests.alerts.made import Moved, beat, match_rule

RULES = (
    match_rule("quick", resolve_after=20.0, repeat=50.0),
    match_rule("slow", for_=15.0, resolve_after=10.0, group_by=("rule", "service")),
    Alert(name="many", kind="rate", level="ERROR", more_than=5, window=30.0, per_service=True),
    Alert(name="silent", kind="absence", service="*", silent_for=40.0),
    Alert(name="disk", kind="system", check="disk_used", for_=10.0, resolve_after=5.0),
    Alert(name="node-failed", kind="absence", node="*"),
)
INTERVAL_S = 10.0
SERVICES = st.sampled_from(["a", "b", "c"])


class Told(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.at = Moved(*RULES, group_interval_s=INTERVAL_S)
        self.open: dict[str, str] = {}  # fingerprint -> group, of what a receiver holds for firing
        self.times: dict[str, list[float]] = {}
        self.silenced = False

    def receive(self, notices: list[Notice]) -> None:
        for notice in notices:
            firing = {alert.fingerprint for alert in notice.firing}
            over = {alert.fingerprint for alert in notice.resolved}
            of_group = {print_ for print_, group in self.open.items() if group == notice.group}
            assert firing or over
            assert not firing & over
            assert over <= of_group, "the end of what was never told"
            if not self.silenced:  # what is silenced is not among what is told, and yet fires
                assert of_group - over <= firing, "something vanished without an end"
            if notice.reason == "firing":
                assert firing - of_group, "told as new, and nothing is"
            if notice.reason == "resolved":
                assert over
            for print_ in over:
                del self.open[print_]
            self.open.update(dict.fromkeys(firing, notice.group))
            self.times.setdefault(notice.group, []).append(self.at.now_s)

    @rule(name=st.sampled_from(["quick", "slow", "many"]), service=SERVICES, count=st.integers(1, 8))
    def records_match(self, name: str, service: str, count: int) -> None:
        self.receive(self.at.match(rule=name, service=service, count=count))

    @rule(service=SERVICES)
    def records_come(self, service: str) -> None:
        self.receive(self.at.hear(Observation(0, services={service: 1})))

    @rule(free=st.integers(1, 1000))
    def the_daemon_is_read(self, free: int) -> None:
        self.receive(self.at.read(free_bytes=free))

    @rule(node=SERVICES, interval_s=st.sampled_from([0.0, 5.0, 20.0]))
    def a_node_beats(self, node: str, interval_s: float) -> None:
        self.receive(self.at.hear(Observation(0, heartbeats=[beat(node, "x", self.at.now_s, interval_s)])))

    @rule(seconds=st.sampled_from([0.1, 1.0, 7.0, 30.0, 90.0]))
    def time_passes(self, seconds: float) -> None:
        end_s = self.at.now_s + seconds
        while self.at.now_s < end_s:
            self.receive(self.at.passes(min(0.5, end_s - self.at.now_s)))

    @rule(seconds=st.sampled_from([5.0, 60.0]), service=SERVICES)
    def somebody_silences(self, seconds: float, service: str) -> None:
        self.silenced = True
        until_s = self.at.now_s + seconds
        self.at.engine.silences.add({"service": service}, until_s, self.at.now_s, author="a", comment="")
        self.at.engine.groups.wake(self.at.now_s)
        self.receive(self.at.notices())

    @rule(seconds=st.sampled_from([0.0, 1.0, 100.0]))
    def the_process_is_replaced(self, seconds: float) -> None:
        saved = msgspec.json.decode(msgspec.json.encode(self.at.engine.save(self.at.now_s)), type=Saved)
        now_s = self.at.now_s + seconds
        self.at = Moved(*RULES, saved=saved, now_s=now_s, group_interval_s=INTERVAL_S)
        self.times.clear()  # a new process may spend anew
        self.receive(self.at.notices())

    @rule(by_s=st.sampled_from([-5000.0, 5000.0]))
    def the_clock_is_set(self, by_s: float) -> None:
        self.at.now_s += by_s
        self.at.engine.skip(by_s, self.at.now_s)
        for times in self.times.values():
            times[:] = [time_s + by_s for time_s in times]
        self.receive(self.at.notices())

    @invariant()
    def notices_of_a_group_are_paced(self) -> None:
        for times in self.times.values():
            for first, last in zip(times, times[BURST:], strict=False):
                assert last - first >= INTERVAL_S * 0.99

    @invariant()
    def what_is_held_is_bounded_by_what_there_is(self) -> None:
        assert len(self.at.states()) <= len(RULES) * 4

    def teardown(self) -> None:
        """When all is quiet, and no silence holds any more, everybody knows what fires."""
        for _ in range(40):
            self.receive(self.at.read(free_bytes=900))
            self.time_passes(7.0)
        fires = {series.fingerprint for series in self.at.engine.roster if series.state == "firing"}
        assert set(self.open) == fires


TestTold = Told.TestCase
TestTold.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
