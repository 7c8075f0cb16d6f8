from collections.abc import Callable

class Clock:
    def __init__(self, iso: Callable[[str], str | None], bsd: Callable[[str], str | None]) -> None: ...
