from collections.abc import Iterable

from formats.cores import Wanted
from formats.kernel.made import MadeFields

class Names:
    def __init__(self, names: Iterable[str]) -> None: ...

def enrich(block: bytes, opening: bytes, absent: Names, wanted: Wanted) -> MadeFields | None: ...
