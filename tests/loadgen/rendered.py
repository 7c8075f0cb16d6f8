"""Rendered streams for tests, and what every format must hold."""

from tools.loadgen.payloads import Renderer, build_pool

RUN = "ab12cd34"
NOW_US = 1_795_176_000_123_456
NOW = "2026-11-20T12:00:00.123456Z"
#: Where parts of a sequence change that are written apart: digits, and seven-bit groups of varints.
CARRIES = (
    1_000_000_000,
    1_000_999_990,
    1_073_741_814,
    1_999_999_990,
    4_294_967_286,
    8_589_934_582,
    9_999_999_980,
)


def rendered(
    format_name: str, first_seq: int, records: int, run: str = RUN, now_us: int = NOW_US, calls: int = 1
) -> bytes:
    """As many blocks as `calls`, one behind the other, without what opens a connection."""
    renderer = Renderer(build_pool(format_name, run, seed=1, records=records), 0, records)
    assert renderer.block_records == records
    return b"".join(
        bytes(renderer.render(first_seq + call * records, records, now_us)) for call in range(calls)
    )
