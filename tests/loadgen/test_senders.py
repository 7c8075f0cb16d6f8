"""Lanes: the account of every sequence, whatever the connection does."""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.loadgen.clock import ManualClock
from tests.loadgen.sink import Sink, reset
from tools.loadgen.pacing import Pace
from tools.loadgen.payloads import FIRST_SEQ, Pool, Renderer, build_pool
from tools.loadgen.report import count
from tools.loadgen.senders import BACKOFF_S, RETRIES, Lane, Outcome, Work
from tools.loadgen.transports import ServerClosedError, SetupError, Target, Transport, client_tls, connect

RUN = "ab12cd34"


@pytest.fixture(scope="module")
def pool() -> Pool:
    return build_pool("raw", RUN, seed=1, records=2_000)


class ScriptedTransport:
    """Keeps what it is sent; breaks, speaks or fails to close as its script says."""

    def __init__(self, break_after: float = math.inf, says: str = "", clean: bool = True) -> None:
        self.blocks: list[bytes] = []
        self._break_after = break_after
        self._says = says
        self._clean = clean

    def send(self, block: memoryview) -> None:
        if len(self.blocks) >= self._break_after:
            raise BrokenPipeError("broken")
        self.blocks.append(bytes(block))

    def notice(self) -> str:
        return self._says

    def close(self) -> str:
        if not self._clean:
            raise ServerClosedError("reset")
        return self._says

    def interrupt(self) -> None:
        pass

    def abort(self) -> None:
        pass


class Bench:
    """A lane over a list of transports (or errors) to be handed out in turn."""

    def __init__(
        self, pool: Pool, script: list[Transport | Exception], records: int = 500, batch: int = 100
    ) -> None:
        self.clock = ManualClock()
        self.connects = 0
        self.stop = False
        self._script: Iterator[Transport | Exception] = iter(script)
        work = Work(batch, batch, records, math.inf, FIRST_SEQ, FIRST_SEQ + 1_000_000)
        self.lane = Lane(
            work,
            Pace(0.0, 0.0, self.clock, self.clock.sleep),
            Renderer(pool, 0, batch),
            self._connect,
            lambda: self.stop,
            lambda _sent, _bytes: None,
            self.clock.sleep,
        )

    def run(self) -> Outcome:
        return self.lane.run()

    def _connect(self) -> Transport:
        self.connects += 1
        made = next(self._script)
        if isinstance(made, Exception):
            raise made
        return made


def test_all_is_well(pool: Pool) -> None:
    transport = ScriptedTransport()
    outcome = Bench(pool, [transport]).run()
    assert outcome.confirmed == [(FIRST_SEQ, FIRST_SEQ + 499)]
    assert (outcome.sent, outcome.failed, outcome.uncertain, outcome.notes) == (500, 0, [], {})
    assert outcome.bytes == sum(map(len, transport.blocks))


def test_a_broken_batch_is_uncertain_and_sent_anew_under_new_sequences(pool: Pool) -> None:
    first, second = ScriptedTransport(break_after=2), ScriptedTransport()
    outcome = Bench(pool, [first, second]).run()
    assert outcome.uncertain == [(FIRST_SEQ, FIRST_SEQ + 299)]
    assert outcome.confirmed == [(FIRST_SEQ + 300, FIRST_SEQ + 599)]
    assert outcome.sent == 600
    assert outcome.failed == 0
    assert b"seq=%d\n" % (FIRST_SEQ + 300) in second.blocks[0]


def test_a_batch_fails_after_its_retries_and_the_next_is_tried(pool: Pool) -> None:
    broken = [ScriptedTransport(break_after=0) for _ in range(RETRIES + 1)]
    bench = Bench(pool, [*broken, ScriptedTransport()], records=200)
    outcome = bench.run()
    assert outcome.failed == 100
    assert count(outcome.uncertain) == 100 * (RETRIES + 1)
    assert count(outcome.confirmed) == 100
    assert outcome.notes == {"broken": RETRIES + 1}


def test_a_lane_that_cannot_connect_gives_up(pool: Pool) -> None:
    bench = Bench(pool, [ConnectionRefusedError(111, "Connection refused")] * (RETRIES + 1))
    outcome = bench.run()
    assert bench.connects == RETRIES + 1
    assert (outcome.sent, outcome.failed) == (0, 100)
    assert outcome.notes == {"Connection refused": RETRIES + 1}
    mean_s = BACKOFF_S * (2**RETRIES - 1)
    assert mean_s / 2 <= bench.clock.now_s <= mean_s * 1.5 + 0.1


def test_a_setup_error_ends_the_lane(pool: Pool) -> None:
    bench = Bench(pool, [SetupError("--ca")])
    with pytest.raises(SetupError):
        bench.run()
    assert bench.connects == 1
    assert bench.lane.outcome.failed == 100


