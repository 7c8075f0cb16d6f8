from collections.abc import Mapping

from formats.cores import Wanted
from formats.kernel.made import MadeFields

class Added:
    def __init__(self, sizes: Mapping[str, int]) -> None: ...

def encode(
    block: bytes,
    number: int,
    service: bytes,
    received_at: bytes,
    rest: bytes,
    added: Added,
    wanted: Wanted,
) -> MadeFields | None: ...
