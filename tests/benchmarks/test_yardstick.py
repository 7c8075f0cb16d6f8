from __future__ import annotations

import pytest

from benchmarks.yardstick import COMPRESS_NS, DECODE_NS, Yardstick, factor


def test_the_machine_of_the_limits_has_the_factor_one() -> None:
    assert factor((DECODE_NS, COMPRESS_NS)) == 1.0
    assert factor((2 * DECODE_NS, 2 * COMPRESS_NS)) == 2.0


def test_it_times_this_machine_while_it_is_entered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.yardstick.INTERVAL_S", 0.001)
    yardstick = Yardstick()
    with yardstick:
        while len(yardstick._taken) < 3:
            pass
    assert all(decode_ns > 0 and compress_ns > 0 for decode_ns, compress_ns in yardstick._taken)
    assert yardstick.factor > 0
