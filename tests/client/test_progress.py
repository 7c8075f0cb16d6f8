from __future__ import annotations

import pytest

from ingestd.client.progress import Progress


def test_who_waits_is_told_when_it_is_reached() -> None:
    progress = Progress(3)
    assert progress.when(3).done()
    late, soon = progress.when(10), progress.when(5)
    progress.reach(6)
    assert soon.done()
    assert not late.done()
    progress.reach(4)
    assert progress.value == 6
    progress.reach(10)
    assert late.result(0) is None


def test_a_failure_is_for_those_that_wait_now() -> None:
    progress = Progress()
    now = progress.when(1)
    progress.fail(ValueError("refused"))
    with pytest.raises(ValueError, match="refused"):
        now.result(0)
    later = progress.when(1)
    progress.reach(1)
    assert later.result(0) is None


def test_an_end_is_for_all_that_is_not_reached() -> None:
    progress = Progress(1)
    now = progress.when(2)
    progress.end(ValueError("first"))
    progress.end(ValueError("second"))
    for future in (now, progress.when(2)):
        with pytest.raises(ValueError, match="first"):
            future.result(0)
    assert progress.when(1).result(0) is None


def test_who_gave_up_is_not_told() -> None:
    progress = Progress()
    future = progress.when(1)
    assert future.cancel()
    progress.reach(1)
    assert future.cancelled()
