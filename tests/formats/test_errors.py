"""The two errors say why, for metrics and for people."""

import pytest

from formats.errors import DecodeError, FrameError


@pytest.mark.parametrize("kind", [DecodeError, FrameError])
def test_an_error_carries_its_reason(kind: type[DecodeError | FrameError]) -> None:
    error = kind("invalid_json", "at byte 3")
    assert (error.reason, error.detail, str(error)) == (
        "invalid_json",
        "at byte 3",
        "invalid_json: at byte 3",
    )


def test_they_are_not_each_other() -> None:
    assert not issubclass(DecodeError, FrameError)
    assert not issubclass(FrameError, DecodeError)