def test_shutting_down_still_confirms(pool: Pool) -> None:
    outcome = Bench(pool, [ScriptedTransport(says="ERR shutting down"), ScriptedTransport()]).run()
    assert outcome.uncertain == []
    assert count(outcome.confirmed) == outcome.sent == 500
    assert outcome.notes == {"the server said: ERR shutting down": 1}


def test_shutting_down_and_then_nobody(pool: Pool) -> None:
    nobody: list[Transport | Exception] = [ConnectionRefusedError(111, "Connection refused")] * (RETRIES + 1)
    outcome = Bench(pool, [ScriptedTransport(says="ERR shutting down"), *nobody]).run()
    assert outcome.confirmed == [(FIRST_SEQ, FIRST_SEQ + 99)]
    assert (outcome.sent, outcome.failed) == (100, 100)


def test_any_other_complaint_confirms_nothing(pool: Pool) -> None:
    outcome = Bench(pool, [ScriptedTransport(says="ERR bad token"), ScriptedTransport()]).run()
    assert outcome.uncertain == [(FIRST_SEQ, FIRST_SEQ + 99)]
    assert count(outcome.confirmed) == 400


def test_a_close_that_is_not_clean_confirms_nothing(pool: Pool) -> None:
    outcome = Bench(pool, [ScriptedTransport(clean=False)]).run()
    assert outcome.confirmed == []
    assert outcome.uncertain == [(FIRST_SEQ, FIRST_SEQ + 499)]


def test_a_stop_is_not_a_failure(pool: Pool) -> None:
    bench = Bench(pool, [ScriptedTransport()])
    bench.stop = True
    outcome = bench.run()
    assert (outcome.sent, outcome.failed, bench.connects) == (0, 0, 0)


def test_batches_larger_than_a_block_are_whole(pool: Pool) -> None:
    transport = ScriptedTransport()
    outcome = Bench(pool, [transport], records=12_000, batch=6_000).run()
    assert outcome.confirmed == [(FIRST_SEQ, FIRST_SEQ + 11_999)]
    assert b"".join(transport.blocks).count(b"\n") == 12_000


def test_outcomes_add_up() -> None:
    total = Outcome(sent=1, failed=2, confirmed=[(1, 1)], notes={"a": 1}, latest_s=0.5)
    total.merge(Outcome(sent=3, bytes=4, behind=5, uncertain=[(2, 4)], notes={"a": 2, "b": 1}, latest_s=0.1))
    assert (total.sent, total.bytes, total.failed, total.behind, total.latest_s) == (4, 4, 2, 5, 0.5)
    assert (total.confirmed, total.uncertain, total.notes) == ([(1, 1)], [(2, 4)], {"a": 3, "b": 1})


def lane_to(sink: Sink, pool: Pool, pem: Path | None, records: int) -> Lane:
    tls = None if pem is None else client_tls(str(pem), insecure=False)
    open_transport: Callable[[], Transport] = partial(
        connect, Target("127.0.0.1", sink.port, udp=False, tls=tls), "raw", 1_308
    )
    work = Work(100, 100, records, math.inf, FIRST_SEQ, FIRST_SEQ + 1_000_000)
    return Lane(
        work, Pace(0, 0), Renderer(pool, 0, 100), open_transport, lambda: False, lambda _sent, _bytes: None
    )


@pytest.mark.parametrize("tls", [False, True])
def test_a_real_server_that_resets_the_first_connection(pool: Pool, pem: Path, tls: bool) -> None:
    def fail_first(number: int, connection: socket.socket, received: int) -> bool:
        if number == 0 and received > 30_000:
            reset(connection)
            return False
        return True

    with Sink(pem if tls else None, fail_first) as sink:
        outcome = lane_to(sink, pool, pem if tls else None, 200_000).run()  # more than buffers hold
        stored = sink.received[-1].decode().splitlines()[1:]
    assert outcome.failed == 0
    assert outcome.uncertain
    seqs = [int(line.rpartition("=")[2]) for line in stored]
    confirmed = [seq for first, last in outcome.confirmed for seq in range(first, last + 1)]
    assert seqs == confirmed


def test_a_real_server_that_shuts_down(pool: Pool, pem: Path) -> None:
    def shut_down(number: int, connection: socket.socket, received: int) -> bool:
        if number == 0 and 0 < received < 1_000:
            connection.sendall(b"ERR shutting down\n")
        return True

    with Sink(pem, shut_down) as sink:
        outcome = lane_to(sink, pool, pem, 50_000).run()
        data = sink.data
    assert outcome.failed == 0
    assert outcome.uncertain == []
    assert count(outcome.confirmed) == 50_000 == data.count(b"\n")
