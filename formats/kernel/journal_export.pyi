from formats.kernel.made import MadeFields

def entries(
    block: bytes,
    start: int,
    received_at: bytes,
    service: bytes,
    tails: tuple[bytes, bytes],
    absent: frozenset[bytes],
    with_spans: bool,
) -> tuple[MadeFields | None, int]: ...
