"""Numbers for people, as the dashboard writes them: three digits and a unit, a dash for what is not known."""

from __future__ import annotations

from typing import Final

UNKNOWN: Final = "–"  # noqa: RUF001 the dash of the dashboard


def count(value: float | None) -> str:
    """Whole, in groups of three digits."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def decimal(value: float | None) -> str:
    """Three digits, more where it is large."""
    if value is None:
        return UNKNOWN
    if abs(value) >= 999.5:
        return f"{value:,.0f}"
    text = f"{value:.3g}"
    return f"{value:f}".rstrip("0").rstrip(".") if "e" in text else text


def speed(value: float | None) -> str:
    """A rate: whole, unless it is small."""
    return f"{value:.2g}" if value is not None and 0.095 <= value < 9.95 else count(value)


def size(value: float | None) -> str:
    """Bytes, in powers of 1000."""
    if value is None:
        return UNKNOWN
    unit = "B"
    for unit in ("B", "kB", "MB", "GB", "TB", "PB"):
        if abs(value) < 999.5 or unit == "PB":
            break
        value /= 1000
    return f"{decimal(value)} {unit}"


def latency(seconds: float | None) -> str:
    if seconds is None:
        return UNKNOWN
    return f"{decimal(seconds * 1000)} ms" if seconds < 1 else f"{decimal(seconds)} s"


def duration(seconds: float | None) -> str:
    """How long something lasts, in the two units that matter."""
    if seconds is None:
        return UNKNOWN
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 2 * 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400:,} days"


def plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def reasons(counts: dict[str, int]) -> str:
    """`rate limit 12, backpressure 3`, most first."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{reason.replace('_', ' ')} {number:,}" for reason, number in ordered)
