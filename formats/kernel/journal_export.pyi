from formats.cores import Wanted
from formats.kernel.made import MadeFields

def entries(
    block: bytes,
    start: int,
    received_at: bytes,
    service: bytes,
    tails: tuple[bytes, bytes],
    absent: frozenset[bytes],
    is_json: bool,
    wanted: Wanted,
) -> tuple[MadeFields | None, int]: ...
