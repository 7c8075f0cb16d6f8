from collections.abc import Callable, Iterable

from formats.cores import Wanted
from formats.kernel.made import MadeFields
from formats.kernel.syslog_clock import Clock

class Severities:
    def __init__(self, severities: Iterable[tuple[str, bytes]]) -> None: ...

class Surroundings:
    def __init__(
        self, severities: Severities, rests: Iterable[bytes], service: str, received_at: str, clock: Clock
    ) -> None: ...

Told = tuple[str, str, bytes, str, bytes, str]

def take(
    block: bytes,
    around: Surroundings,
    other: Callable[[bytes], Told | None],
    wanted: Wanted,
) -> MadeFields | None: ...
