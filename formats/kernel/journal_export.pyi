from formats.cores import Search
from formats.kernel.made import MadeFields

def entries(
    block: bytes,
    start: int,
    received_at: bytes,
    service: bytes,
    tails: tuple[bytes, bytes],
    absent: frozenset[bytes],
    is_json: bool,
    wanted: int,
    search: Search | None,
) -> tuple[MadeFields | None, int]: ...
