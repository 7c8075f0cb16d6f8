"""Level names and numbers."""

import pytest

from formats import levels
from formats.errors import DecodeError
from formats.levels import LEVELS


@pytest.mark.parametrize(
    ("level", "texts"),
    [
        ("TRACE", "trace FINEST t 10 TRACE2"),
        ("DEBUG", "Debug VERBOSE fine D 7 20"),
        ("INFO", "info NOTICE Information I 5 6 30 INFO4"),
        ("WARN", "warn Warning w 4 40"),
        ("ERROR", "error ERR severe E 3 50"),
        ("FATAL", "fatal CRIT critical ALERT emerg EMERGENCY panic F 0 1 2 60"),
    ],
)
def test_known(level: str, texts: str) -> None:
    assert level in LEVELS
    for text in texts.split():
        assert levels.parse(text) == level
        assert levels.parse(f" {text} ") == level


@pytest.mark.parametrize(
    "text", ["", " ", "loud", "8", "9", "35", "70", "-1", "3.0", "INFO5", "true", "x" * 10**6]
)
def test_unknown(text: str) -> None:
    with pytest.raises(DecodeError) as caught:
        levels.parse(text)
    assert caught.value.reason == "invalid_level"
    assert len(caught.value.detail) < 200
